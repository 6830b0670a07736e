package trace

import (
	"context"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// kept is a store that remembers transaction ids.
type kept struct {
	store.Store
	ids []string
}

type view struct{ store.Snapshot }

func (view) Read(typ, id string) (*store.Version, error) {
	return &store.Version{Type: typ, ID: id}, nil
}

func (k *kept) Commit(_ context.Context, tx *store.Transaction) (*store.Result, error) {
	k.ids = append(k.ids, tx.ID)
	return &store.Result{}, nil
}
func (k *kept) Snapshot(context.Context, int64) (store.Snapshot, error) { return view{}, nil }

func TestPlanHasNoEffect(t *testing.T) {
	k, seen := &kept{}, 0
	s := New(k, func(*store.Transaction, *store.Result) { seen++ })
	tx := &store.Transaction{ID: "t", Ops: []store.Op{{Method: store.Update, Type: "Patient", ID: "1"}}}
	p := Plan{Fresh: true}
	ctx := WithPlan(t.Context(), &p)
	if r, err := s.Commit(ctx, tx); err != nil || len(p.Ops) != 1 || len(k.ids) != 0 || seen != 0 || r.Outcomes[0].Version.ID != "1" {
		t.Errorf("%+v %v, ops %v, ids %v", r, err, p.Ops, k.ids)
	}
	sn, _ := s.Snapshot(ctx, 0)
	if _, err := sn.Read("Patient", "1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a fresh plan sees what is stored: %v", err)
	}
	sn, _ = s.Snapshot(WithPlan(t.Context(), &Plan{}), 0)
	if _, err := sn.Read("Patient", "1"); err != nil {
		t.Errorf("a check does not see what is stored: %v", err)
	}
}

func TestARunWritesAgain(t *testing.T) {
	k, seen := &kept{}, 0
	s := New(k, func(*store.Transaction, *store.Result) { seen++ })
	tx := &store.Transaction{ID: "t"}
	for _, ctx := range []context.Context{t.Context(), WithRun(t.Context(), ""), WithRun(t.Context(), "r1")} {
		if _, err := s.Commit(ctx, tx); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.ids) != 3 || k.ids[1] != "t" || k.ids[2] != "t~r1" || tx.ID != "t" || seen != 3 {
		t.Errorf("%v, %d seen", k.ids, seen)
	}
}
