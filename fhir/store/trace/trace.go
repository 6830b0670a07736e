// Package trace decorates the repository for those who write on behalf of
// messages: it tells what a message wrote, tries a write without effect, and
// lets a replay write again.
package trace

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Plan collects what would have been written.
type Plan struct {
	Ops   []store.Op
	Fresh bool // as if nothing were stored yet: what a message makes, not what it changes
}

type planKey struct{}
type runKey struct{}

// WithPlan returns a context in which commits go into p and nowhere else.
func WithPlan(ctx context.Context, p *Plan) context.Context {
	return context.WithValue(ctx, planKey{}, p)
}

// Planned reports whether nothing may take effect: for those who would write
// elsewhere than here.
func Planned(ctx context.Context) bool {
	_, ok := ctx.Value(planKey{}).(*Plan)
	return ok
}

// WithRun returns a context in which transactions belong to a replay: they take
// effect though the same message's transaction did before.
func WithRun(ctx context.Context, run string) context.Context {
	return context.WithValue(ctx, runKey{}, run)
}

// Observer is told of every transaction that took effect; it must not block.
type Observer func(tx *store.Transaction, r *store.Result)

// Store is a decorated repository.
type Store struct {
	store.Store
	observe Observer
}

// New decorates st.
func New(st store.Store, observe Observer) *Store { return &Store{st, observe} }

// Snapshot implements store.Reader.
func (s *Store) Snapshot(ctx context.Context, min int64) (store.Snapshot, error) {
	sn, err := s.Store.Snapshot(ctx, min)
	if p, ok := ctx.Value(planKey{}).(*Plan); ok && p.Fresh && err == nil {
		return fresh{sn}, nil
	}
	return sn, err
}

// fresh is a view in which nothing is stored.
type fresh struct{ store.Snapshot }

// Read finds nothing.
func (fresh) Read(typ, id string) (*store.Version, error) {
	return nil, fault.New(fault.NotFound, "%s/%s", typ, id)
}

// Commit implements store.Writer.
func (s *Store) Commit(ctx context.Context, tx *store.Transaction) (*store.Result, error) {
	if p, ok := ctx.Value(planKey{}).(*Plan); ok {
		p.Ops = append(p.Ops, tx.Ops...)
		r := &store.Result{Outcomes: make([]store.Outcome, len(tx.Ops))}
		for i, op := range tx.Ops {
			r.Outcomes[i].Status = 200
			if op.ID != "" {
				r.Outcomes[i].Version = &store.Version{Type: op.Type, ID: op.ID, Method: op.Method, Resource: op.Resource}
			}
		}
		return r, nil
	}
	if run, ok := ctx.Value(runKey{}).(string); ok && run != "" {
		again := *tx
		again.ID += "~" + run
		tx = &again
	}
	r, err := s.Store.Commit(ctx, tx)
	if err == nil && s.observe != nil {
		s.observe(tx, r)
	}
	return r, err
}
