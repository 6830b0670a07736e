package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/deadletter"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// hub is a cluster, dead letters and a queue on one folder.
type hub struct {
	t       testing.TB
	cluster *kafka.Cluster
	letters *deadletter.Letters
	queue   *Queue
	stop    func()
}

func start(t testing.TB, dir string, sink pipeline.Sink) *hub {
	t.Helper()
	return startHeld(t, dir, sink, func(*Queue) {})
}

// startHeld starts a queue that edit has seen before it runs.
func startHeld(t testing.TB, dir string, sink pipeline.Sink, edit func(*Queue)) *hub {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	cfg := kafka.Default(filepath.Join(dir, "kafka"))
	cfg.Port = 0
	ctx, cancel := context.WithCancel(context.Background())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cluster, err := kafka.Open(ctx, cfg, log)
	must(err)
	letters, err := deadletter.Open(ctx, deadletter.Default(filepath.Join(dir, "letters")), cluster, log)
	must(err)
	queue, err := Open(ctx, Default(filepath.Join(dir, "inbound")), cluster, letters, clock.System{}, log)
	must(err)
	queue.Handle("test", sink)
	edit(queue)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := letters.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := queue.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	h := &hub{t: t, cluster: cluster, letters: letters, queue: queue}
	h.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := errors.Join(queue.Close(), letters.Close(), cluster.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(h.stop)
	return h
}

func message(id, key, body string) *pipeline.Message {
	return &pipeline.Message{ID: id, Source: "his", Kind: "test", Key: "his|" + key, DedupKey: body, Received: time.Now().UTC(),
		ContentType: "text/plain", Headers: map[string]string{"path": "/x"}, Body: []byte(body)}
}

func (h *hub) send(m *pipeline.Message) {
	h.t.Helper()
	if _, err := h.queue.Append(h.t.Context(), m); err != nil {
		h.t.Fatal(err)
	}
}

// until polls a condition that other goroutines bring about.
func (h *hub) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); {
		if time.Now().After(end) {
			h.t.Fatalf("never: %s; %+v", what, h.queue.Recent())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// recorder is a sink whose answers the test decides.
type recorder struct {
	mu     sync.Mutex
	got    []string
	answer func(m *pipeline.Message, times int) error
}

func (r *recorder) Handle(_ context.Context, m *pipeline.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m.ID)
	times := 0
	for _, id := range r.got {
		if id == m.ID {
			times++
		}
	}
	if r.answer == nil {
		return nil
	}
	return r.answer(m, times)
}

func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func TestOrderAndDuplicates(t *testing.T) {
	sink := &recorder{}
	h := start(t, t.TempDir(), sink)
	for i := range 20 {
		h.send(message(fmt.Sprintf("m%02d", i), "p1", fmt.Sprint("body", i)))
	}
	h.send(message("again", "p1", "body3"))
	h.until("all handled", func() bool { return h.queue.Recent()[0].State == Repeat })
	got := sink.seen()
	if len(got) != 20 || !slices.IsSorted(got) {
		t.Fatalf("handled %v", got)
	}
	h.until("lag 0", func() bool {
		received, lag, err := h.queue.Totals(t.Context())
		return err == nil && received == 21 && lag == 0
	})
	if n := h.queue.Counts()[Label{"his", "test", Done}]; n != 20 {
		t.Errorf("%d done", n)
	}
}

// meeting is a sink whose messages wait for each other, but for those of one
// key, which wait for all.
type meeting struct {
	*recorder
	wg   sync.WaitGroup
	late string
}

func (m *meeting) Handle(ctx context.Context, msg *pipeline.Message) error {
	if msg.Key != m.late {
		m.wg.Done()
	}
	m.wg.Wait()
	return m.recorder.Handle(ctx, msg)
}

func TestKeysAreHandledBesideEachOther(t *testing.T) {
	const others, waiting = 50, 200
	sink := &meeting{recorder: &recorder{}, late: "his|slow"}
	sink.wg.Add(others)
	h := start(t, t.TempDir(), sink)
	var want []string
	for i := range waiting { // a key with many messages holds up no other
		want = append(want, fmt.Sprint("s", i))
		h.send(message(want[i], "slow", want[i]))
	}
	for i := range others {
		h.send(message(fmt.Sprint("o", i), fmt.Sprint("1000", i), fmt.Sprint("o", i)))
	}
	h.until("everything handled", func() bool { return len(sink.seen()) == others+waiting })
	got := slices.DeleteFunc(sink.seen(), func(s string) bool { return s[0] != 's' })
	if !slices.Equal(got, want) {
		t.Errorf("order %v", got)
	}
}

func TestACrowdOfSendersGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHands(3, 2)
		for range 3 {
			h.comes()
		}
		took := 0
		var mu sync.Mutex
		for range 5 {
			go func() {
				h.take()
				mu.Lock()
				defer mu.Unlock()
				took++
			}()
		}
		steps := []struct {
			do   func()
			want int
		}{{func() {}, 2}, {h.put, 3}, {h.goes, 5}}
		for i, s := range steps {
			s.do()
			synctest.Wait()
			mu.Lock()
			if took != s.want {
				t.Errorf("step %d: %d in hand, want %d", i, took, s.want)
			}
			mu.Unlock()
		}
	})
}

