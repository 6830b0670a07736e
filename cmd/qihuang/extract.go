package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/apps/analysts"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/exports"
	"github.com/qihuang-health/qihuang/warehouse/extract"
	"github.com/qihuang-health/qihuang/warehouse/sqlrun"
)

// mountAnalysts adds the data dictionary, research extracts and exports.
func (h *hub) mountAnalysts(r gin.IRouter) error {
	key, err := h.secret("extract.key")
	if err != nil {
		return err
	}
	app, err := analysts.New(analysts.Config{Version: version, Database: h.cfg.ClickHouse.Database, Zone: h.zone, Local: h.cfg.loopback(), Key: key}, h.sink, h.warehouse, h.clock.Now, h.log.With("part", "analysts"))
	if err != nil {
		return err
	}
	app.Mount(r)
	r.POST("/api/warehouse/exports/:name", h.answer(h.exportNow))
	return nil
}

// export writes one Parquet file into the object store.
func (h *hub) export(ctx context.Context, e exports.Export) error {
	_, err := h.exporter().Run(ctx, e, h.clock.Now())
	return err
}

func (h *hub) exporter() *exports.Exporter {
	ch := h.cfg.ClickHouse
	return &exports.Exporter{SQL: &sqlrun.ClickHouse{URL: "http://" + ch.Address, User: ch.User, Password: ch.Password}, S3: h.blobs.Client, Bucket: h.blobs.Bucket, Database: ch.Database}
}

// exportNow runs a configured export at once.
func (h *hub) exportNow(c *gin.Context) (any, error) {
	for _, e := range h.cfg.ClickHouse.Exports {
		if e.Name == c.Param("name") {
			key, err := h.exporter().Run(c.Request.Context(), e, h.clock.Now())
			return map[string]string{"bucket": h.blobs.Bucket, "key": key}, err
		}
	}
	return nil, fault.New(fault.NotFound, "配置里没有名为 %q 的导出（clickhouse.exports）", c.Param("name"))
}

// extractCmd asks a running hub for a research extract.
func extractCmd() *cobra.Command {
	cfg := extract.Default()
	var from, to, subject, file, url string
	var offset int
	cmd := &cobra.Command{Use: "extract", Short: "生成去标识化的科研数据集（k-匿名、日期平移、小格抑制、尊重知情同意）",
		Long: "由运行中的数据中心生成 ZIP：visits.csv（每次就诊一行）、cells.csv（病种 × 性别 × 年龄段的人数）、report.json（k-匿名报告）。\n" +
			"假名与日期平移由数据中心的密钥导出，同一密钥下各次导出一致；密钥在数据目录的 extract.key，不随数据集给出。",
		Example: "  qihuang extract --from 2026-09-01 --to 2026-09-30 --out september.zip\n  qihuang extract --from 2026 --to 2026 --k 10 --consent opt-in --out year.zip",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				url = "http://127.0.0.1:" + strconv.Itoa(Default().Ports.HTTP+offset)
			}
			body, err := json.Marshal(map[string]any{"from": from, "to": to, "subject": subject, "k": cfg.K, "shift": cfg.Shift, "small": cfg.Small, "suppress": cfg.Suppress, "consent": cfg.Consent})
			if err != nil {
				return err
			}
			return fetchExtract(cmd, url+"/api/warehouse/extracts", body, file)
		}}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "第一天，例如 2026-09-01")
	f.StringVar(&to, "to", "", "最后一天")
	f.StringVar(&subject, "subject", "", "机构（代码或 Organization/id，含下级；默认全部）")
	f.IntVar(&cfg.K, "k", cfg.K, "每个组合至少多少人")
	f.IntVar(&cfg.Shift, "shift", cfg.Shift, "日期按人平移，最多多少天")
	f.IntVar(&cfg.Small, "small", cfg.Small, "少于多少人的格子与诊断不给出")
	f.IntVar(&cfg.Suppress, "suppress", cfg.Suppress, "最多舍弃百分之几的行，超过则把年龄段与地区放粗")
	f.StringVar(&cfg.Consent, "consent", cfg.Consent, "opt-out 除去拒绝者；opt-in 只要同意者")
	f.StringVar(&file, "out", "extract.zip", "写到这个文件，- 为标准输出")
	f.StringVar(&url, "url", "", "数据中心的地址（默认 http://127.0.0.1:8080）")
	f.IntVar(&offset, "port-offset", 0, "数据中心的端口偏移")
	_ = cmd.MarkFlagRequired("from")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func fetchExtract(cmd *cobra.Command, url string, body []byte, file string) error {
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "数据中心没有应答：%w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var e struct{ Error string }
		if err := json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&e); err != nil || e.Error == "" {
			e.Error = res.Status
		}
		return fault.New(fault.Invalid, "%s", e.Error)
	}
	if file == "-" {
		_, err := io.Copy(cmd.OutOrStdout(), res.Body)
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, res.Body); err != nil {
		_ = out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "已写入 %s\n", file)
	return err
}
