package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func mem(t testing.TB, log *memory.Log) *memory.Store { return memOf(t, storetest.Config(log)) }

// policy is the suite's configuration with the seed's retention of history.
func policy(log *memory.Log, seed uint64) machine.Config {
	cfg := storetest.Config(log)
	cfg.History.Versions, cfg.History.Age = storetest.Kept(seed)
	return cfg
}

func memOf(t testing.TB, cfg machine.Config) *memory.Store {
	t.Helper()
	s, err := memory.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Both stores give the same answers to the same random transactions.
func TestMetamorphic(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			a := memOf(t, policy(&memory.Log{}, seed))
			storetest.Start(t, a)
			b := open(t, vfs.NewMem(), policy(&memory.Log{}, seed))
			stop := storetest.Launch(t, b)
			storetest.Agree(t, a, b, seed, 400)
			stop()
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Stores that applied one log are byte-identical, whoever submitted it and
// however often they were restarted.
func TestSameLogSameBytes(t *testing.T) {
	log := &memory.Log{}
	submitter := open(t, vfs.NewMem(), policy(log, 3))
	stop := storetest.Launch(t, submitter)
	var wg sync.WaitGroup
	for seed := range uint64(4) { // concurrent clients: prepared ahead, times out of order
		wg.Go(func() {
			g := storetest.NewRandom(seed)
			for i := range 200 {
				tx := *g.Next()
				tx.ID = fmt.Sprint(seed, "-", tx.ID)
				tx.Time = time.Date(2020, 1, 1, 0, i, 0, 0, time.UTC)
				_, _ = submitter.Commit(context.Background(), &tx)
			}
		})
	}
	wg.Wait()
	_, next, _ := log.Bounds(t.Context())

	follower := memOf(t, policy(log, 3))
	storetest.Start(t, follower)
	storetest.Reach(t, follower, next-1)

	fs := vfs.NewMem()
	for at := int64(0); at < next-1; at += 150 { // a node restarted again and again
		s := open(t, fs, policy(log, 3))
		halt := storetest.Launch(t, s)
		storetest.Reach(t, s, min(at, next-1))
		halt()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	restarted := open(t, fs, policy(log, 3))
	halt := storetest.Launch(t, restarted)
	storetest.Reach(t, restarted, next-1)

	storetest.Same(t, submitter, follower)
	storetest.Same(t, submitter, restarted)
	stop()
	halt()
	if err := errors.Join(submitter.Close(), restarted.Close()); err != nil {
		t.Fatal(err)
	}
}

// After a power cut at any moment the log's tail brings the store to where one
// that never failed stands.
func TestCrash(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for round := range 8 {
		log := &memory.Log{}
		records := storetest.NewRandom(uint64(round)).Records(300)
		fs := vfs.NewCrashableMem()
		for from := 0; from < len(records); {
			to := min(from+1+rng.IntN(120), len(records))
			first, err := log.Append(t.Context(), records[from:to])
			if err != nil {
				t.Fatal(err)
			}
			s := open(t, fs, policy(log, uint64(round)))
			stop := storetest.Launch(t, s)
			storetest.Reach(t, s, first+int64(rng.IntN(to-from)))
			if rng.IntN(3) == 0 { // keys that no offer may ever follow
				if err := s.Build(t.Context(), storetest.Parameters("gn"), nil); err != nil && !fault.Is(err, fault.Conflict) { // overtaken by an offer
					t.Fatal(err)
				}
			}
			if rng.IntN(2) == 0 { // some of it reaches the disk
				if _, err := s.Checkpoint(fmt.Sprint("cp", from)); err != nil {
					t.Fatal(err)
				}
			}
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			stop()
			if err := s.Abandon(); err != nil {
				t.Fatal(err)
			}
			fs, from = crashed, to
		}
		s := open(t, fs, policy(log, uint64(round)))
		stop := storetest.Launch(t, s)
		whole := memOf(t, policy(log, uint64(round)))
		storetest.Start(t, whole)
		storetest.Reach(t, s, int64(len(records)-1))
		storetest.Reach(t, whole, int64(len(records)-1))
		storetest.Same(t, whole, s)
		stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that fails while tables are written or read leaves nothing half-written
// for a restart. (When the manifest cannot be written Pebble ends the process:
// the same as a crash.)
func TestFailingDisk(t *testing.T) {
	log := &memory.Log{}
	records := storetest.NewRandom(3).Records(200)
	if _, err := log.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	base := vfs.NewMem()
	for index := int32(0); index < 24; index += 2 {
		inj := errorfs.ErrInjected.If(errorfs.And(errorfs.PathMatch("db/*.sst"), errorfs.OnIndex(index)))
		s, err := tryOpen(errorfs.Wrap(base, inj), log)
		if err != nil {
			continue // failed while opening
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		if sn, err := s.Snapshot(ctx, int64(len(records)-1)); err == nil {
			sn.Close()
		}
		cancel()
		<-done
		_ = s.Close() // may fail as the disk does
	}
	s := open(t, base, storetest.Config(log))
	stop := storetest.Launch(t, s)
	whole := mem(t, log)
	storetest.Start(t, whole)
	storetest.Reach(t, s, int64(len(records)-1))
	storetest.Reach(t, whole, int64(len(records)-1))
	storetest.Same(t, whole, s)
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func tryOpen(fs vfs.FS, log *memory.Log) (s *pebble.Store, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("pebble gave up: %v", r)
		}
	}()
	c := pebble.Default("db")
	c.FS, c.Config, c.MemTable = fs, storetest.Config(log), 1<<20
	return pebble.Open(c)
}

// A snapshot keeps its answers while the store moves on.
func TestSnapshotStands(t *testing.T) {
	log := &memory.Log{}
	s := open(t, vfs.NewMem(), storetest.Config(log))
	stop := storetest.Launch(t, s)
	g := storetest.NewRandom(11)
	for range 50 {
		_, _ = s.Commit(t.Context(), g.Next())
	}
	sn, err := s.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	keys := func() []byte {
		var all []byte
		it := sn.Index().Iter(nil, nil)
		for it.Next() {
			all = append(append(all, it.Key()...), '\n')
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := keys()
	for range 200 {
		_, _ = s.Commit(t.Context(), g.Next())
	}
	if !bytes.Equal(before, keys()) || len(before) == 0 {
		t.Error("the snapshot moved")
	}
	sn.Close()
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A reindex between transactions ends where a store stands that always had the
// new indexer.
func TestReindexWhileWriting(t *testing.T) {
	log := &memory.Log{}
	cfg := storetest.Config(log)
	cfg.Extend = nil // offers are refused: they would bring the old indexer back
	s := open(t, vfs.NewMem(), cfg)
	stop := storetest.Launch(t, s)
	var wg sync.WaitGroup
	half := make(chan struct{}) // closed when enough is there to begin
	for seed := range uint64(3) {
		wg.Go(func() {
			g := storetest.NewRandom(seed)
			for i := range 300 {
				tx := *g.Next()
				tx.ID = fmt.Sprint(seed, "-", tx.ID)
				for k := range tx.Ops { // many resources, so that chunks end between writes
					if op := &tx.Ops[k]; op.ID != "" && op.FullURL == "" {
						op.ID = fmt.Sprint(op.ID, "-", seed, "-", i%90)
					}
				}
				_, _ = s.Commit(context.Background(), &tx)
				if i == 150 && seed == 0 {
					close(half)
				}
			}
		})
	}
	<-half
	var last int64
	if err := s.Reindex(t.Context(), storetest.Indexer{Numbers: true}, func(n int64) { last = n }); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if last == 0 {
		t.Error("no progress was told")
	}
	_, next, _ := log.Bounds(t.Context())
	storetest.Reach(t, s, next-1)
	cfg.Indexer = storetest.Indexer{Numbers: true}
	always, err := memory.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, always)
	storetest.Reach(t, always, next-1)
	storetest.Same(t, always, s)
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
