package inbound_test

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

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/journal"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// The simulation kills the hub between any two steps, thousands of times: what
// is durable stays, everything else is gone, and the next life goes on from it.
// A step is what a crash can cut: before a durable write, or after it and before
// its answer. The queue with its memory, the repository and the journal are the
// hub's own, on a disk that loses what was not synced; the topics are the test's.

var errKilled = errors.New("killed")

// world is everything that survives a kill.
type world struct {
	rnd *rand.Rand

	mu      sync.Mutex
	log     []kafka.Record // the topic inbound, one partition
	offset  int64          // the group's
	told    []kafka.Record // the topic dead-letter
	letters map[string]*pipeline.DeadLetter
	records [][]byte // the topic transactions
	disk    *vfs.MemFS
	crashed *vfs.MemFS      // as it was at the moment of the kill
	mended  bool            // the map was repaired
	held    bool            // the source is paused
	took    map[string]bool // contents whose handling came to its end, for the test only

	repo *pebble.Store // of this life

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
		w.kill()
	}
	return w.dead
}

// kill ends a life: what was not synced is lost, or not. The caller holds mu.
func (w *world) kill() {
	w.dead = true
	w.crashed = w.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.rnd.IntN(101), RNG: w.rnd})
	w.stop()
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
	return follow(ctx, w, &w.log, from, func(_ int64, r kafka.Record) error { return fn(r) })
}

// follow gives out what is in a log, and then what comes.
func follow[T any](ctx context.Context, w *world, log *[]T, from int64, fn func(at int64, r T) error) error {
	for ctx.Err() == nil {
		w.mu.Lock()
		tail := (*log)[from:]
		w.mu.Unlock()
		if len(tail) == 0 {
			time.Sleep(50 * time.Microsecond)
		}
		for _, r := range tail {
			if err := fn(from, r); err != nil {
				return err
			}
			from++
		}
	}
	return ctx.Err()
}

// transactions is the repository's log.
type transactions struct{ *world }

// Append implements store.Log.
func (l transactions) Append(_ context.Context, records [][]byte) (first int64, err error) {
	err = l.durable(func() {
		first = int64(len(l.records))
		l.records = append(l.records, records...)
	})
	return first, err
}

// Read implements store.Log.
func (l transactions) Read(ctx context.Context, from int64, fn func(offset int64, record []byte) error) error {
	return follow(ctx, l.world, &l.records, from, fn)
}

// Bounds implements store.Log.
func (l transactions) Bounds(context.Context) (first, next int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 0, int64(len(l.records)), nil
}

// topics is what the journal reads.
type topics struct{ *world }

// Partitions implements journal.Topics.
func (topics) Partitions(context.Context, string) (int, error) { return 1, nil }

// Follow implements journal.Topics.
func (s topics) Follow(ctx context.Context, topic string, _ int, from int64, fn func(kafka.Record) error) error {
	list := &s.log
	if topic == kafka.DeadLetter {
		list = &s.told
	}
	return follow(ctx, s.world, list, from, func(at int64, r kafka.Record) error {
		r.Offset = at
		return fn(r)
	})
}

// Bounds implements journal.Topics: nothing is ever trimmed.
func (topics) Bounds(context.Context, string, int) (first, next int64, err error) { return 0, 0, nil }

// Read implements journal.Topics.
func (topics) Read(context.Context, string, int, int64) (*kafka.Record, error) { return nil, errKilled }

// Commit is the group's.
func (w *world) Commit(next int64) error { return w.durable(func() { w.offset = next }) }

// The dead letters.

