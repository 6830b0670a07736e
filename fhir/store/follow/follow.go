// Package follow keeps what is made of stored resources (terminology, profiles)
// in step with them, whoever wrote them and on whichever node.
//
// Nothing runs in the background: who is about to use what was made calls
// [Follower.Refresh], which costs a snapshot while nothing was written and reads
// only the new versions of the followed types otherwise. So a value set can be
// expanded in the request after the one that stored it.
package follow

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/qihuang-health/qihuang/fhir/store"
)

// Sink takes resources in and out of use.
type Sink interface {
	// Add takes resources in, each in place of an older version.
	Add(resources ...[]byte) error
	// Remove takes a deleted resource out.
	Remove(typ, id string)
}

// Follower follows resources of some types. It is safe for concurrent use.
type Follower struct {
	store store.Reader
	sinks map[string]Sink // by type
	log   *slog.Logger

	applied atomic.Int64 // log offset the sinks have seen, plus one
	mu      sync.Mutex
	seen    map[string]int64 // newest change taken, by type
}

// New returns a follower that has seen nothing yet.
func New(r store.Reader, sinks map[string]Sink, log *slog.Logger) *Follower {
	return &Follower{store: r, sinks: sinks, log: log, seen: map[string]int64{}}
}

// Refresh brings the sinks up to what the store has applied. A resource that a
// sink refuses is logged and left out.
func (f *Follower) Refresh(ctx context.Context) error {
	snap, err := f.store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	now := snap.Offset() + 1
	if now <= f.applied.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for typ, sink := range f.sinks {
		if err := f.read(snap, typ, sink); err != nil {
			return err
		}
	}
	f.applied.Store(max(now, f.applied.Load()))
	return nil
}

// read hands the newest versions made since the last time to the sink.
func (f *Follower) read(snap store.Snapshot, typ string, sink Sink) error {
	last, newest := f.seen[typ], int64(0)
	done := map[string]bool{}
	var add []*store.Version
	for c, err := range snap.History(store.HistoryQuery{Type: typ}) {
		if err != nil {
			return err
		}
		if c.Seq <= last {
			break
		}
		newest = max(newest, c.Seq)
		if done[c.ID] {
			continue
		}
		done[c.ID] = true
		if c.Deleted() {
			sink.Remove(typ, c.ID)
		} else {
			add = append(add, c.Version)
		}
	}
	f.seen[typ] = max(last, newest)
	slices.Reverse(add) // oldest first
	f.put(sink, add)
	return nil
}

// put adds all at once, and one by one if one of them is refused.
func (f *Follower) put(sink Sink, list []*store.Version) {
	all := make([][]byte, len(list))
	for i, v := range list {
		all[i] = v.Resource
	}
	if len(all) == 0 || sink.Add(all...) == nil {
		return
	}
	for _, v := range list {
		if err := sink.Add(v.Resource); err != nil {
			f.log.Warn("stored resource cannot be used", "type", v.Type, "id", v.ID, "error", err)
		}
	}
}
