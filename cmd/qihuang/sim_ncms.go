package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/qihuang-health/qihuang/adapters/ncms/centre"
	"github.com/qihuang-health/qihuang/adapters/ncms/xnh"
	"github.com/qihuang-health/qihuang/adapters/ncms/yb"
	"github.com/qihuang-health/qihuang/internal/clock"
)

// simNCMSCmd runs a simulated scheme centre.
func simNCMSCmd() *cobra.Command {
	cfg, faults := centre.Default(), centre.Faults{Delay: 15 * time.Second}
	var address string
	var share, ceiling float64
	var downEvery, downFor time.Duration
	cmd := &cobra.Command{
		Use:   "ncms",
		Short: "模拟一个新农合/医保结算中心（两种接口，可注入故障）",
		Long: `模拟一个结算中心：新农合 SOAP 接口在 ` + xnh.Path + `（?wsdl），国家医保 JSON 接口在 ` + yb.Path + `，账目在 /books。
人员、规则、账目全部虚构；同样的种子与请求得到同样的故障。参保人卡号为 NH100001 起（每 50 人有 1 人已停保）。
规则：有农合编码的明细计入可补偿范围，按 --share 补偿，每人每年以 --ceiling 为限。`,
		Example: "  qihuang sim ncms --listen 127.0.0.1:7001\n  qihuang sim ncms --listen 127.0.0.1:7001 --lost 0.1 --drop 0.05 --slow 0.02 --seed 7",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Share, cfg.Ceiling, faults.Seed = decimal.NewFromFloat(share), decimal.NewFromFloat(ceiling), cfg.Seed
			if err := errors.Join(cfg.Validate(), faults.Validate()); err != nil {
				return err
			}
			listener, err := net.Listen("tcp", address)
			if err != nil {
				return portTaken(err, address)
			}
			c := centre.New(cfg, clock.System{})
			handler := centre.NewFaulty(c.Handler(clock.System{}, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))), faults)
			base := "http://" + listener.Addr().String()
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "模拟结算中心\n新农合  %s%s?wsdl\n医保    %s%s\n账目    %s/books\n按 Ctrl+C 停止\n", base, xnh.Path, base, yb.Path, base)
			stop := make(chan struct{})
			go func() { defer close(stop); outages(cmd.Context(), handler, downEvery, downFor) }()
			err = listen(cmd.Context(), listener, handler)
			<-stop
			b := c.Books()
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "登记 %d，有效结算 %d（总额 %s 元，补偿 %s 元），作废 %d；故障 %v\n", b.Visits, b.Settled, b.Total, b.Paid, b.Reversed, handler.Count())
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "listen", "127.0.0.1:7001", "监听地址")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "随机种子")
	f.IntVar(&cfg.People, "people", cfg.People, "参保人数")
	f.Float64Var(&share, "share", 0.5, "可补偿范围内的补偿比例")
	f.Float64Var(&ceiling, "ceiling", 5000, "每人每年的补偿上限（元）")
	f.BoolVar(&cfg.Careless, "careless", false, "不检查重复的发票与登记")
	f.Float64Var(&cfg.WrongMoney, "wrong-money", 0, "对账清单中金额差一分的比例")
	f.Float64Var(&faults.Drop, "drop", 0, "请求没有处理就断线的比例")
	f.Float64Var(&faults.Lost, "lost", 0, "处理之后、应答之前断线的比例")
	f.Float64Var(&faults.Slow, "slow", 0, "处理之后很久才应答的比例")
	f.Float64Var(&faults.Busy, "busy", 0, "答 HTTP 503 的比例")
	f.DurationVar(&faults.Delay, "delay", faults.Delay, "慢应答的延迟")
	f.DurationVar(&downEvery, "down-every", 0, "每隔多久停机一次，0 表示不停机")
	f.DurationVar(&downFor, "down-for", 10*time.Second, "每次停机多久")
	return cmd
}

// outages takes the centre down and up again until ctx ends.
func outages(ctx context.Context, h *centre.Faulty, every, length time.Duration) {
	if every <= 0 {
		return
	}
	down := false
	for {
		wait := every
		if down {
			wait = length
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		down = !down
		h.SetDown(down)
	}
}
