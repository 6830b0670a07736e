package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/internal/sim"
)

// countyConfig is the hub's configuration for a simulated county: a watched
// folder, an HTTP source, and a settlement centre.
const countyConfig = `# 模拟县所用的数据中心配置
sources:
  - name: halls-files
    kind: files
    files: {folder: %q, interval: 200ms}
  - name: halls-http
    kind: http
  - name: ncms
    kind: ncms
    ncms: {centre: %q, timeout: 2s, retry: 1s}
outbound: {allow: ["127.0.0.1"]}
`

// simCountyCmd simulates a county of five kinds of systems for a month and
// reconciles it.
func simCountyCmd() *cobra.Command {
	cfg := sim.MonthConfig{Config: sim.Default(time.Now()), HTTP: "halls-http", Source: ncmsName, People: 5000, Faults: 0.05}
	cfg.Halls, cfg.Days, cfg.VisitsPerDay, cfg.Patience = 20, 30, 12, 2*time.Minute
	var start, centre string
	var offset int
	var asJSON, printConfig bool
	cmd := &cobra.Command{
		Use:   "county",
		Short: "模拟一个县：五种系统的医馆、一个结算中心、一个月，注入故障后逐笔对账",
		Long: `模拟一个县的医馆运行若干天：五种系统（SOAP、HL7 v2/MLLP、文件、FHIR、HTTP GB18030）轮流分给各馆，
参保患者经新农合或国家医保接口结算；消息会重发、断线、写坏，结算中心会断线、丢应答。
最后对账：每馆发出的消息、就诊、费用，以及医院、平台、中心三方的结算笔数与金额（到分）。全部相平时退出码为 0。

先起结算中心与数据中心：
  qihuang sim ncms --listen 127.0.0.1:7001 --people 5000 --drop 0.03 --lost 0.05 --busy 0.02 --slow 0.005
  qihuang sim county --print-config --folder /tmp/county > county.yaml
  qihuang serve --config county.yaml --data /tmp/county-data`,
		Example: "  qihuang sim county --folder /tmp/county\n  qihuang sim county --halls 20 --days 30 --folder /tmp/county --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, err := filepath.Abs(cfg.Folder)
			if err != nil {
				return err
			}
			if cfg.Folder = folder; printConfig {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), countyConfig, folder, centre)
				return err
			}
			at := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port+offset) }
			ports := Default().Ports
			cfg.BaseURL, cfg.SQL, cfg.MLLP = "http://"+at(ports.HTTP), "http://"+at(ports.ClickHouse), at(ports.MLLP)
			cfg.Start = time.Now().In(sim.China()).AddDate(0, 0, -cfg.Days)
			if start != "" {
				if cfg.Start, err = time.ParseInLocation(time.DateOnly, start, sim.China()); err != nil {
					return fmt.Errorf("--start 应为 2026-10-12 这样的日期")
				}
			}
			report, err := sim.RunMonth(cmd.Context(), cfg, simProgress(cmd.ErrOrStderr()))
			if report == nil {
				return err
			}
			if asJSON {
				if perr := printJSON(cmd.OutOrStdout(), report); perr != nil {
					return perr
				}
				return err
			}
			printMonth(cmd.OutOrStdout(), report)
			return err
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "随机种子")
	f.IntVar(&cfg.Halls, "halls", cfg.Halls, "医馆数")
	f.IntVar(&cfg.Days, "days", cfg.Days, "天数")
	f.IntVar(&cfg.VisitsPerDay, "visits", cfg.VisitsPerDay, "每馆每天的就诊数（平均）")
	f.StringVar(&start, "start", "", "第一天（默认：到昨天为止）")
	f.StringVar(&cfg.Folder, "folder", "./county", "文件型医馆与数据中心共用的目录")
	f.StringVar(&cfg.HTTP, "http-source", cfg.HTTP, "HTTP 型医馆的来源名")
	f.StringVar(&cfg.Source, "ncms-source", cfg.Source, "结算来源名")
	f.IntVar(&cfg.People, "people", cfg.People, "结算中心的参保人数（与 sim ncms --people 相同）")
	f.Float64Var(&cfg.Faults, "faults", cfg.Faults, "医馆一侧出错的比例")
	f.IntVar(&offset, "port-offset", 0, "数据中心的端口偏移")
	f.IntVar(&cfg.Parallel, "parallel", cfg.Parallel, "同时工作的馆数")
	f.DurationVar(&cfg.Patience, "patience", cfg.Patience, "一步最长重试多久")
	f.BoolVar(&asJSON, "json", false, "以 JSON 打印报告")
	f.BoolVar(&printConfig, "print-config", false, "打印数据中心所需的配置")
	f.StringVar(&centre, "centre", "http://127.0.0.1:7001/Webservices/HCNWebservices", "结算中心的地址（写入配置）")
	return cmd
}

// printMonth shows a report as a table.
func printMonth(w io.Writer, r *sim.Month) {
	_, _ = fmt.Fprintf(w, "医馆          系统   结算  消息  确认  重发  坏消息  就诊(馆/平台)  费用(馆/平台)            结算(馆/平台/中心)  总额(馆/平台/中心)                  补偿(馆/平台/中心)                  作废  差异\n")
	for _, h := range r.Halls {
		_, _ = fmt.Fprintf(w, "%s  %-5s  %-4s  %4d  %4d  %4d  %4d    %5d/%-5d    %11s/%-11s  %5d/%d/%d   %s/%s/%s   %s/%s/%s   %d   %d\n", h.Code, h.System, h.Settles, h.Sent, h.Acknowledged, h.Repeated, h.Refused,
			h.Visits.Hall, h.Visits.Hub, h.Charges.Hall, h.Charges.Hub, h.Settled.Hall, h.Settled.Hub, h.Settled.Centre, h.Total.Hall, h.Total.Hub, h.Total.Centre,
			h.Paid.Hall, h.Paid.Hub, h.Paid.Centre, h.Reversed, h.Mismatches)
	}
	for _, p := range r.Problems {
		_, _ = fmt.Fprintln(w, "不平：", p)
	}
	verdict := "全部相平"
	if !r.Balanced {
		verdict = "没有相平"
	}
	_, _ = fmt.Fprintf(w, "%s（%.0f 秒）\n", verdict, r.Seconds)
}
