package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/robfig/cron/v3"
	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/apps/supervision"
	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	"github.com/qihuang-health/qihuang/apps/supervision/publish"
	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/store/checked"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/login"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// SupervisionConfig says how supervision watches.
type SupervisionConfig struct {
	Alerts     string                `yaml:"alerts"`     // file of alert rules; "" = the shipped ones
	Schedule   string                `yaml:"schedule"`   // cron line at which the rules run for the day before; "" = never
	Thresholds []measures.Threshold  `yaml:"thresholds"` // of indicators, by level of the hall
	Users      []supervision.User    `yaml:"users"`      // none = whoever reaches the port
	Publish    []publish.Publication `yaml:"publish"`    // MeasureReports by schedule
	Patience   time.Duration         `yaml:"patience"`   // a page waits for an ad-hoc table before it shows progress
}

func (c SupervisionConfig) validate() error {
	if c.Schedule != "" {
		if _, err := cron.ParseStandard(c.Schedule); err != nil {
			return fault.New(fault.Invalid, "配置 supervision.schedule 不是有效的计划 %q：%w", c.Schedule, err)
		}
	}
	return errors.Join(measures.ValidateThresholds(c.Thresholds), publish.Validate(c.Publish), login.Validate("supervision.users", c.Users))
}

// alertRules reads the rules of a file, the shipped ones for "".
func alertRules(file string, c *measures.Catalogue) ([]*alerts.Rule, error) {
	data := conformance.AlertRules()
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, "读不到预警规则：%w", err)
		}
		data = b
	}
	return alerts.Load(data, c)
}

// openAlerts makes the desk of alerts and tasks.
func (h *hub) openAlerts() error {
	rules, err := alertRules(h.cfg.Supervision.Alerts, h.measures)
	if err != nil {
		return err
	}
	h.alerts = &alerts.Desk{Detector: alerts.Detector{Catalogue: h.measures, SQL: h.warehouse, Rules: rules}, Store: checked.New(h.store, h.policy("supervision")), Search: h.search, Clock: h.clock,
		Log: h.log.With("part", "alerts")}
	return nil
}

func alertsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "alerts", Short: "监管预警：规则与历史回测"}
	cmd.AddCommand(backtestCmd(), rulesCmd())
	return cmd
}

func rulesCmd() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "rules", Short: "检查并打印预警规则", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := catalogue()
			if err != nil {
				return err
			}
			rules, err := alertRules(file, c)
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), rules)
		}}
	cmd.Flags().StringVar(&file, "rules", "", "规则文件（YAML；默认为自带的规则）")
	return cmd
}

func catalogue() (*measures.Catalogue, error) {
	k, err := rational.Load()
	if err != nil {
		return nil, err
	}
	return measures.Load(k)
}

func backtestCmd() *cobra.Command {
	var file, from, to, address string
	var ch ClickHouseConfig
	var offset, gap int
	var asJSON bool
	cmd := &cobra.Command{Use: "backtest", Short: "用历史数据回测预警规则",
		Long:    "对每一天（Asia/Shanghai）运行规则，把同一机构连续触发的日子合成一次预警。数据中心须在运行；不产生待办。",
		Example: "  qihuang alerts backtest --from 2026-09-01 --to 2026-09-30\n  qihuang alerts backtest --from 2026-09 --to 2026-11 --rules my-alerts.yaml --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			begin, end, err := alerts.Span(from, to)
			if err != nil {
				return err
			}
			c, err := catalogue()
			if err != nil {
				return err
			}
			rules, err := alertRules(file, c)
			if err != nil {
				return err
			}
			if address == "" {
				address = "127.0.0.1:" + strconv.Itoa(Default().Ports.ClickHouse+offset)
			}
			db, err := openDatabase(ch, address)
			if err != nil {
				return err
			}
			defer db.conn.Close()
			found, err := (&alerts.Detector{Catalogue: c, SQL: db, Rules: rules}).Detect(cmd.Context(), begin, end)
			if err != nil {
				return err
			}
			return printEpisodes(cmd, alerts.Episodes(found, gap), asJSON)
		}}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "第一天，例如 2026-09-01")
	f.StringVar(&to, "to", "", "最后一天")
	f.StringVar(&file, "rules", "", "规则文件（YAML；默认为自带的规则）")
	f.IntVar(&gap, "gap", 0, "间断不超过几天仍算同一次")
	f.IntVar(&offset, "port-offset", 0, "数据中心的端口偏移")
	f.StringVar(&address, "clickhouse", "", "数据仓库的 HTTP 地址 host:port（默认本机 8123）")
	f.StringVar(&ch.User, "user", "default", "数据仓库用户")
	f.StringVar(&ch.Password, "password", "", "数据仓库口令")
	f.BoolVar(&asJSON, "json", false, "以 JSON 打印")
	_ = cmd.MarkFlagRequired("from")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func printEpisodes(cmd *cobra.Command, list []alerts.Episode, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), list)
	}
	for _, e := range list {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s 至 %s  %-8s %-22s %s %s：%s\n", e.First, e.Last, e.Level, e.Name, e.Org, e.OrgName, e.Text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "共 %d 次预警\n", len(list))
	return err
}

// watch is the regular work of supervision.
func (h *hub) watch(ctx context.Context) error { return h.alerts.Daily(ctx) }

// publisher files indicators as MeasureReports.
func (h *hub) publisher() *publish.Publisher {
	return &publish.Publisher{Cabinet: &cabinet.Cabinet{Store: h.alerts.Store, Search: h.search, Clock: h.clock}, Catalogue: h.measures, SQL: h.warehouse}
}

// publishNow files the reports of the days from and to (parameters, also level and
// measure, repeated) at once.
func (h *hub) publishNow(c *gin.Context) (any, error) {
	s, err := h.scope(c)
	if err != nil {
		return nil, err
	}
	return h.publisher().Span(c.Request.Context(), publish.Publication{Levels: c.QueryArray("level"), Measures: c.QueryArray("measure")}, s.From, s.To)
}
