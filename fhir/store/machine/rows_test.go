package machine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// While resources are written a snapshot reads what its own history says, old
// snapshots too, from a cache so small that it is always full.
func TestRowsAreThoseOfTheView(t *testing.T) {
	cfg := storetest.Config(nil)
	cfg.Rows = 64 << 10
	s, err := memory.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, s)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for seed := range uint64(2) {
		writers.Go(func() {
			g := storetest.NewRandom(seed)
			for range 300 {
				tx := *g.Next()
				tx.ID = fmt.Sprint(seed, tx.ID)
				_, _ = s.Commit(context.Background(), &tx)
			}
		})
	}
	for seed := range uint64(4) {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0))
			var kept store.Snapshot
			for n := 0; ; n++ {
				select {
				case <-done:
					if kept != nil {
						kept.Close()
					}
					return
				default:
				}
				sn, err := s.Snapshot(context.Background(), 0)
				if err != nil {
					t.Error(err)
					return
				}
				compareRows(t, r, sn)
				if kept == nil {
					kept = sn
					continue
				}
				compareRows(t, r, kept)
				if r.IntN(10) == 0 {
					kept, sn = sn, kept
				}
				sn.Close()
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func compareRows(t *testing.T, r *rand.Rand, sn store.Snapshot) {
	for range 4 {
		typ, id := []string{"Patient", "Group"}[r.IntN(2)], fmt.Sprint("r", r.IntN(12))
		got, err := sn.Read(typ, id)
		for c, herr := range sn.History(store.HistoryQuery{Type: typ, ID: id, Limit: 1}) {
			switch {
			case herr != nil: // never there
				if !fault.Is(err, fault.NotFound) {
					t.Errorf("%s/%s: %v, history %v", typ, id, err, herr)
				}
			case c.Deleted():
				if !fault.Is(err, fault.Gone) {
					t.Errorf("%s/%s: %v, deleted in history", typ, id, err)
				}
			case err != nil || got.Version != c.Version.Version || string(got.Resource) != string(c.Resource):
				t.Errorf("%s/%s: version %v, history %d: %v", typ, id, got, c.Version.Version, err)
			}
		}
	}
}
