package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// The simulation kills the hub between any two steps, thousands of times: what
// is durable stays, everything else is gone, and the next life goes on from it.
// A step is what a crash can cut: before a durable write, or after it and before
// its answer.

var errKilled = errors.New("killed")

// world is everything that survives a kill.
type world struct {
	rnd *rand.Rand

	mu      sync.Mutex
	log     []kafka.Record // the topic inbound, one partition
	offset  int64          // the group's
	letters map[string]*pipeline.DeadLetter
	applied map[string]string   // transaction id → content
	effects map[string]int      // content → times it had an effect
	order   map[string][]string // ordering key → contents as they took effect
	disk    *vfs.MemFS
	mended  bool // the map was repaired
	held    bool // the source is paused

	steps int // left in this life
	dead  bool
	stop  context.CancelFunc
}

// step is one place where the process may die; true = it has.
func (w *world) step() bool {
	if w.dead {
		return true
	}
	if w.steps--; w.steps <= 0 {
		w.dead = true
		w.stop()
	}
	return w.dead
}

// durable does a write of one step before and one after it.
func (w *world) durable(write func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.step() {
		return errKilled
	}
	write()
	if w.step() {
		return errKilled
	}
	return nil
}

// Append is the topic.
func (w *world) Append(_ context.Context, records ...kafka.Record) (partition int, first int64, err error) {
	err = w.durable(func() {
		for _, r := range records {
			r.Offset = int64(len(w.log))
			w.log = append(w.log, r)
		}
	})
	return 0, 0, err
}

// Follow gives out the topic.
func (w *world) Follow(ctx context.Context, from int64, fn func(kafka.Record) error) error {
	for ctx.Err() == nil {
		w.mu.Lock()
		n := int64(len(w.log))
		w.mu.Unlock()
		if from == n {
			time.Sleep(50 * time.Microsecond)
			continue
		}
		w.mu.Lock()
		r := w.log[from]
		w.mu.Unlock()
		if err := fn(r); err != nil {
			return err
		}
		from++
	}
	return ctx.Err()
}

// Commit is the group's.
func (w *world) Commit(next int64) error { return w.durable(func() { w.offset = next }) }

// The dead letters.

func (w *world) Put(_ context.Context, d *pipeline.DeadLetter) error {
	return w.durable(func() { w.letters[d.ID] = d })
}
func (w *world) Resolve(_ context.Context, id string) error {
	return w.durable(func() { delete(w.letters, id) })
}
func (w *world) List(context.Context, int) ([]*pipeline.DeadLetter, int, error) { return nil, 0, nil }
func (w *world) Get(_ context.Context, id string) (*pipeline.DeadLetter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.letters[id]; d != nil {
		return d, nil
	}
	return nil, fault.New(fault.NotFound, "no letter")
}
func (w *world) Waiting(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.letters {
		if d.Parked() && d.Message.Key == key {
			return true
		}
	}
	return false
}
func (w *world) Heads() ([]*pipeline.DeadLetter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := map[string]*pipeline.DeadLetter{}
	for _, id := range slices.Sorted(maps.Keys(w.letters)) {
		if d := w.letters[id]; d.Parked() && first[d.Message.Key] == nil {
			first[d.Message.Key] = d
		}
	}
	return slices.Collect(maps.Values(first)), nil
}

// Handle is the map and the repository: a transaction id takes effect once, the
// same content makes no second version.
func (w *world) Handle(_ context.Context, m *pipeline.Message) error {
	w.mu.Lock()
	poison, away := m.Headers["poison"] != "" && !w.mended, w.rnd.IntN(20) == 0
	w.mu.Unlock()
	switch {
	case poison:
		return fault.New(fault.Invalid, "没有这个字典项")
	case away:
		return &pipeline.Later{Cause: fault.New(fault.Unavailable, "对方中心不在")}
	}
	content := string(m.Body)
	return w.durable(func() {
		if _, twice := w.applied[m.ID]; twice {
			return
		}
		w.applied[m.ID] = content
		if w.effects[content] > 0 {
			return // sent again after a lost acknowledgement: the same content
		}
		w.effects[content]++
		w.order[m.Key] = append(w.order[m.Key], content)
	})
}

