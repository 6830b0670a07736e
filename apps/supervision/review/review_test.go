package review

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// rows answers every query with the same drawn prescriptions.
type rows struct {
	list   []Drawn
	params map[string]string
}

func (r *rows) Query(_ context.Context, _ string, params map[string]string, fn func(func(...any) error) error) error {
	r.params = params
	for _, d := range r.list {
		err := fn(func(dest ...any) error {
			for i, s := range []string{d.Prescription, d.Request, d.Encounter, d.Org, d.Doctor, d.Category, d.Day} {
				*dest[i].(*string) = s
			}
			*dest[7].(*uint64) = 40
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func newDesk(t *testing.T) (*Desk, *rows) {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	se := search.NewEngine(m, fhirpath.NewEngine(m))
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = st.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	c, err := LoadCriteria()
	if err != nil {
		t.Fatal(err)
	}
	q := &rows{}
	for i := range 6 {
		q.list = append(q.list, Drawn{fmt.Sprintf("sys|%d", i), fmt.Sprintf("rx%d", i), "e1", fmt.Sprintf("org%d", i%2), "d1", "decoction", "2026-11-03"})
	}
	return &Desk{Cabinet: &cabinet.Cabinet{Store: st, Search: se, Clock: clock.System{}}, SQL: q, Criteria: c}, q
}

func plan() Plan {
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	return Plan{Name: "十一月", From: from, To: from.AddDate(0, 1, 0), Place: "全省", Category: "decoction", Method: ByDoctor, Count: 6, Seed: "7", By: "李药师", Orgs: []string{"org0", "org1"}}
}

// TestReview works a sample off: what is filed comes back, judgements count.
func TestReview(t *testing.T) {
	d, _ := newDesk(t)
	ctx := context.Background()
	made, err := d.Create(ctx, plan())
	if err != nil {
		t.Fatal(err)
	}
	s, items, err := d.Sample(ctx, made.ID)
	if err != nil || s.Size != 6 || s.Population != 40 || len(items) != 6 {
		t.Fatalf("%v %+v, %d items", err, s, len(items))
	}
	if want := plan(); s.Plan.Name != want.Name || s.Plan.Seed != "7" || s.Plan.Method != ByDoctor || !s.Plan.From.Equal(want.From) || !s.Plan.To.Equal(want.To) || s.Plan.Count != 6 || !reflect.DeepEqual(s.Plan.Orgs, want.Orgs) {
		t.Errorf("the plan came back as %+v", s.Plan)
	}
	bad, err := d.Judge(ctx, items[0].ID, Judgement{Version: items[0].Version, Reasons: []string{"2-5", "1-15"}, Note: "附子超量", By: "李药师"})
	if err != nil || bad.State != Unreasonable {
		t.Fatalf("%v %+v", err, bad)
	}
	if _, err := d.Judge(ctx, items[0].ID, Judgement{Version: items[0].Version, By: "王药师"}); !fault.Is(err, fault.Precondition) && !fault.Is(err, fault.Conflict) {
		t.Errorf("judged over a colleague's judgement: %v", err)
	}
	if _, err := d.Judge(ctx, items[1].ID, Judgement{Version: items[1].Version, By: "李药师"}); err != nil {
		t.Fatal(err)
	}
	for name, j := range map[string]Judgement{"no one": {Version: 1}, "no such reason": {Version: 1, By: "a", Reasons: []string{"9-9"}}} {
		if _, err := d.Judge(ctx, items[2].ID, j); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, err := d.Samples(ctx)
	if err != nil || len(list) != 1 || list[0].Done != 2 {
		t.Fatalf("%v %+v", err, list)
	}
	_, items, err = d.Sample(ctx, made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if i := items[0]; i.Drawn != bad.Drawn || i.Note != "附子超量" || !reflect.DeepEqual(i.Reasons, []string{"2-5", "1-15"}) || i.By != "李药师" {
		t.Errorf("the judgement came back as %+v", i)
	}
	got := Counts(items, func(i *Item) []string { return []string{i.Drawn.Org} })
	if want := []Count{{"org0", 3, 2, 1}, {"org1", 3, 0, 0}}; !reflect.DeepEqual(got, want) {
		t.Errorf("by hall %+v", got)
	}
	if got := Counts(items, func(i *Item) []string { return i.Reasons }); len(got) != 2 || got[0].Key != "1-15" {
		t.Errorf("by reason %+v", got)
	}
}

func TestPlan_bad(t *testing.T) {
	d, q := newDesk(t)
	for name, change := range map[string]func(*Plan){
		"no name": func(p *Plan) { p.Name = "" }, "no seed": func(p *Plan) { p.Seed = "" }, "no method": func(p *Plan) { p.Method = "best" }, "both": func(p *Plan) { p.Percent = 5 },
		"neither": func(p *Plan) { p.Count = 0 }, "too many": func(p *Plan) { p.Count = MaxSample + 1 }, "more than all": func(p *Plan) { p.Count, p.Percent = 0, 101 }, "too long": func(p *Plan) { p.To = p.To.AddDate(2, 0, 0) },
	} {
		p := plan()
		change(&p)
		if _, err := d.Create(context.Background(), p); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	q.list = nil
	if _, err := d.Create(context.Background(), plan()); !fault.Is(err, fault.NotFound) {
		t.Errorf("nothing to draw from: %v", err)
	}
}

// TestSeedIsBound: what people write reaches the database as a parameter.
func TestSeedIsBound(t *testing.T) {
	d, q := newDesk(t)
	p := plan()
	p.Seed = "'; DROP TABLE t"
	if _, _, err := p.Draw(context.Background(), d.SQL); err != nil || q.params["seed"] != p.Seed {
		t.Errorf("%v, seed %q", err, q.params["seed"])
	}
}

func TestCriteria(t *testing.T) {
	c, err := LoadCriteria()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, g := range c.Groups {
		counts[g.Code] = len(g.Criteria)
		if !strings.Contains(g.Source, "卫医管发〔2010〕28号") {
			t.Errorf("group %s names the source %q", g.Code, g.Source)
		}
	}
	if counts["1"] != 15 || counts["2"] != 9 || counts["3"] != 4 {
		t.Errorf("criteria by group: %v", counts)
	}
	if h := c.Hinted([]rational.Finding{{Kind: rational.Overdose}}); !h["2-5"] || h["2-8"] {
		t.Errorf("an overdose hints at %v", h)
	}
}