func TestRefusedIsKeptRepairedAndReplayed(t *testing.T) {
	broken := true
	sink := &recorder{}
	sink.answer = func(m *pipeline.Message, _ int) error {
		if m.ID == "bad" && broken {
			return fault.New(fault.Invalid, "no").With(fault.Issue{Text: "缺少病人编号", Expression: "patient.id", Line: 3, Col: 7})
		}
		return nil
	}
	dir := t.TempDir()
	h := start(t, dir, sink)
	h.send(message("bad", "p1", "original bytes \xff"))
	h.send(message("good", "p1", "fine"))
	h.until("the good one passes the bad one", func() bool { return h.queue.Recent()[0].State == Done })
	items, total, err := h.letters.List(t.Context(), 10)
	if err != nil || total != 1 || len(items) != 1 || items[0].Reason != "缺少病人编号" || items[0].Location != "patient.id @3:7" {
		t.Fatalf("%d %+v %v", total, items, err)
	}
	h.stop()

	h = start(t, dir, sink) // dead letters outlive the process
	d, err := h.letters.Get(t.Context(), "bad")
	if err != nil || string(d.Message.Body) != "original bytes \xff" || d.Message.Headers["path"] != "/x" {
		t.Fatalf("%+v, %v", d, err)
	}
	if err := h.queue.Replay(t.Context(), "bad"); err != nil { // still broken
		t.Fatal(err)
	}
	h.until("refused again", func() bool {
		d, err := h.letters.Get(t.Context(), "bad")
		return err == nil && d.Attempts == 2
	})
	sink.mu.Lock()
	broken = false
	sink.mu.Unlock()
	if err := h.queue.Replay(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	h.until("resolved", func() bool { return h.letters.Total() == 0 })
	if err := h.queue.Replay(t.Context(), "bad"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("replay of a resolved one: %v", err)
	}
}

func TestRetriesAndPoison(t *testing.T) {
	sink := &recorder{}
	sink.answer = func(m *pipeline.Message, times int) error {
		switch {
		case m.ID == "away" && times < 3:
			return fault.New(fault.Unavailable, "the repository is away")
		case m.ID == "panic":
			panic("boom")
		case m.ID == "plain":
			return errors.New("unknown error")
		}
		return nil
	}
	h := start(t, t.TempDir(), sink)
	for _, id := range []string{"away", "panic", "plain", "last"} {
		h.send(message(id, "p1", id))
	}
	odd := message("odd", "p1", "odd")
	odd.Kind = "nobody's"
	h.send(odd)
	h.until("all have a fate", func() bool {
		return !slices.ContainsFunc(h.queue.Recent(), func(f Fate) bool { return f.State == Waiting })
	})
	fates := map[string]State{}
	for _, f := range h.queue.Recent() {
		fates[f.ID] = f.State
	}
	want := map[string]State{"away": Done, "panic": Dead, "plain": Dead, "last": Done, "odd": Dead}
	for id, s := range want {
		if fates[id] != s {
			t.Errorf("%s: %s, want %s", id, fates[id], s)
		}
	}
}

// A message that was acknowledged but not handled is handled after a restart.
func TestRestartLosesNothing(t *testing.T) {
	dir := t.TempDir()
	away := &recorder{answer: func(*pipeline.Message, int) error { return fault.New(fault.Busy, "later") }}
	h := start(t, dir, away)
	for i := range 10 {
		h.send(message(fmt.Sprint("m", i), fmt.Sprint("p", i), fmt.Sprint(i)))
	}
	h.stop()
	sink := &recorder{}
	h = start(t, dir, sink)
	h.until("all handled", func() bool { return len(sink.seen()) == 10 })
	h.stop()
	again := &recorder{}
	h = start(t, dir, again)
	h.send(message("new", "p1", "new"))
	h.until("the new one handled", func() bool { return len(again.seen()) > 0 })
	if got := again.seen(); len(got) != 1 {
		t.Errorf("handled again: %v", got)
	}
}

func TestForget(t *testing.T) {
	s, err := openSeen(Default(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	old, young := message("1", "", "old"), message("2", "", "young")
	now := time.Now()
	if err := errors.Join(s.add(old, now.Add(-2*time.Hour)), s.add(young, now.Add(-2*time.Hour)), s.add(young, now), s.forget(now.Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	if known, _ := s.has(old); known {
		t.Error("the old one is remembered")
	}
	if known, _ := s.has(young); !known {
		t.Error("the one seen again is forgotten")
	}
}

// BenchmarkAppend is the time a door waits for its acknowledgement, with 8
// senders at once, while the messages are handled.
func BenchmarkAppend(b *testing.B) {
	h := start(b, b.TempDir(), &count{})
	body := make([]byte, 4000)
	var mu sync.Mutex
	var times []time.Duration
	n := 0
	b.SetParallelism(4)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			m := message(fmt.Sprint("m", n), fmt.Sprint("p", n%50), fmt.Sprint(n))
			mu.Unlock()
			m.Body = body
			begin := time.Now()
			if _, err := h.queue.Append(context.Background(), m); err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			times = append(times, time.Since(begin))
			mu.Unlock()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}

type count struct{}

func (*count) Handle(context.Context, *pipeline.Message) error { return nil }

func TestProgress(t *testing.T) {
	p := &progress{low: 5}
	for _, o := range []int64{5, 6, 9, 10} {
		p.begin(o)
	}
	for _, c := range []struct{ done, low int64 }{{6, 5}, {10, 5}, {5, 9}, {9, 11}} {
		if p.done(c.done); p.low != c.low {
			t.Errorf("after %d: %d, want %d", c.done, p.low, c.low)
		}
	}
	if p.begin(20); p.low != 20 {
		t.Errorf("after a leap: %d", p.low)
	}
}
