package inbound

import (
	"maps"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/pipeline"
)

// State is how far a message has come.
type State string

// The states of a message.
const (
	Waiting State = "waiting" // in the log, not handled yet
	Done    State = "done"    // took effect
	Repeat  State = "repeat"  // the same message took effect before
	Dead    State = "dead"    // refused, among the dead letters
	Parked  State = "parked"  // waits aside until its source goes on or its partner is back
)

// Fate is what became of one message. It holds no health data.
type Fate struct {
	ID, Source, Kind string
	Time             time.Time // received
	State            State
	Reason           string // Chinese; of Dead only
}

// Label names a counter.
type Label struct {
	Source, Kind string
	State        State
}

// board shows the latest messages and counts them all.
type board struct {
	mu    sync.Mutex
	ring  []Fate
	next  int
	place map[string]int // message id → place in the ring
	count map[Label]int64
}

func newBoard(size int) *board {
	return &board{ring: make([]Fate, size), place: map[string]int{}, count: map[Label]int64{}}
}

func (b *board) set(m *pipeline.Message, s State, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count[Label{m.Source, m.Kind, s}]++
	i, ok := b.place[m.ID]
	switch {
	case ok && s == Waiting && b.ring[i].State != Dead:
		return // handled before the door came to say so
	case !ok:
		i = b.next
		b.next = (b.next + 1) % len(b.ring)
		delete(b.place, b.ring[i].ID)
		b.place[m.ID] = i
	}
	b.ring[i] = Fate{ID: m.ID, Source: m.Source, Kind: m.Kind, Time: m.Received, State: s, Reason: reason}
}

// drop forgets a message that did not get into the log.
func (b *board) drop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.place[id]; ok {
		delete(b.place, id)
		b.ring[i] = Fate{}
	}
}

func (b *board) recent() []Fate {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Fate, 0, len(b.ring))
	for k := range b.ring {
		if f := b.ring[(b.next-1-k+2*len(b.ring))%len(b.ring)]; f.ID != "" {
			out = append(out, f)
		}
	}
	return out
}

func (b *board) counts() map[Label]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.count)
}
