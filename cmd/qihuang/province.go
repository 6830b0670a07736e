package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/sim"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// provinceCmd writes a province-year straight into the warehouse.
func provinceCmd() *cobra.Command {
	today := time.Now().In(sim.China())
	cfg := sim.DefaultProvince(time.Date(today.Year()-1, today.Month(), 1, 0, 0, 0, 0, sim.China()))
	var start, address string
	var ch ClickHouseConfig
	var offset int
	cmd := &cobra.Command{Use: "province", Short: "把一个省一年的模拟就诊直接写入数据仓库（用于大规模性能测量）",
		Long: `由引擎按种子生成 912 馆 1500 万次就诊（可调），直接写入运行中的数据仓库各表，再算好指标的集市。
不经过真实接口，也不在 FHIR 资源库里；只用于测量，请用单独的数据目录。`,
		Example: "  qihuang sim province --visits 15000000\n  qihuang sim province --visits 200000 --halls 100 --days 60",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if start != "" {
				day, err := time.ParseInLocation(time.DateOnly, start, sim.China())
				if err != nil {
					return fmt.Errorf("--start 应为 2026-01-01 这样的日期")
				}
				cfg.Start = day
			}
			if address == "" {
				address = "127.0.0.1:" + strconv.Itoa(Default().Ports.ClickHouse+offset)
			}
			db, err := openDatabase(ch, address)
			if err != nil {
				return err
			}
			defer db.conn.Close()
			return writeProvince(cmd.Context(), db, cfg, func(line string) { _, _ = fmt.Fprintln(cmd.ErrOrStderr(), line) })
		}}
	f := cmd.Flags()
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "随机种子")
	f.IntVar(&cfg.Visits, "visits", cfg.Visits, "就诊数")
	f.IntVar(&cfg.Halls, "halls", cfg.Halls, "中医馆数")
	f.IntVar(&cfg.Days, "days", cfg.Days, "天数")
	f.StringVar(&start, "start", "", "第一天（默认：一年前的月初）")
	f.IntVar(&offset, "port-offset", 0, "数据中心的端口偏移")
	f.StringVar(&address, "clickhouse", "", "数据仓库的 HTTP 地址 host:port（默认本机 8123）")
	f.StringVar(&ch.User, "user", "default", "数据仓库用户")
	f.StringVar(&ch.Password, "password", "", "数据仓库口令")
	return cmd
}

// writeProvince runs the steps, two at once, and builds the marts.
func writeProvince(ctx context.Context, db *database, cfg sim.Province, say func(string)) error {
	steps, err := cfg.Steps()
	if err != nil {
		return err
	}
	var mu sync.Mutex
	begun, said, done := time.Now(), time.Now(), 0
	both, writing := errgroup.WithContext(ctx)
	both.SetLimit(2)
	for _, s := range steps {
		both.Go(func() error {
			if err := db.Exec(writing, s.SQL); err != nil {
				return fmt.Errorf("%s: %w", s.Table, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if done++; time.Since(said) > 5*time.Second || done == len(steps) {
				said = time.Now()
				say(fmt.Sprintf("已写 %d%%（共 %d 次就诊），%.0f 秒", 100*done/len(steps), cfg.Visits, time.Since(begun).Seconds()))
			}
			return nil
		})
	}
	if err := both.Wait(); err != nil {
		return err
	}
	return buildMarts(ctx, db, say)
}

// buildMarts computes all marts anew.
func buildMarts(ctx context.Context, db *database, say func(string)) error {
	c, err := catalogue()
	if err != nil {
		return err
	}
	m := measures.NewMarts(c, db, clock.System{}, slog.New(slog.DiscardHandler))
	if err := m.Prepare(ctx); err != nil {
		return err
	}
	months, err := m.Months(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	for _, month := range months {
		if err := m.Build(ctx, month); err != nil {
			return err
		}
		say(fmt.Sprintf("集市 %s 已算好，%.0f 秒", month.Format("2006-01"), time.Since(begun).Seconds()))
	}
	if err := m.Refresh(ctx); err != nil {
		return err
	}
	say(fmt.Sprintf("集市全部算好，%.0f 秒", time.Since(begun).Seconds()))
	return nil
}
