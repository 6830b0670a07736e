package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/internal/sim"
)

// simCmd simulates the halls of a county against a running hub.
func simCmd() *cobra.Command {
	cfg := sim.Default(time.Now())
	var start, url string
	var offset int
	var asJSON, dryRun bool
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "模拟若干中医馆若干天的就诊，经真实接口（SOAP、HTTP）送入",
		Long: `模拟若干中医馆若干天的就诊：开诊时经 SOAP 推送 TCM_HIS_01，首日推送中药字典 TCM_HIS_02，
诊毕把就诊文档送到 /ingest/his。同样的种子与起始日得到同样的数据；全部虚构。
全部得到确认时退出码为 0。--json 打印真值（就诊数、处方数、金额、预设的异常数），可与 SQL 的结果对照。`,
		Example: "  qihuang sim --seed 1 --halls 3 --days 5\n  qihuang sim --halls 20 --days 30 --start 2026-09-01 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.BaseURL = "http://127.0.0.1:" + strconv.Itoa(8080+offset)
			if url != "" {
				cfg.BaseURL = url
			}
			if start != "" {
				day, err := time.ParseInLocation(time.DateOnly, start, sim.China())
				if err != nil {
					return fmt.Errorf("--start 应为 2026-10-12 这样的日期")
				}
				cfg.Start = day
			} else {
				cfg.Start = time.Now().In(sim.China()).AddDate(0, 0, -cfg.Days)
			}
			if dryRun {
				truth, err := sim.Plan(cfg)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), truth)
			}
			return runSim(cmd, cfg, asJSON)
		},
	}
	cmd.AddCommand(simNCMSCmd(), simCountyCmd())
	cmd.AddCommand(provinceCmd())
	f := cmd.Flags()
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "随机种子")
	f.IntVar(&cfg.Halls, "halls", cfg.Halls, "中医馆数")
	f.IntVar(&cfg.Days, "days", cfg.Days, "天数")
	f.IntVar(&cfg.VisitsPerDay, "visits", cfg.VisitsPerDay, "每馆每天的就诊数（平均）")
	f.StringVar(&start, "start", "", "第一天，例如 2026-10-12（默认：到昨天为止）")
	f.StringVar(&url, "url", "", "数据中心的地址（默认 http://127.0.0.1:8080）")
	f.IntVar(&offset, "port-offset", 0, "数据中心的端口偏移")
	f.Float64Var(&cfg.Rate, "rate", 0, "每秒就诊数，0 表示不限")
	f.IntVar(&cfg.Parallel, "parallel", cfg.Parallel, "同时发送的馆数")
	f.DurationVar(&cfg.Patience, "patience", cfg.Patience, "一条消息最长重试多久")
	f.BoolVar(&asJSON, "json", false, "以 JSON 打印结果与真值")
	f.BoolVar(&dryRun, "dry-run", false, "只打印真值，不发送")
	return cmd
}

func runSim(cmd *cobra.Command, cfg sim.Config, asJSON bool) error {
	report, err := sim.Run(cmd.Context(), cfg, simProgress(cmd.ErrOrStderr()))
	if report == nil {
		return err
	}
	if asJSON {
		if perr := printJSON(cmd.OutOrStdout(), report); perr != nil {
			return perr
		}
		return err
	}
	t := report.Truth
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d 个馆 × %d 天（自 %s）：%d 人 %d 次就诊，%d 条消息已确认 %d 条（重试 %d 次），用时 %.1f 秒\n",
		t.Halls, report.Days, report.Start, t.Patients, t.Visits, report.Sent, report.Acknowledged, report.Retried, report.Seconds)
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "处方：饮片 %d、颗粒 %d、中成药 %d、西药 %d；费用合计 %s 元\n",
		t.Prescriptions["decoction"], t.Prescriptions["granule"], t.Prescriptions["patent"], t.Prescriptions["western"], t.ChargeTotal)
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "预设异常：超剂量处方 %d、十八反处方 %d、缺证候就诊 %d\n", t.Overdose, t.Eighteen, t.NoSyndrome)
	return err
}

// simProgress shows a bar on a terminal and a line every few seconds elsewhere.
func simProgress(out io.Writer) func(done, total int) {
	if f, ok := out.(*os.File); ok && terminal(f) {
		var bar *progressbar.ProgressBar
		return func(done, total int) {
			if bar == nil {
				bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
					progressbar.OptionSetDescription("就诊"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
			}
			_ = bar.Set(done)
		}
	}
	last := time.Now()
	return func(done, total int) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			_, _ = fmt.Fprintf(out, "已送出 %d / %d 次就诊\n", done, total)
		}
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