func (w *world) Put(_ context.Context, d *pipeline.DeadLetter) error {
	r, err := kafka.LetterRecord(d)
	if err != nil {
		return err
	}
	return w.durable(func() {
		w.letters[d.ID] = d
		w.told = append(w.told, r)
	})
}
func (w *world) Resolve(_ context.Context, id string) error {
	return w.durable(func() {
		delete(w.letters, id)
		w.told = append(w.told, kafka.Record{Key: []byte(id)})
	})
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

// Handle is a map: a message becomes a transaction whose resource follows from
// its content.
func (w *world) Handle(ctx context.Context, m *pipeline.Message) error {
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
	_, err := w.repo.Commit(ctx, &store.Transaction{ID: "map-" + m.ID, Time: m.Received.UTC().Truncate(time.Millisecond), Source: m.ID,
		Ops: []store.Op{{Method: store.Update, Type: "Basic", ID: content, SkipSame: true, Resource: fmt.Appendf(nil, `{"resourceType":"Basic","id":%q,"author":{"display":%q}}`, content, m.Key)}}})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took[content] = true
	return nil
}

// hub is one life of it.
type hub struct {
	queue   *inbound.Simulated
	journal *journal.Journal
	repo    *pebble.Store
}

func (w *world) open(t *testing.T) *hub {
	h := &hub{}
	repo := pebble.Default("fhir")
	repo.FS, repo.Config, repo.CacheBytes, repo.MemTable = w.disk, storetest.Config(transactions{w}), 1<<20, 1<<20
	seen, notes := inbound.Default("seen"), journal.Default("journal")
	seen.FS, notes.FS = w.disk, w.disk
	var errs [3]error
	h.repo, errs[0] = pebble.Open(repo)
	h.queue, errs[1] = inbound.Simulate(seen, w, w, 200*time.Microsecond) // or lives as short as these would always begin at the beginning
	h.journal, errs[2] = journal.Open(notes, topics{w}, func(*pipeline.Message) []journal.Key { return nil }, clock.System{}, slog.New(slog.DiscardHandler))
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	h.queue.Handle("test", w)
	h.queue.Watch(h.journal)
	h.queue.HoldWhile(func(string) bool { w.mu.Lock(); defer w.mu.Unlock(); return w.held })
	return h
}

// live runs the hub until it is killed or done says it may rest.
func (w *world) live(t *testing.T, steps int, work func(ctx context.Context, q *inbound.Simulated), done func(h *hub) bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.steps, w.dead, w.stop, w.crashed = steps, false, cancel, nil
	h := w.open(t)
	w.repo = h.repo
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.repo.Run(ctx) })
	wg.Go(func() { _ = h.journal.Run(ctx) })
	wg.Go(func() { _ = h.queue.Consume(ctx, w, w.offset) })
	wg.Go(func() { h.queue.Unpark(ctx) })
	wg.Go(func() {
		for ctx.Err() == nil {
			h.queue.Wake()
			time.Sleep(time.Millisecond)
		}
	})
	work(ctx, h.queue)
	for ctx.Err() == nil && !done(h) {
		time.Sleep(50 * time.Microsecond)
	}
	w.mu.Lock()
	if !w.dead { // a life that comes to rest ends as suddenly
		w.kill()
	}
	w.mu.Unlock()
	cancel()
	wg.Wait()
	if err := errors.Join(h.repo.Abandon(), h.queue.Close(), h.journal.Close()); err != nil {
		t.Fatal(err)
	}
	w.disk = w.crashed
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
	w := &world{rnd: rnd, letters: map[string]*pipeline.DeadLetter{}, took: map[string]bool{}, disk: vfs.NewCrashableMem()}
	ids := pipeline.NewIDs(clock.System{})
	n := 4 + rnd.IntN(12)
	acked := make([]bool, n)
	content := func(i int) string { return fmt.Sprintf("visit-%d", i) }
	// The partner sends each message until it is acknowledged, one after the other.
	send := func(ctx context.Context, q *inbound.Simulated) {
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
	rest := func(*hub) bool { // everything sent is handled, refused or parked
		w.mu.Lock()
		defer w.mu.Unlock()
		if slices.Contains(acked, false) {
			return false
		}
		for i := range n {
			if !w.took[content(i)] && !w.isDead(content(i)) {
				return false
			}
		}
		return true
	}
	finished := func(*hub) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.took) == n && len(w.letters) == 0
	}
	for lives := 0; !rest(nil); lives++ {
		w.held = rnd.IntN(6) == 0 && lives < 20
		steps := 1 + rnd.IntN(40)
		if lives%10 == 9 && !w.held {
			steps = 300 // long enough to tell the group where it stands
		}
		if w.held {
			steps = 1 + rnd.IntN(15) // nothing else ends this life
		}
		begin := time.Now() // a life in which everything waits ends when the operator lets the source go on
		w.live(t, steps, send, func(h *hub) bool { return !w.held && rest(h) || w.held && time.Since(begin) > 3*time.Millisecond })
		if lives > 300 {
			t.Errorf("no progress: acknowledged %v, offset %d of %d, handled %v, letters %v", acked, w.offset, len(w.log), w.took, w.letters)
			return died
		}
		died++
	}
	w.held, w.mended = false, true // the operator repairs the map and replays
	for lives := 0; !finished(nil); lives++ {
		w.live(t, 20+rnd.IntN(60)+lives%10*20, func(ctx context.Context, q *inbound.Simulated) {
			for _, id := range w.deadIDs() {
				_ = q.Replay(ctx, id)
			}
		}, finished)
		if lives > 300 {
			t.Errorf("no progress after the repair: %d handled of %d, %d letters", len(w.took), n, len(w.letters))
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
// and mended comes later); the journal knows every message and that it is done.
func (w *world) judge(t *testing.T, n int, content func(int) string) {
	w.live(t, 1<<30, func(context.Context, *inbound.Simulated) {}, func(h *hub) bool {
		w.mu.Lock()
		behind := w.offset < int64(len(w.log)) || len(w.letters) > 0
		w.mu.Unlock()
		if behind || !w.judgeJournal(t, h) {
			return false
		}
		storetest.Reach(t, h.repo, int64(len(w.records)-1))
		w.judgeEffects(t, h, n, content)
		return true
	})
}

func (w *world) judgeEffects(t *testing.T, h *hub, n int, content func(int) string) {
	snap, err := h.repo.Snapshot(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	last, versions := map[string]int{}, map[string]int{}
	for c, err := range snap.History(store.HistoryQuery{}) { // newest first
		if err != nil {
			t.Fatal(err)
		}
		versions[c.ID]++
		var i int
		_, _ = fmt.Sscanf(c.ID, "visit-%d", &i)
		key := fmt.Sprint("his|", i%3)
		if before, ok := last[key]; i%5 != 4 {
			if ok && i > before {
				t.Errorf("%s: %d before %d", key, i, before)
			}
			last[key] = i
		}
	}
	for i := range n {
		if versions[content(i)] != 1 {
			t.Errorf("message %d took effect %d times", i, versions[content(i)])
		}
	}
}

// judgeJournal waits for the journal to have read all, and then wants every
// message done.
func (w *world) judgeJournal(t *testing.T, h *hub) bool {
	page, err := h.journal.Search(t.Context(), journal.Query{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range w.log {
		m, err := r.Message()
		if err != nil {
			t.Fatal(err)
		}
		ids[m.ID] = true
	}
	if len(page.Items) < len(ids) {
		return false
	}
	for _, e := range page.Items {
		if e.State != inbound.Done && e.State != inbound.Repeat {
			t.Errorf("the journal says that message %s is %s", e.ID, e.State)
		}
	}
	return true
}
