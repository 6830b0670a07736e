// Package ledger takes what the billing systems of halls and schemes tell of
// settlements (rows, files, messages) and compares both sides: the centre's
// list with the hall's rows.
//
//	POST /ingest/ncms                      rows, a file, or a message → inbound → Sink
//	POST /api/sources/ncms/reconcile       → PaymentReconciliation
package ledger

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
)

// Kind of the messages the [Sink] takes.
const Kind = "ncms"

// Searcher finds resources by a FHIR search query; *search.Engine is one.
type Searcher interface {
	IDs(ctx context.Context, ix search.Index, typ, query string, limit int) ([]string, error)
}

// Config of a ledger.
type Config struct {
	Source string         // name of the settlement source, part of every id
	Zone   *time.Location // of times without one
}

// Parts is what a ledger needs of the hub.
type Parts struct {
	Centre ncms.Ledger // nil: there is no centre to ask
	Store  store.Store
	Search Searcher
	Clock  clock.Clock
}

// Ledger writes and compares settlements. Safe for concurrent use.
type Ledger struct {
	cfg     Config
	parts   Parts
	encoder model.Encoder
	pending pending
}

// New returns a ledger.
func New(cfg Config, parts Parts) *Ledger { return &Ledger{cfg: cfg, parts: parts} }

// puts makes updates of resources.
func (l *Ledger) puts(ops []store.Op, rs ...tcm.Resource) ([]store.Op, error) {
	for _, r := range rs {
		body, err := l.encoder.Marshal(r.Model)
		if err != nil {
			return nil, err
		}
		ops = append(ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, SkipSame: true, Resource: body})
	}
	return ops, nil
}

func (l *Ledger) commit(ctx context.Context, id string, ops []store.Op) error {
	if len(ops) == 0 {
		return nil
	}
	if id == "" {
		id = uuid.NewString()
	}
	_, err := l.parts.Store.Commit(ctx, &store.Transaction{ID: id, Actor: l.cfg.Source, Time: l.parts.Clock.Now().UTC().Truncate(time.Millisecond), Ops: ops})
	return err
}

// owner finds or makes who holds a card: the Coverage read before, or a Patient
// and Coverage of what the row says.
func (l *Ledger) owner(snap store.Snapshot, who record.Card) (patientID string, rs []tcm.Resource, err error) {
	n, version, err := store.Current(snap, "Coverage", record.CoverageID(l.cfg.Source, who.Person.Card))
	if err != nil {
		return "", nil, err
	}
	if version > 0 {
		if have := record.ReadCard(n); have.PatientID != "" {
			return have.PatientID, nil, nil
		}
	}
	return who.Patient(), who.Resources(), nil
}
