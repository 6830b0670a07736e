package machine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
)

// views shares one View among the readers of an offset and keeps those that
// page links may name.
type views struct {
	kv     KV
	clock  clock.Clock
	max    int
	keep   time.Duration
	mu     sync.Mutex
	latest *shared
	kept   map[int64]*shared
	closed bool
}

// shared is a View with its readers counted; views holds one count for latest
// and one for kept.
type shared struct {
	View
	st     state
	refs   int
	used   time.Time
	pinned bool
}

func newViews(kv KV, c clock.Clock, max int, keep time.Duration) *views {
	return &views{kv: kv, clock: c, max: max, keep: keep, kept: map[int64]*shared{}}
}

// take returns a view of at least offset applied, sharing the latest if it is
// that new.
func (v *views) take(applied int64) (*shared, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.latest == nil || v.latest.st.applied < applied || v.closed {
		view := v.kv.View()
		val, ok, err := view.Get(nil, stateKey)
		var st state
		if err == nil {
			st, err = decodeState(val, ok)
		}
		if err != nil {
			view.Close()
			return nil, err
		}
		s := &shared{View: view, st: st}
		if v.closed {
			s.refs = 1
			return s, nil
		}
		s.refs = 2
		if v.latest != nil {
			v.drop(v.latest)
		}
		v.latest = s
		return s, nil
	}
	v.latest.refs++
	return v.latest, nil
}

// at returns the kept view of exactly offset, nil if it is gone.
func (v *views) at(offset int64) *shared {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.kept[offset]
	if s == nil && v.latest != nil && v.latest.st.applied == offset {
		s = v.latest
	}
	if s == nil || s != v.latest && v.clock.Now().Sub(s.used) > v.keep {
		return nil
	}
	s.refs++
	s.used = v.clock.Now()
	return s
}

// refresh makes the next reader take a new view of the same offset.
func (v *views) refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.latest != nil {
		v.drop(v.latest)
		v.latest = nil
	}
}

// retain keeps s for at; the least recently used unpinned one makes room.
func (v *views) retain(s *shared, pin bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	s.used = v.clock.Now()
	s.pinned = s.pinned || pin
	if v.kept[s.st.applied] != nil {
		return
	}
	if len(v.kept) >= v.max {
		v.evict()
	}
	s.refs++
	v.kept[s.st.applied] = s
}

// evict makes room: an eighth at once, so that its cost is spread.
func (v *views) evict() {
	all := slices.Collect(maps.Values(v.kept))
	slices.SortFunc(all, func(a, b *shared) int {
		if a.pinned != b.pinned {
			if b.pinned {
				return -1
			}
			return 1
		}
		return a.used.Compare(b.used)
	})
	for _, s := range all[:max(len(all)/8, 1)] {
		delete(v.kept, s.st.applied)
		v.drop(s)
	}
}

// expire gives up what was not used for the retention time.
func (v *views) expire() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock.Now()
	for offset, s := range v.kept {
		if now.Sub(s.used) > v.keep {
			delete(v.kept, offset)
			v.drop(s)
		}
	}
}

// expireLoop calls expire now and then until ctx ends.
func (v *views) expireLoop(ctx context.Context) {
	tick := time.NewTicker(max(v.keep/10, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.expire()
		case <-ctx.Done():
			return
		}
	}
}

func (v *views) release(s *shared) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.drop(s)
}

func (v *views) drop(s *shared) error {
	if s.refs--; s.refs == 0 {
		return s.View.Close()
	}
	return nil
}

// closeAll gives up what is kept; readers still out close theirs.
func (v *views) closeAll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.latest != nil {
		v.drop(v.latest)
		v.latest = nil
	}
	for offset, s := range v.kept {
		delete(v.kept, offset)
		v.drop(s)
	}
}
