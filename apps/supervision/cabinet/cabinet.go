// Package cabinet keeps the working papers of supervision (samples and reviews
// of prescriptions, reports, saved tables) as FHIR resources in the repository,
// so that every client sees them, with their versions and history.
package cabinet

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
)

// Searcher finds resources; *search.Engine is one.
type Searcher interface {
	Search(ctx context.Context, ix search.Index, req search.Request) (*search.Page, error)
}

// Cabinet reads and writes papers; it is safe for concurrent use.
type Cabinet struct {
	Store  store.Store
	Search Searcher
	Clock  clock.Clock
}

// Paper is one resource. A Version of 0 says that it is new.
type Paper struct {
	Type, ID string
	Version  int64
	Body     []byte
}

const actor = "supervision"

// Read returns the current version; fault.NotFound, fault.Gone.
func (c *Cabinet) Read(ctx context.Context, typ, id string) (p Paper, err error) {
	snap, err := c.Store.Snapshot(ctx, 0)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	v, err := snap.Read(typ, id)
	if err != nil {
		return p, err
	}
	return Paper{typ, id, v.Version, v.Resource}, nil
}

// List returns what a search finds, in its order, at most limit.
func (c *Cabinet) List(ctx context.Context, typ, query string, limit int) (out []Paper, err error) {
	snap, err := c.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	page, err := c.Search.Search(ctx, snap.Index(), search.Request{Type: typ, Query: query, Count: limit})
	if err != nil {
		return nil, err
	}
	for _, m := range page.Matches {
		v, err := snap.Read(typ, m.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, Paper{typ, m.ID, v.Version, v.Resource})
	}
	return out, nil
}

// Put writes papers, all or none: new ones only if there are none yet, others
// only if nobody wrote them since. fault.Precondition where someone was faster.
func (c *Cabinet) Put(ctx context.Context, papers ...Paper) error {
	tx := &store.Transaction{ID: uuid.NewString(), Actor: actor, Time: c.Clock.Now()}
	for _, p := range papers {
		tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: p.Type, ID: p.ID, Resource: p.Body, IfMatch: p.Version, IfNoneMatch: p.Version == 0})
	}
	if _, err := c.Store.Commit(ctx, tx); err != nil {
		return fmt.Errorf("write papers: %w", err)
	}
	return nil
}

// Delete removes a paper; its history stays.
func (c *Cabinet) Delete(ctx context.Context, p Paper) error {
	_, err := c.Store.Commit(ctx, &store.Transaction{ID: uuid.NewString(), Actor: actor, Time: c.Clock.Now(), Ops: []store.Op{{Method: store.Delete, Type: p.Type, ID: p.ID, IfMatch: p.Version}}})
	if err != nil {
		return fmt.Errorf("delete %s/%s: %w", p.Type, p.ID, err)
	}
	return nil
}
