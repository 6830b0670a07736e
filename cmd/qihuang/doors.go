package main

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/his"
	"github.com/qihuang-health/qihuang/apps/console"
	"github.com/qihuang-health/qihuang/apps/guide"
	"github.com/qihuang-health/qihuang/apps/supervision"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// mountDoors adds the doors of partners and people.
func (h *hub) mountDoors(r gin.IRouter) error {
	if err := h.mountHIS(r); err != nil {
		return err
	}
	h.mountSubscriptions(r)
	h.mountCDA(r)
	if err := h.mountNCMS(r); err != nil {
		return err
	}
	if err := h.mountRegion(r); err != nil {
		return err
	}
	if err := h.mountSources(r); err != nil {
		return err
	}
	c, err := console.New(console.Config{Version: version, Zone: h.zone, Local: h.cfg.loopback(), Base: "http://" + h.cfg.addr(h.cfg.Ports.HTTP), SQLBase: "http://" + h.cfg.addr(h.cfg.Ports.ClickHouse)},
		h.consoleParts())
	if err != nil {
		return err
	}
	c.Mount(r)
	if err := h.mountWorkbench(r); err != nil {
		return err
	}
	if err := h.openAlerts(); err != nil {
		return err
	}
	door := &supervision.Door{Users: h.cfg.Supervision.Users, Audit: h.looked}
	guarded := r.Group("", door.API)
	h.alerts.Mount(guarded)
	if err := h.mountSupervisionPages(r, door); err != nil {
		return err
	}
	h.mountSupervision(guarded)
	if err := h.mountAnalysts(r); err != nil {
		return err
	}
	pages, err := guide.New(guide.Config{Version: version, Zone: h.zone, Local: h.cfg.loopback()}, h.terms, h.log)
	if err != nil {
		return err
	}
	pages.Mount(r)
	return h.mountFeatures(r)
}

// mountHIS adds the township HIS door and names the sinks of its messages.
func (h *hub) mountHIS(r gin.IRouter) error {
	cfg := his.Default()
	cfg.Zone, cfg.Codes, cfg.Unmapped = h.zone, conceptMaps{h.terms, h.takeTerms}, h.missed
	if err := cfg.Validate(); err != nil {
		return err
	}
	his.New(cfg, his.Parts{Inbound: h.desk, Letters: h.desk.Letters(), Store: h.store, Search: h.search, IDs: pipeline.NewIDs(h.clock), Clock: h.clock, Log: h.log}).Mount(r)
	his.NewLaunch(his.DefaultLaunch(), h.clock).Mount(r)
	sink := his.NewSink(cfg, h.sinkStore(cfg.Source))
	for _, kind := range []string{his.KindVisit, his.Kind01, his.Kind02} {
		h.inbound.Handle(kind, sink)
	}
	if err := h.openMaps(sink.Visit); err != nil {
		return err
	}
	return h.openMLLP()
}

// Replay implements console.Hub.
func (h *hub) Replay(ctx context.Context, id string) error { return h.inbound.Replay(ctx, id) }

// states translates the pipeline's states for people.
var states = map[inbound.State]console.State{inbound.Waiting: console.Waiting, inbound.Done: console.Done, inbound.Repeat: console.Repeat, inbound.Dead: console.Dead}

// Stats implements console.Hub.
func (h *hub) Stats(ctx context.Context) console.Stats {
	s := console.Stats{DeadLetters: int64(h.letters.Total()), Applied: h.store.Applied()}
	var err error
	if s.Messages, s.Lag, err = h.inbound.Totals(ctx); err != nil {
		h.log.WarnContext(ctx, "count messages", "error", err)
	}
	recent := h.inbound.Recent()
	for _, f := range recent[:min(8, len(recent))] {
		s.Recent = append(s.Recent, console.Fate{Time: f.Time, Source: f.Source, Kind: f.Kind, State: states[f.State], Reason: f.Reason})
	}
	topics, err := h.kafka.Stats(ctx, []string{kafka.Changes}, nil)
	if err != nil {
		h.log.WarnContext(ctx, "count changes", "error", err)
	}
	for _, t := range topics {
		s.WarehouseLag += max(0, t.Next-h.sink.Stats().Next[t.Partition])
	}
	s.Parts = h.parts(ctx)
	return s
}
