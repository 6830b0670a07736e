package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/replay"
)

func replayCmd() *cobra.Command {
	var base, state, since, until string
	var offset int
	var asJSON bool
	var req replay.Request
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "按编号、来源、时间或映射版本重放消息（先用 --dry-run 试算）",
		Long: "让运行中的数据中心把选中的消息再交给映射一次：字典或映射改好之后补录，或按新映射重做。\n" +
			"重放不会产生重复：同一内容不产生新版本，旧消息不覆盖新数据。",
		Example: "  qihuang replay --source county --state dead --dry-run\n  qihuang replay --map hl7v2-adt@3 --since 2026-11-01",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			req.State = inbound.State(state)
			if req.Since, err = day(since, false); err != nil {
				return err
			}
			if req.Until, err = day(until, true); err != nil {
				return err
			}
			if base == "" {
				base = "http://127.0.0.1:" + strconv.Itoa(Default().Ports.HTTP+offset)
			}
			raw, err := callReplay(cmd, strings.TrimRight(base, "/"), req)
			if err != nil {
				return err
			}
			if asJSON {
				_, err = cmd.OutOrStdout().Write(append(raw, '\n'))
				return err
			}
			return printReplay(cmd.OutOrStdout(), raw)
		},
	}
	f := cmd.Flags()
	f.StringVar(&base, "url", "", "数据中心地址，默认本机")
	f.IntVar(&offset, "port-offset", 0, "本机数据中心的端口偏移")
	f.StringSliceVar(&req.IDs, "id", nil, "消息编号，可重复")
	f.StringVar(&req.Source, "source", "", "来源")
	f.StringVar(&req.Kind, "kind", "", "消息类型")
	f.StringVar(&req.Map, "map", "", "处理它的映射：名称，或 名称@版本")
	f.StringVar(&state, "state", "", "结果：done、dead、parked、repeat、waiting")
	f.StringVar(&since, "since", "", "收到时间起（日期或 RFC 3339）")
	f.StringVar(&until, "until", "", "收到时间止（日期含当天）")
	f.IntVar(&req.Limit, "limit", 0, "最多条数，默认 10000")
	f.BoolVar(&req.DryRun, "dry-run", false, "只试算，不入库")
	f.BoolVar(&asJSON, "json", false, "输出 JSON")
	return cmd
}

// day reads a day or an instant; a day as an end means its end.
func day(s string, end bool) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006-01-02", s, time.Local)
	if err != nil {
		return t, fault.New(fault.Invalid, "时间 %q 应写成 2026-11-25 或 2026-11-25T08:00:00+08:00", s)
	}
	if end {
		t = t.AddDate(0, 0, 1)
	}
	return t, nil
}

func callReplay(cmd *cobra.Command, base string, req replay.Request) ([]byte, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	hr, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, base+"/api/replay", bytes.NewReader(body))
	if err != nil {
		return nil, fault.New(fault.Invalid, "地址 %q 无法使用：%w", base, err)
	}
	hr.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(hr)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "连不上数据中心 %s；它在运行吗？", base)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		var answer struct{ Message string }
		_ = json.Unmarshal(raw, &answer)
		return nil, fault.New(fault.Invalid, "数据中心拒绝了请求（HTTP %d）：%s", res.StatusCode, answer.Message)
	}
	return raw, nil
}

func printReplay(out io.Writer, raw []byte) error {
	var r replay.Report
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	good, bad := "已交给处理", "未能重放"
	if r.DryRun {
		good, bad = "可以入库", "仍会被拒收"
	}
	fmt.Fprintf(out, "选中 %d 条，%s %d 条，%s %d 条\n", r.Selected, good, r.Good, bad, r.Bad)
	for _, f := range r.Failures {
		fmt.Fprintf(out, "  %s  %s\n", f.ID, f.Reason)
	}
	return nil
}
