package main

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/supervision"
	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	reports "github.com/qihuang-health/qihuang/apps/supervision/report"
	"github.com/qihuang-health/qihuang/apps/supervision/review"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// mountSupervisionPages adds the pages of supervision.
func (h *hub) mountSupervisionPages(r gin.IRouter) error {
	rules, err := rational.Load()
	if err != nil {
		return err
	}
	cfg := supervision.Default()
	cfg.Version, cfg.Local = version, h.cfg.loopback()
	criteria, err := review.LoadCriteria()
	if err != nil {
		return err
	}
	papers := &cabinet.Cabinet{Store: h.alerts.Store, Search: h.search, Clock: h.clock}
	app, err := supervision.New(cfg, supervision.Parts{Measures: h.measures, Knowledge: rules, SQL: h.warehouse, Desk: h.alerts, Refused: h.refused,
		Reviews: &review.Desk{Cabinet: papers, SQL: h.warehouse, Criteria: criteria}, Papers: papers,
		Reports: &reports.Desk{Cabinet: papers, Catalogue: h.measures, Evaluate: func(ctx context.Context, s measures.Scope, list ...*measures.Measure) ([]measures.Score, error) {
			return h.measures.Evaluate(ctx, h.warehouse, s, list...)
		}}, Now: h.clock.Now, Log: h.log})
	if err != nil {
		return err
	}
	app.Mount(r)
	return nil
}

// maxRefused is how many refused messages are counted by source.
const maxRefused = 5000

// refused counts the messages that wait for repair by their source.
func (h *hub) refused(ctx context.Context) (map[string]int, error) {
	list, _, err := h.letters.List(ctx, maxRefused)
	out := map[string]int{}
	for _, d := range list {
		out[d.Message.Source]++
	}
	return out, err
}
