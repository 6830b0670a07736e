package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/qihuang-health/qihuang/internal/sim"
)

// demo loads a small province through the real doors on the first start and
// then keeps a trickle of visits going until ctx ends.
func (h *hub) demo(ctx context.Context, out io.Writer) error {
	cfg := sim.Default(h.clock.Now())
	cfg.BaseURL = "http://" + h.cfg.addr(h.cfg.Ports.HTTP)
	mark := h.dir("demo.loaded")
	if _, err := os.Stat(mark); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(out, "装入演示数据：%d 家中医馆 %d 天的就诊（全部虚构）…\n", cfg.Halls, cfg.Days)
		begin := time.Now()
		report, err := sim.Run(ctx, cfg, nil)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			fmt.Fprintln(out, "演示数据没有全部装入，下次启动会再试：", err)
		} else {
			fmt.Fprintf(out, "演示数据已装入（%d 条消息，%.0f 秒）；之后每分钟约有 6 次就诊\n", report.Acknowledged, time.Since(begin).Seconds())
			if err := os.WriteFile(mark, []byte(begin.UTC().Format(time.RFC3339)+"\n"), 0o640); err != nil {
				return err
			}
		}
	}
	if err := sim.Trickle(ctx, cfg, 6, h.clock.Now); err != nil && ctx.Err() == nil {
		h.log.WarnContext(ctx, "demo visits ended", "error", err)
	}
	return nil
}
