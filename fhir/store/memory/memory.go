// Package memory is the repository in memory: the state machine on a persistent
// treap, and a log that lives as long as the process. It is for tests, tools
// and demonstrations; it keeps nothing over a restart.
package memory

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Store is a repository in memory. It implements store.Store and store.Feed
// while Run runs.
type Store struct {
	*machine.Machine
	kv *kv
}

// New returns an empty store over cfg.Log; with a nil Log it gets a [Log] of
// its own.
func New(cfg machine.Config) (*Store, error) {
	if cfg.Log == nil {
		cfg.Log = &Log{}
	}
	k := &kv{seed: maphash.MakeSeed()}
	m, err := machine.New(cfg, k)
	if err != nil {
		return nil, err
	}
	return &Store{m, k}, nil
}

// Dump calls fn with every key and value in order; for comparing states.
func (s *Store) Dump(fn func(key, value []byte) error) error {
	v := s.kv.View()
	it := v.Iter(nil, nil)
	for it.Next() {
		if err := fn(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Close()
}

// Log is a store.Log in memory. The zero value is empty and ready.
type Log struct {
	mu      sync.Mutex
	records [][]byte
	more    chan struct{} // closed when records grow
}

// Append implements store.Log.
func (l *Log) Append(_ context.Context, records [][]byte) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := int64(len(l.records))
	l.records = append(l.records, records...)
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return first, nil
}

// Bounds implements store.Log.
func (l *Log) Bounds(context.Context) (first, next int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 0, int64(len(l.records)), nil
}

// Read implements store.Log.
func (l *Log) Read(ctx context.Context, from int64, fn func(offset int64, record []byte) error) error {
	if from < 0 {
		return fault.New(fault.Gone, "log offset %d", from)
	}
	for {
		l.mu.Lock()
		records := l.records
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		for ; from < int64(len(records)); from++ {
			if err := fn(from, records[from]); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Feed  = (*Store)(nil)
	_ store.Log   = (*Log)(nil)
)
