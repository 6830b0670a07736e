package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/sim"
	"github.com/qihuang-health/qihuang/warehouse/measures"
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
		if err := h.register(ctx, cfg.Halls); err != nil {
			return err
		}
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
			if err := h.demoAlerts(ctx, out); err != nil && ctx.Err() == nil {
				h.log.WarnContext(ctx, "demo alerts", "error", err)
			}
		}
	}
	if err := sim.Trickle(ctx, cfg, 6, h.clock.Now); err != nil && ctx.Err() == nil {
		h.log.WarnContext(ctx, "demo visits ended", "error", err)
	}
	return nil
}

// demoAlerts holds the alert rules against yesterday once its visits are in SQL,
// for the schedule has no night to do it in.
func (h *hub) demoAlerts(ctx context.Context, out io.Writer) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if s := h.Stats(ctx); s.Lag == 0 && s.WarehouseLag == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
	y, m, d := h.clock.Now().In(measures.Shanghai()).Date()
	opened, err := h.alerts.Run(ctx, time.Date(y, m, d-1, 0, 0, 0, 0, measures.Shanghai()))
	if err == nil {
		fmt.Fprintf(out, "按预警规则检查了昨日：%d 项预警，见 /supervision/alerts\n", len(opened))
	}
	return err
}

// demoCities are where the halls of the demo stand, one after another.
var demoCities = []string{"济南市", "青岛市", "菏泽市", "烟台市", "潍坊市", "临沂市", "济宁市", "泰安市"}

// register makes the simulated halls and the authorities above them known, as
// the directory of a province does: the map, the peers and the escalation of
// alerts rest on it. The counties are made up.
func (h *hub) register(ctx context.Context, halls int) error {
	const province, county = "379900000000", "示例县"
	list := []tcm.Organization{{Code: province, Name: "示例省中医药管理局", Level: tcm.Province}}
	for i := range halls {
		city, n := demoCities[i%len(demoCities)], i%len(demoCities)+1
		above, local := fmt.Sprintf("3799%02d000000", n+10), fmt.Sprintf("3799%02d010000", n+10)
		if i < len(demoCities) {
			list = append(list, tcm.Organization{Code: above, Name: city + "卫生健康委员会（演示）", Level: tcm.City, InCity: city, Above: province},
				tcm.Organization{Code: local, Name: city + county + "卫生健康局（演示）", Level: tcm.County, InCity: city, Area: county, Above: above})
		}
		code, name := sim.HallName(i)
		list = append(list, tcm.Organization{Code: code, Name: name, Level: tcm.Township, InCity: city, Area: county, Above: local})
	}
	tx := &store.Transaction{ID: uuid.NewString(), Actor: "demo", Time: h.clock.Now()}
	for _, o := range list {
		for _, r := range o.Resources() {
			body, err := json.Marshal(r.Model)
			if err != nil {
				return err
			}
			tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, Resource: body, SkipSame: true})
		}
	}
	_, err := h.store.Commit(ctx, tx)
	return err
}
