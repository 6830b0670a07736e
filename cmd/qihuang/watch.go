package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/apps/supervision"
	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	reports "github.com/qihuang-health/qihuang/apps/supervision/report"
	"github.com/qihuang-health/qihuang/apps/supervision/review"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// mountSupervisionPages adds the pages of supervision.
func (h *hub) mountSupervisionPages(r gin.IRouter, door *supervision.Door) error {
	rules, err := rational.Load()
	if err != nil {
		return err
	}
	cfg := supervision.Default()
	cfg.Version, cfg.Local = version, h.cfg.loopback()
	cfg.Patience = h.cfg.Supervision.Patience
	criteria, err := review.LoadCriteria()
	if err != nil {
		return err
	}
	papers := &cabinet.Cabinet{Store: h.alerts.Store, Search: h.search, Clock: h.clock}
	app, err := supervision.New(cfg, supervision.Parts{Measures: h.measures, Knowledge: rules, SQL: h.warehouse, Desk: h.alerts, Refused: h.refused,
		Reviews: &review.Desk{Cabinet: papers, SQL: h.warehouse, Criteria: criteria}, Papers: papers, Door: door,
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

// looked writes an AuditEvent of a user of supervision who looked at records.
func (h *hub) looked(ctx context.Context, user, what string) error {
	now, entity := h.clock.Now(), map[string]any{"name": what}
	if typ, _, ok := strings.Cut(what, "/"); ok && typ != "" {
		entity = map[string]any{"what": map[string]any{"reference": what}}
	}
	body, err := json.Marshal(map[string]any{"resourceType": "AuditEvent", "action": "R", "recorded": now.UTC().Format("2006-01-02T15:04:05.000Z"), "outcome": "0",
		"type":   map[string]any{"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest", "display": "RESTful Operation"},
		"agent":  []any{map[string]any{"who": map[string]any{"display": user}, "requestor": true}},
		"source": map[string]any{"observer": map[string]any{"display": "Qihuang"}},
		"entity": []any{entity}})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	id := uuid.NewString()
	if _, err = h.alerts.Store.Commit(ctx, &store.Transaction{ID: id, Actor: "supervision", Time: now, Ops: []store.Op{{Method: store.Create, Type: "AuditEvent", ID: id, Resource: body}}}); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}
