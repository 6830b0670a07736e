package deadletter

import (
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/pipeline"
)

// lot knows the parked letters by the ordering key of their messages: what
// comes later for the same key waits behind them. Its content is the index's.
type lot struct {
	mu   sync.Mutex
	keys map[string][]string // ordering key → ids, in order of arrival
}

func (l *Letters) openLot() error {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabPark}, UpperBound: []byte{tabPark + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := string(it.Value())
		l.lot.keys[key] = append(l.lot.keys[key], string(it.Key()[1:]))
	}
	return it.Close()
}

// change replaces a letter; either may be nil or not parked.
func (p *lot) change(old, fresh *pipeline.DeadLetter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old != nil && old.Parked() {
		key := old.Message.Key
		ids := slices.DeleteFunc(p.keys[key], func(id string) bool { return id == old.ID })
		if p.keys[key] = ids; len(ids) == 0 {
			delete(p.keys, key)
		}
	}
	if fresh != nil && fresh.Parked() {
		key := fresh.Message.Key
		ids := p.keys[key]
		at, _ := slices.BinarySearch(ids, fresh.ID)
		p.keys[key] = slices.Insert(ids, at, fresh.ID)
	}
}

// Waiting reports whether a message of the ordering key is parked.
func (l *Letters) Waiting(key string) bool {
	l.lot.mu.Lock()
	defer l.lot.mu.Unlock()
	return len(l.lot.keys[key]) > 0
}

// Heads returns the oldest parked letter of every ordering key, without bodies.
func (l *Letters) Heads() ([]*pipeline.DeadLetter, error) {
	l.lot.mu.Lock()
	ids := make([]string, 0, len(l.lot.keys))
	for _, of := range l.lot.keys {
		ids = append(ids, of[0])
	}
	l.lot.mu.Unlock()
	slices.Sort(ids)
	out := make([]*pipeline.DeadLetter, 0, len(ids))
	for _, id := range ids {
		d, err := l.facts(id)
		if err != nil {
			return nil, err
		}
		if d != nil { // not gone meanwhile
			out = append(out, d)
		}
	}
	return out, nil
}

// Parked returns how many letters the hub itself will try again.
func (l *Letters) Parked() int {
	l.lot.mu.Lock()
	defer l.lot.mu.Unlock()
	n := 0
	for _, ids := range l.lot.keys {
		n += len(ids)
	}
	return n
}
