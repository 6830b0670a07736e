package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/robfig/cron/v3"
	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/desk"
	"github.com/qihuang-health/qihuang/adapters/ncms/ledger"
	"github.com/qihuang-health/qihuang/adapters/ncms/xnh"
	"github.com/qihuang-health/qihuang/adapters/ncms/yb"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// ncmsName is the settlement source that is there without a configuration.
const ncmsName = "ncms"

// facadeLimit is the longest a hall waits for an answer: its clients give up
// after eight seconds.
const facadeLimit = 7500 * time.Millisecond

// NCMSConfig is one settlement centre (新农合/医保) and the halls that use it.
type NCMSConfig struct {
	Centre    string   `yaml:"centre"`    // URL of its service; "" = none, halls are told so
	Dialect   string   `yaml:"dialect"`   // xnh | yb
	Timeout   span     `yaml:"timeout"`   // of one exchange with it
	Grace     span     `yaml:"grace"`     // a settlement the hall was never told of is reversed after it
	Retry     span     `yaml:"retry"`     // open steps are looked at so often
	Area      string   `yaml:"area"`      // yb: 就医地医保区划
	Hospitals []string `yaml:"hospitals"` // reconciled by schedule
	Reconcile string   `yaml:"reconcile"` // when: five-part cron, for the day before; "" = never
}