// live runs the hub until it is killed or done says it may rest.
func (w *world) live(t *testing.T, steps int, work func(ctx context.Context, q *Queue), done func() bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.steps, w.dead, w.stop = steps, false, cancel
	cfg := Default("seen")
	cfg.FS = w.disk
	s, err := openSeen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(cfg, w, w, s, clock.System{}, slog.New(slog.DiscardHandler))
	q.commitEvery = 200 * time.Microsecond // or lives as short as these would always begin at the beginning
	q.Handle("test", w)
	q.HoldWhile(func(string) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.held })
	var wg sync.WaitGroup
	wg.Go(func() { _ = q.consume(ctx, w, 0, w.offset) })
	wg.Go(func() { q.unpark(ctx) })
	wg.Go(func() {
		for ctx.Err() == nil {
			q.Wake()
			time.Sleep(time.Millisecond)
		}
	})
	work(ctx, q)
	for ctx.Err() == nil && !done() {
		time.Sleep(50 * time.Microsecond)
	}
	w.mu.Lock()
	killed := w.dead
	w.dead = true // nothing after this is durable
	w.mu.Unlock()
	cancel()
	wg.Wait()
	if killed { // what Pebble had not written out is lost, or not
		w.disk = w.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.rnd.IntN(101), RNG: w.rnd})
	}
	_ = s.close()
}

func TestThousandsOfKills(t *testing.T) {
	kills := 2000
	if testing.Short() {
		kills = 300
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	died := 0
	for round := 0; died < kills; round++ {
		died += simulate(t, rnd)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
	t.Logf("%d kills", died)
}

// simulate sends some messages through lives that end at random, and tells how
// many there were.
func simulate(t *testing.T, rnd *rand.Rand) (died int) {
	w := &world{rnd: rnd, letters: map[string]*pipeline.DeadLetter{}, applied: map[string]string{}, effects: map[string]int{}, order: map[string][]string{}, disk: vfs.NewCrashableMem()}
	ids := pipeline.NewIDs(clock.System{})
	n := 4 + rnd.IntN(12)
	acked := make([]bool, n)
	content := func(i int) string { return fmt.Sprintf("visit %d", i) }
	// The partner sends each message until it is acknowledged, one after the other.
	send := func(ctx context.Context, q *Queue) {
		for i := range n {
			if acked[i] {
				continue
			}
			m := &pipeline.Message{ID: ids.Next(), Source: "his", Kind: "test", Key: fmt.Sprint("his|", i%3), DedupKey: content(i), Received: time.Now(), Body: []byte(content(i)), Headers: map[string]string{}}
			if i%5 == 4 {
				m.Headers["poison"] = "1"
			}
			if _, err := q.Append(ctx, m); err != nil {
				return
			}
			acked[i] = true
		}
	}
	rest := func() bool { // everything sent is handled, refused or parked
		w.mu.Lock()
		defer w.mu.Unlock()
		if slices.Contains(acked, false) {
			return false
		}
		for i := range n {
			if w.effects[content(i)] == 0 && !w.isDead(content(i)) {
				return false
			}
		}
		return true
	}
	finished := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.effects) == n && len(w.letters) == 0
	}
	for lives := 0; !rest(); lives++ {
		w.held = rnd.IntN(6) == 0 && lives < 20
		steps := 1 + rnd.IntN(40)
		if lives%10 == 9 && !w.held {
			steps = 300 // long enough to tell the group where it stands
		}
		if w.held {
			steps = 1 + rnd.IntN(15) // nothing else ends this life
		}
		begin := time.Now() // a life in which everything waits ends when the operator lets the source go on
		w.live(t, steps, send, func() bool { return !w.held && rest() || w.held && time.Since(begin) > 3*time.Millisecond })
		if lives > 300 {
			t.Errorf("no progress: acknowledged %v, offset %d of %d, effects %v, letters %v", acked, w.offset, len(w.log), w.effects, w.letters)
			return died
		}
		died++
	}
	w.held, w.mended = false, true // the operator repairs the map and replays
	for lives := 0; !finished(); lives++ {
		w.live(t, 20+rnd.IntN(60)+lives%10*20, func(ctx context.Context, q *Queue) {
			for _, id := range w.deadIDs() {
				_ = q.Replay(ctx, id)
			}
		}, finished)
		if lives > 300 {
			t.Errorf("no progress after the repair: %d effects of %d, %d letters", len(w.effects), n, len(w.letters))
			return died
		}
		died++
	}
	w.judge(t, n, content)
	return died
}

func (w *world) isDead(content string) bool {
	for _, d := range w.letters {
		if string(d.Message.Body) == content && !d.Parked() {
			return true
		}
	}
	return false
}

func (w *world) deadIDs() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, d := range w.letters {
		if !d.Parked() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// judge holds what must be true at the end: every acknowledged message took
// effect once, and one patient's in the order they were sent (what was refused
// and mended comes later).
func (w *world) judge(t *testing.T, n int, content func(int) string) {
	for i := range n {
		if w.effects[content(i)] != 1 {
			t.Errorf("message %d took effect %d times", i, w.effects[content(i)])
		}
	}
	for key, got := range w.order {
		last := -1
		for _, c := range got {
			var i int
			_, _ = fmt.Sscanf(c, "visit %d", &i)
			if i%5 == 4 {
				continue
			}
			if i < last {
				t.Errorf("%s: %v", key, got)
			}
			last = i
		}
	}
}
