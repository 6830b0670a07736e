package report

import (
	"context"
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
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// rig is a desk over a memory repository whose indicators all have the value of
// the moment.
type rig struct {
	*Desk
	t     *testing.T
	value float64
}

func newRig(t *testing.T) *rig {
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
	k, err := rational.Load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := measures.Load(k)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, value: 1.0 / 3}
	r.Desk = &Desk{Cabinet: &cabinet.Cabinet{Store: st, Search: se, Clock: clock.System{}}, Catalogue: c, Evaluate: r.evaluate}
	return r
}

func (r *rig) evaluate(_ context.Context, s measures.Scope, list ...*measures.Measure) ([]measures.Score, error) {
	out := make([]measures.Score, len(list))
	for i := range list {
		out[i] = measures.Score{Numerator: 1234.56 * r.value, Denominator: 1234.56, Value: r.value, Defined: true}
	}
	if s.From.Year() < 2026 {
		out[0] = measures.Score{} // nothing a year ago
	}
	return out, nil
}

func (r *rig) act(id, action string) *Report {
	r.t.Helper()
	now, err := r.Report(context.Background(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	after, err := r.Act(context.Background(), id, now.Version, action, "张三", "")
	if err != nil {
		r.t.Fatalf("%s: %v", action, err)
	}
	return after
}

var hall = Place{Org: "379901000001", Name: "张庄镇卫生院中医馆"}

// TestLock leads a hall's report to its approval: what was submitted stays, to
// the last digit, whatever the warehouse says later.
func TestLock(t *testing.T) {
	r, ctx := newRig(t), context.Background()
	first, err := r.Create(ctx, "2026-01", hall, []string{hall.Org}, "李四")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(ctx, "2026-01", hall, nil, "李四"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second report of the same month: %v", err)
	}
	r.value = 0.5
	draft, err := r.Refresh(ctx, first.ID, first.Version, nil, "李四")
	if err != nil || draft.Figures[1].Now.Value != 0.5 {
		t.Fatalf("a draft follows the data: %v %+v", err, draft)
	}
	if _, err := r.Act(ctx, first.ID, first.Version, "submit", "李四", ""); !fault.Is(err, fault.Precondition) && !fault.Is(err, fault.Conflict) {
		t.Errorf("submitted an old version: %v", err)
	}
	for _, c := range []struct {
		action string
		want   State
	}{{"submit", Submitted}, {"approve", County}, {"approve", City}, {"approve", Approved}} {
		if got := r.act(first.ID, c.action); got.State != c.want {
			t.Fatalf("%s leads to %s, wanted %s", c.action, got.State, c.want)
		}
	}
	r.value = 0.75
	locked, err := r.Report(ctx, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"submit", "approve", "return"} {
		if _, err := r.Act(ctx, first.ID, locked.Version, action, "王五", "理由"); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s of a locked report: %v", action, err)
		}
	}
	if _, err := r.Refresh(ctx, first.ID, locked.Version, nil, "王五"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a locked report was computed anew: %v", err)
	}
	second, err := r.Correct(ctx, first.ID, nil, "王五", "补传了一天的数据")
	if err != nil {
		t.Fatal(err)
	}
	if second.Replaces != first.ID || second.State != Draft || second.Number != 2 || second.Reason != "补传了一天的数据" || second.Figures[1].Now.Value != 0.75 {
		t.Errorf("the correction: %+v", second)
	}
	again, err := r.Report(ctx, first.ID)
	if err != nil || !again.Locked() || !again.Intact() || again.Version != locked.Version {
		t.Fatalf("the locked report changed: %v %+v", err, again)
	}
	for i, f := range again.Figures {
		if f != draft.Figures[i] {
			t.Errorf("%s: %+v, was submitted as %+v", f.Measure, f, draft.Figures[i])
		}
	}
	for name, c := range map[string]struct {
		f    Filter
		want int
	}{"all": {Filter{}, 2}, "drafts": {Filter{State: Draft}, 1}, "of the place": {Filter{Places: []Place{{City: "别处"}, first.Place}}, 2}, "of another": {Filter{Places: []Place{{City: `a,b|c`}}}, 0}, "approved here": {Filter{State: Approved, Places: []Place{first.Place}}, 1}} {
		if list, err := r.Reports(ctx, c.f); err != nil || len(list) != c.want {
			t.Errorf("%s: %d reports listed (%v)", name, len(list), err)
		}
	}
	if id, err := r.Replacement(ctx, again); err != nil || id != "" {
		t.Errorf("a draft replaces: %q (%v)", id, err)
	}
	for _, action := range []string{"submit", "approve", "approve", "approve"} {
		if n, err := r.Report(ctx, second.ID); err == nil && !n.Locked() {
			r.act(second.ID, action)
		}
	}
	if id, err := r.Replacement(ctx, again); err != nil || id != second.ID {
		t.Errorf("replaced by %q (%v)", id, err)
	}
}

// TestSeal: figures changed behind the application's back are seen, and cannot
// be approved.
func TestSeal(t *testing.T) {
	r, ctx := newRig(t), context.Background()
	first, err := r.Create(ctx, "2026-Q1", Place{City: "济南市", Name: "济南市"}, nil, "李四")
	if err != nil {
		t.Fatal(err)
	}
	sent := r.act(first.ID, "submit")
	sent.Figures[0].Now.Numerator++
	if err := r.put(ctx, sent); err != nil {
		t.Fatal(err)
	}
	changed, err := r.Report(ctx, first.ID)
	if err != nil || changed.Intact() {
		t.Fatalf("the change is not seen (%v)", err)
	}
	if _, err := r.Act(ctx, first.ID, changed.Version, "approve", "王五", ""); !fault.Is(err, fault.Conflict) {
		t.Errorf("approved: %v", err)
	}
	if back, err := r.Act(ctx, first.ID, changed.Version, "return", "王五", "数字不符"); err != nil || back.State != Draft {
		t.Errorf("returned: %v %+v", err, back)
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct {
		place Place
		want  []State
	}{
		{Place{}, []State{Submitted, Approved}},
		{Place{City: "济南市"}, []State{Submitted, Approved}},
		{Place{City: "济南市", Area: "示例县"}, []State{Submitted, City, Approved}},
		{hall, []State{Submitted, County, City, Approved}},
	} {
		r := &Report{Place: c.place, State: Draft}
		for _, want := range c.want {
			if r.State = r.Next(); r.State != want {
				t.Errorf("%s: %s, wanted %s", c.place.Level(), r.State, want)
			}
		}
		if r.Next() != "" {
			t.Errorf("%s: something follows the approval", c.place.Level())
		}
	}
}

func TestSpan(t *testing.T) {
	for period, want := range map[string][3]string{"2026-02": {"month", "2026-02-01", "2026-03-01"}, "2026-Q4": {"quarter", "2026-10-01", "2027-01-01"}, "2026": {"year", "2026-01-01", "2027-01-01"}} {
		kind, from, to, err := Span(period)
		if got := [3]string{kind, from.Format(time.DateOnly), to.Format(time.DateOnly)}; err != nil || got != want {
			t.Errorf("%s: %v (%v)", period, got, err)
		}
	}
	for _, bad := range []string{"", "2026-Q5", "2026-13", "26", "2026-1-1", "'; DROP"} {
		if _, _, _, err := Span(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCreate_bad(t *testing.T) {
	r, ctx := newRig(t), context.Background()
	for name, c := range map[string]struct{ period, by string }{"no one": {"2026-01", ""}, "future": {"2999", "李四"}, "no period": {"January", "李四"}} {
		if _, err := r.Create(ctx, c.period, hall, nil, c.by); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Report(ctx, "report-none-v1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown report: %v", err)
	}
}
