package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/sim"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// TestProvinceMonth sends five seeded weeks of eight halls through the real
// doors. Every indicator, by the operation and from each source of the
// warehouse, must equal its recomputation from the FHIR resources
// (recompute_test.go), and the back-test of the alerts must find what the
// simulator planted and nothing else.
func TestProvinceMonth(t *testing.T) {
	needEngine(t)
	h := startHub(t)
	cfg := sim.Default(time.Now())
	from := time.Date(2026, 8, 28, 0, 0, 0, 0, sim.China())
	cfg.Seed, cfg.Halls, cfg.Days, cfg.VisitsPerDay, cfg.Start, cfg.BaseURL = 11, 8, 35, 6, from, h.url("")
	report, err := sim.Run(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.eventually(60*time.Second, "everything in SQL", func() bool {
		return h.sql("SELECT count() FROM qihuang.encounter FINAL WHERE status = 'finished'") == fmt.Sprint(report.Truth.Visits) &&
			h.sql("SELECT count() FROM qihuang.charge FINAL") == fmt.Sprint(report.Truth.Charges)
	})
	k, err := rational.Load()
	if err != nil {
		t.Fatal(err)
	}
	september := time.Date(2026, 9, 1, 0, 0, 0, 0, sim.China())
	p := readProvince(h, september, september.AddDate(0, 1, 0))
	want := p.indicators(k)
	h.operations(want)
	h.sources(k, p, want, september)
	h.backtest(cfg)
}

// operations asks $evaluate-measure for every indicator.
func (h *program) operations(want map[string]ratio) {
	for name, w := range want {
		code, body := h.request("GET", "/fhir/Measure/"+name+"/$evaluate-measure?periodStart=2026-09-01&periodEnd=2026-09-30", "", nil)
		var r struct {
			Group []struct {
				Population   []struct{ Count float64 }
				MeasureScore struct{ Value *float64 }
			}
		}
		if err := json.Unmarshal(body, &r); err != nil || code != 200 || len(r.Group) != 1 || len(r.Group[0].Population) == 0 {
			h.t.Fatalf("%s: %d %s", name, code, body)
		}
		score, v := w.n, r.Group[0].MeasureScore.Value
		if w.d >= 0 {
			score = w.n / w.d
		}
		switch {
		case w.d == 0:
			if v != nil {
				h.t.Errorf("%s: a score without a denominator: %g", name, *v)
			}
		case v == nil || !same(*v, score):
			h.t.Errorf("%s: %s, recomputed %g", name, body, score)
		}
	}
}

// sources compares the three sources, with every indicator of the catalogue.
func (h *program) sources(k *rational.Knowledge, p *province, want map[string]ratio, from time.Time) {
	h.t.Helper()
	t := h.t
	db, err := openDatabase(ClickHouseConfig{User: "default"}, fmt.Sprintf("127.0.0.1:%d", h.port(8123)))
	if err != nil {
		t.Fatal(err)
	}
	defer db.conn.Close()
	c, err := measures.Load(k)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	marts := measures.NewMarts(c, db, clock.System{}, slog.New(slog.DiscardHandler))
	if err := marts.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	months, err := marts.Months(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range months {
		if err := marts.Build(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := marts.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	list := c.All()
	if len(list) != len(want) {
		t.Errorf("%d indicators, %d recomputed", len(list), len(want))
	}
	for name, source := range map[string]measures.Source{"live": measures.Live, "fact": measures.Fact, "cube": measures.Cube} {
		scores, err := c.Evaluate(ctx, db, measures.Scope{From: from, To: from.AddDate(0, 1, 0), Source: source}, list...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, m := range list {
			want[m.Name].check(t, name+" "+m.Name, scores[i].Numerator, scores[i].Denominator)
		}
		visits, err := c.Get("outpatient-visits")
		if err != nil {
			t.Fatal(err)
		}
		rows, err := c.Table(ctx, db, measures.Scope{From: from, To: from.AddDate(0, 1, 0), Source: source}, []string{"org", "day"}, visits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, count := map[string]float64{}, map[string]float64{}
		for _, r := range rows {
			got[r.Keys[0]+" "+r.Keys[1]] = r.Scores[0].Value
		}
		for _, v := range p.visits {
			count[v.org+" "+v.day.Format(time.DateOnly)]++
		}
		for key, n := range count {
			if got[key] != n {
				t.Errorf("%s: %s has %g visits, recomputed %g", name, key, got[key], n)
			}
		}
	}
	for _, name := range []string{"outpatient-visits", "overdose-prescription-rate", "syndrome-recorded-rate"} {
		m, err := c.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		var lists [2][]measures.Record
		for i, source := range []measures.Source{measures.Live, measures.Cube} {
			scope := measures.Scope{From: from, To: from.AddDate(0, 1, 0), Source: source}
			if lists[i], err = c.Records(ctx, db, scope, m, 5000); err != nil {
				t.Fatal(err)
			}
		}
		if len(lists[0]) == 0 || !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s: %d records live, %d from marts, or others", name, len(lists[0]), len(lists[1]))
		}
	}
}

// backtest compares the alerts of the simulated days with what was planted.
func (h *program) backtest(cfg sim.Config) {
	h.t.Helper()
	last := cfg.Start.AddDate(0, 0, cfg.Days-1)
	code, body := h.request("GET", "/api/supervision/alerts/backtest?from="+cfg.Start.Format(time.DateOnly)+"&to="+last.Format(time.DateOnly), "", nil)
	var r struct {
		Episodes []struct{ Rule, Org, First, Last, Text string }
	}
	if err := json.Unmarshal(body, &r); err != nil || code != 200 {
		h.t.Fatalf("backtest: %d %s", code, body)
	}
	found, planted := map[string]bool{}, map[string]bool{}
	for _, p := range cfg.Planted() {
		planted[p.Rule+" "+p.Org] = true
		for _, e := range r.Episodes {
			// a window looks back, so that it may fire a little later
			if e.Rule == p.Rule && e.Org == p.Org && e.Last >= p.From && e.First <= last.Format(time.DateOnly) {
				found[p.Rule+" "+p.Org] = true
			}
		}
		if !found[p.Rule+" "+p.Org] {
			h.t.Errorf("planted, not found: %+v", p)
		}
	}
	for _, e := range r.Episodes {
		if !planted[e.Rule+" "+e.Org] {
			h.t.Errorf("found, not planted: %+v", e)
		}
	}
}
