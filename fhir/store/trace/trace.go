// Package trace decorates the repository for those who write on behalf of
// messages: it tells what a message wrote, tries a write without effect, and
// lets a replay write again.
package trace

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir/store"
)

// Plan collects what would have been written.
type Plan struct{ Ops []store.Op }

type planKey struct{}
type runKey struct{}

// WithPlan returns a context in which commits go into p and nowhere else.
func WithPlan(ctx context.Context, p *Plan) context.Context {
	return context.WithValue(ctx, planKey{}, p)
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