// span is a duration in YAML: 3s, or a number of seconds.
type span time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *span) UnmarshalYAML(n *yaml.Node) error {
	if seconds, err := strconv.ParseFloat(n.Value, 64); err == nil {
		*s = span(seconds * float64(time.Second))
		return nil
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil {
		return fault.New(fault.Invalid, "第 %d 行：%q 不是时长，应为 3s、30m 或秒数", n.Line, n.Value)
	}
	*s = span(d)
	return nil
}

// MarshalYAML implements yaml.Marshaler.
func (s span) MarshalYAML() (any, error) { return time.Duration(s).String(), nil }

func defaultNCMS() NCMSConfig {
	d := desk.Default(ncmsName)
	return NCMSConfig{Dialect: "xnh", Timeout: span(3 * time.Second), Grace: span(d.Grace), Retry: span(d.Retry), Hospitals: []string{}, Reconcile: "30 2 * * *"}
}

// Validate tells what is wrong with c, nil if nothing.
func (c NCMSConfig) Validate() error {
	switch {
	case c.Dialect != "xnh" && c.Dialect != "yb":
		return fault.New(fault.Invalid, "dialect 应为 xnh 或 yb，现为 %q", c.Dialect)
	case c.Timeout < span(100*time.Millisecond) || c.Timeout > span(time.Minute):
		return fault.New(fault.Invalid, "timeout 应在 100ms 与 1m 之间")
	case c.Grace < span(time.Minute) || c.Grace > span(24*time.Hour):
		return fault.New(fault.Invalid, "grace 应在 1m 与 24h 之间")
	case c.Retry < span(100*time.Millisecond) || c.Retry > span(time.Hour):
		return fault.New(fault.Invalid, "retry 应在 100ms 与 1h 之间")
	}
	if c.Reconcile != "" {
		if _, err := cron.ParseStandard(c.Reconcile); err != nil {
			return fault.New(fault.Invalid, "reconcile 应为五段 cron，例如 30 2 * * *：%w", err)
		}
	}
	return nil
}

// settlement is one running settlement source.
type settlement struct {
	name   string
	cfg    NCMSConfig
	desk   *desk.Desk
	scheme ncms.Scheme // the desk, with catalogues where the centre has them
	ledger *ledger.Ledger
}

// mountNCMS makes the settlement sources and their doors: the first one at the
// path that hospital systems know, all at one with their name.
func (h *hub) mountNCMS(r gin.IRouter) error {
	for _, c := range h.cfg.Sources {
		if c.Kind == "ncms" {
			h.settlements = append(h.settlements, &settlement{name: c.Name, cfg: *c.NCMS})
		}
	}
	if len(h.settlements) == 0 {
		h.settlements = []*settlement{{name: ncmsName, cfg: defaultNCMS()}}
		h.desk.Register(ncmsName, "ncms", xnh.Path, source.DefaultRules())
	}
	for i, s := range h.settlements {
		if err := h.openSettlement(s); err != nil {
			return fault.New(fault.KindOf(err), "来源 %s：%w", s.name, err)
		}
		old := xnh.NewServer(s.scheme, facadeLimit, h.log)
		national := yb.NewServer(s.scheme, facadeLimit, h.zone, h.clock, h.log)
		paths := map[string]http.Handler{"/Webservices/" + s.name + "/HCNWebservices": old, "/Webservices/" + s.name + "/yb": national}
		if i == 0 {
			paths[xnh.Path], paths[yb.Path] = old, national
		}
		for path, handler := range paths {
			r.Any(path, gin.WrapH(handler))
		}
		ledger.NewDoor(s.name, ledger.DoorParts{Ledger: s.ledger, Inbound: h.desk, Letters: h.desk.Letters(), IDs: pipeline.NewIDs(h.clock), Clock: h.clock, Log: h.log}).Mount(r)
		if i == 0 {
			h.inbound.Handle(ledger.Kind, s.ledger)
		}
	}
	return nil
}

// settlementOf is a configured settlement source's work and where halls find it.
func (h *hub) settlementOf(name string) (run func(context.Context) error, note string, err error) {
	for i, s := range h.settlements {
		if s.name != name {
			continue
		}
		note = "/Webservices/" + name + "/HCNWebservices"
		if i == 0 {
			note = xnh.Path
		}
		return s.run(h), note, nil
	}
	return nil, "", fault.New(fault.Internal, "settlement source %s is not open", name)
}

// openSettlement connects a source: centre, desk, ledger.
func (h *hub) openSettlement(s *settlement) error {
	scheme, err := h.centre(s.cfg)
	if err != nil {
		return err
	}
	cfg := desk.Default(s.name)
	cfg.Grace, cfg.Retry, cfg.Zone = time.Duration(s.cfg.Grace), time.Duration(s.cfg.Retry), h.zone
	if err := cfg.Validate(); err != nil {
		return err
	}
	st := h.sinkStore(s.name)
	s.desk = desk.New(cfg, desk.Parts{Scheme: scheme, Store: st, Search: h.search, Clock: h.clock, Log: h.log})
	s.scheme = s.desk
	if c, ok := scheme.(ncms.Catalogues); ok {
		s.scheme = desk.WithCatalogues(s.desk, c)
	}
	s.ledger = ledger.New(ledger.Config{Source: s.name, Zone: h.zone}, ledger.Parts{Centre: scheme, Store: st, Search: h.search, Clock: h.clock})
	return nil
}

// centre makes the client of a centre.
func (h *hub) centre(c NCMSConfig) (ncms.Scheme, error) {
	if c.Centre == "" {
		return ncms.Nowhere{}, nil
	}
	if err := h.outbound.Check(c.Centre); err != nil {
		return nil, err
	}
	client := h.outbound.HTTP(0)
	if c.Dialect == "yb" {
		return yb.NewClient(yb.Config{Address: c.Centre, Timeout: time.Duration(c.Timeout), Area: c.Area, Zone: h.zone}, client, h.clock)
	}
	return xnh.NewClient(c.Centre, time.Duration(c.Timeout), client)
}

// run ends open steps and reconciles by schedule until ctx ends.
func (s *settlement) run(h *hub) func(context.Context) error {
	return func(ctx context.Context) error {
		if s.cfg.Centre == "" {
			return nil
		}
		clock := cron.New(cron.WithLocation(h.zone))
		if s.cfg.Reconcile != "" && len(s.cfg.Hospitals) > 0 {
			if _, err := clock.AddFunc(s.cfg.Reconcile, func() { s.yesterday(ctx, h) }); err != nil {
				return err
			}
		}
		clock.Start()
		err := s.desk.Run(ctx)
		<-clock.Stop().Done()
		return err
	}
}

// yesterday reconciles the day before for every hall.
func (s *settlement) yesterday(ctx context.Context, h *hub) {
	day := h.clock.Now().In(h.zone).AddDate(0, 0, -1).Format(time.DateOnly)
	for _, hall := range s.cfg.Hospitals {
		r, err := s.ledger.Reconcile(ctx, ncms.Days{Caller: ncms.Caller{Hospital: hall}, From: day, To: day})
		if err != nil {
			h.log.WarnContext(ctx, "reconcile settlements", "source", s.name, "hospital", hall, "day", day, "fault", fault.KindOf(err).String())
			continue
		}
		h.log.InfoContext(ctx, "settlements reconciled", "source", s.name, "hospital", hall, "day", day, "entries", r.Compared, "mismatches", len(r.Findings), "orphans", len(r.Orphans))
	}
}
