package pebble_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
)

// overtaking lets others commit between the preparation of a large record and
// its place in the log.
type overtaking struct {
	*memory.Log
	between func()
}

func (l *overtaking) Append(ctx context.Context, records [][]byte) (int64, error) {
	if h, err := store.NewCodec().Header(records[0]); err == nil && h.ID == "large" {
		l.between()
	}
	return l.Log.Append(ctx, records)
}

// A large transaction is prepared on what it finds; what changed until it is
// applied counts all the same, and every resource has its index keys and no other.
func TestLargeTransactionIsOvertaken(t *testing.T) {
	log := &overtaking{Log: &memory.Log{}}
	cfg := storetest.Config(log.Log)
	cfg.Log = log
	s := open(t, vfs.NewMem(), cfg)
	stop := storetest.Launch(t, s)
	put := func(id, value string) store.Op {
		return store.Op{Method: store.Update, Type: "Patient", ID: id, Resource: fmt.Appendf(nil, `{"resourceType":"Patient","identifier":[{"value":%q}]}`, value)}
	}
	commit := func(id string, ops ...store.Op) {
		t.Helper()
		if _, err := s.Commit(t.Context(), &store.Transaction{ID: id, Ops: ops}); err != nil {
			t.Fatal(err)
		}
	}
	var old, large []store.Op
	for i := range 100 {
		old = append(old, put(fmt.Sprint("p", i), "old"))
	}
	commit("old", old...)
	for i := range 3 * store.Large {
		op := put(fmt.Sprint("p", i), fmt.Sprint("large-", i*7919))
		if i%5 == 4 && i >= 100 {
			op.Method = store.Create
		}
		op.SkipSame = i%3 == 0
		large = append(large, op)
	}
	large[160].IfNewer = "2026-11-25T00:00:00Z"
	log.between = func() {
		same, newer := large[150], put("p160", "newer") // the large one's are the same, and late
		newer.IfNewer = "2026-11-26T00:00:00Z"
		commit("between", put("p1", "between"), put("p101", "between"), same, newer, store.Op{Method: store.Delete, Type: "Patient", ID: "p2"})
	}
	commit("large", large...)
	commit("small", put("p3", "small"))

	sn, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var want [][]byte
	for i := range large {
		v, err := sn.Read("Patient", fmt.Sprint("p", i))
		if err != nil {
			t.Fatal(err)
		}
		tree, err := fhir.Parse(v.Resource)
		if err != nil {
			t.Fatal(err)
		}
		if want, err = cfg.Indexer.Keys(want, "Patient", v.ID, tree.Root()); err != nil {
			t.Fatal(err)
		}
		if version := map[int]int64{1: 3, 2: 3, 3: 3, 50: 2, 101: 2, 150: 1, 160: 1, 200: 1}[i]; version != 0 && v.Version != version {
			t.Errorf("p%d has version %d, want %d", i, v.Version, version)
		}
	}
	var got [][]byte
	it := sn.Index().Iter(nil, nil)
	for it.Next() {
		got = append(got, bytes.Clone(it.Key()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want, bytes.Compare)
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d keys in the index, want %d", len(got), len(want))
	}
	sn.Close()

	follower := mem(t, log.Log)
	storetest.Start(t, follower)
	_, next, _ := log.Bounds(t.Context())
	storetest.Reach(t, follower, next-1)
	storetest.Same(t, s, follower)
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
