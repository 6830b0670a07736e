package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func open(t testing.TB, dir string) *Cluster {
	t.Helper()
	cfg := Default(dir)
	cfg.Port, cfg.InboundPartitions = 0, 3
	c, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var errEnough = errors.New("enough")

func TestLogGroupCommit(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	log, err := c.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 16, 20
	offsets := make(map[int64]string)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				a, b := fmt.Sprintf("%d/%d/a", w, i), fmt.Sprintf("%d/%d/b", w, i)
				first, err := log.Append(t.Context(), [][]byte{[]byte(a), []byte(b)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				offsets[first], offsets[first+1] = a, b
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	c.Close()

	c = open(t, dir) // everything acknowledged is there after a restart
	defer c.Close()
	if log, err = c.Log(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, next, err := log.Bounds(t.Context())
	if err != nil || first != 0 || next != writers*each*2 {
		t.Fatalf("bounds %d, %d, %v", first, next, err)
	}
	want := int64(5)
	err = log.Read(t.Context(), 5, func(offset int64, rec []byte) error {
		if offset != want || string(rec) != offsets[offset] {
			t.Errorf("offset %d: %q, want %d: %q", offset, rec, want, offsets[want])
		}
		if want++; want == next {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	if err := log.Trim(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if err := log.Read(t.Context(), 3, nil); !fault.Is(err, fault.Gone) {
		t.Fatalf("read below the first record: %v", err)
	}
}

func TestLogFollows(t *testing.T) {
	c := open(t, t.TempDir())
	defer c.Close()
	log, err := c.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- log.Read(ctx, 0, func(_ int64, rec []byte) error { got <- string(rec); return nil })
	}()
	for i := range 3 {
		begin := time.Now()
		if _, err := log.Append(ctx, [][]byte{fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		if rec := <-got; rec != fmt.Sprint(i) {
			t.Fatalf("got %s", rec)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("record %d took %v", i, d)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestLargeAndTooLarge(t *testing.T) {
	c := open(t, t.TempDir())
	defer c.Close()
	log, err := c.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), [][]byte{make([]byte, 50<<20)}); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), [][]byte{make([]byte, 65<<20)}); !fault.Is(err, fault.TooCostly) {
		t.Fatalf("65 MB: %v", err)
	}
	err = log.Read(t.Context(), 0, func(_ int64, rec []byte) error {
		if len(rec) != 50<<20 {
			t.Errorf("%d bytes", len(rec))
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
}

// A consumer that is stopped half way goes on where it committed, and every
// partition keeps its order.
func TestConsumeResumes(t *testing.T) {
	c := open(t, t.TempDir())
	defer c.Close()
	p, err := c.Producer(t.Context(), Inbound, true)
	if err != nil {
		t.Fatal(err)
	}
	const n = 60
	for i := range n {
		if _, _, err := p.Append(t.Context(), Record{Key: fmt.Append(nil, "k", i%7), Value: fmt.Append(nil, i), Headers: []Header{{"h", fmt.Sprint(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	last := map[string]int{}
	var mu sync.Mutex
	consume := func(stopAfter int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		handled := 0
		err := c.Consume(ctx, "g", Inbound, func(ctx context.Context, claim *Claim) error {
			return claim.Follow(ctx, claim.Next, func(r Record) error {
				mu.Lock()
				defer mu.Unlock()
				if handled >= stopAfter {
					return ctx.Err()
				}
				var i int
				fmt.Sscan(string(r.Value), &i)
				if r.Header("h") != string(r.Value) {
					t.Errorf("header %q of %q", r.Header("h"), r.Value)
				}
				if prev, ok := last[string(r.Key)]; ok && i < prev {
					t.Errorf("key %s: %d after %d", r.Key, i, prev)
				}
				last[string(r.Key)] = i
				seen[string(r.Value)]++
				if err := claim.Commit(r.Offset + 1); err != nil {
					return err
				}
				if handled++; handled == stopAfter {
					cancel()
				}
				return nil
			})
		})
		if err != nil {
			t.Error(err)
		}
	}
	consume(25)
	consume(n - 25)
	if len(seen) != n {
		t.Fatalf("%d of %d seen", len(seen), n)
	}
	for v, times := range seen {
		if times != 1 {
			t.Errorf("%s seen %d times", v, times)
		}
	}
	stats, err := c.Stats(t.Context(), []string{Inbound}, []string{"g"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		if s.Next > 0 && s.Lag["g"] != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func BenchmarkAppend32(b *testing.B) {
	c := open(b, b.TempDir())
	defer c.Close()
	log, err := c.Log(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	rec := make([]byte, 1200)
	b.SetParallelism(16) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := log.Append(context.Background(), [][]byte{rec}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

// Retention goes by the time of append, whatever time the content claims: an
// old message must not take the newer ones before it along.
func TestRetentionIgnoresContentTime(t *testing.T) {
	c := open(t, t.TempDir())
	defer c.Close()
	p, err := c.Producer(t.Context(), DeadLetter, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, _, err := p.Append(t.Context(), Record{Value: []byte("x"), Time: time.Now().AddDate(-1, 0, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	q, err := c.Producer(t.Context(), Changes, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Append(t.Context(), Record{Value: []byte("new")}, Record{Value: []byte("old"), Time: time.Now().AddDate(-1, 0, 0)}); err != nil {
		t.Fatal(err)
	}
	c.broker.cluster.ApplyRetention()
	for topic, want := range map[string]int64{DeadLetter: 3, Changes: 2} {
		first, next, err := c.bounds(t.Context(), c.Topic(topic), 0)
		if err != nil || first != 0 || next != want {
			t.Errorf("%s: %d to %d, %v", topic, first, next, err)
		}
	}
}
