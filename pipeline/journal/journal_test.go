package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// words takes every word of a body as a key.
func words(m *pipeline.Message) (out []Key) {
	for _, w := range strings.Fields(string(m.Body)) {
		out = append(out, Key{'n', w})
	}
	return out
}

func start(t *testing.T, dir string) (*kafka.Cluster, *Journal, func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	cfg := kafka.Default(filepath.Join(dir, "kafka"))
	cfg.Port = 0
	cluster, err := kafka.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	j, err := Open(Default(filepath.Join(dir, "journal")), cluster, words, clock.System{}, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = j.Run(ctx) })
	return cluster, j, func() {
		cancel()
		wg.Wait()
		if err := errors.Join(j.Close(), cluster.Close()); err != nil {
			t.Error(err)
		}
	}
}

func message(id, source, body string) *pipeline.Message {
	return &pipeline.Message{ID: id, Source: source, Kind: "test", Key: source, Received: time.Now(), Body: []byte(body), Headers: map[string]string{}}
}

// await searches until something is found.
func await(t *testing.T, j *Journal, q Query, n int) *Page {
	t.Helper()
	q.Limit = max(q.Limit, 10)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		p, err := j.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Items) >= n {
			return p
		}
		if time.Now().After(end) {
			t.Fatalf("%+v finds %d, want %d", q, len(p.Items), n)
		}
	}
}

func TestJournal(t *testing.T) {
	dir := t.TempDir()
	cluster, j, stop := start(t, dir)
	in, err := cluster.Producer(t.Context(), kafka.Inbound, true)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := cluster.Producer(t.Context(), kafka.DeadLetter, true)
	if err != nil {
		t.Fatal(err)
	}
	ids := pipeline.NewIDs(clock.System{})
	a, b, c := message(ids.Next(), "his", "张三 v1"), message(ids.Next(), "his", "张三丰 v2"), message(ids.Next(), "mllp", "broken 张三")
	for _, m := range []*pipeline.Message{a, b} {
		if _, _, err := in.Append(t.Context(), kafka.MessageRecord(m)); err != nil {
			t.Fatal(err)
		}
	}
	letter, err := kafka.LetterRecord(&pipeline.DeadLetter{ID: c.ID, Message: c, Time: time.Now(), Reason: "半条消息"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := dead.Append(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if p := await(t, j, Query{Key: "张三"}, 2); p.Items[0].ID != c.ID || p.Items[1].ID != a.ID || p.Items[0].State != inbound.Dead || p.Items[0].Reason != "半条消息" || p.Items[1].State != inbound.Waiting {
		t.Errorf("by name: %+v", p.Items)
	}
	await(t, j, Query{Key: "V2"}, 1)
	if p := await(t, j, Query{Key: "张三丰"}, 1); p.Items[0].ID != b.ID {
		t.Errorf("%+v", p.Items)
	}
	await(t, j, Query{Source: "his"}, 2)
	j.Wrote(a.ID, []string{"Patient/1/1"})
	j.Settled(a, inbound.Done, "")
	if p := await(t, j, Query{State: inbound.Done}, 1); len(p.Items) != 1 || p.Items[0].Refs[0] != "Patient/1/1" {
		t.Errorf("%+v", p.Items)
	}
	for _, m := range []*pipeline.Message{a, c} {
		if got, err := j.Message(t.Context(), m.ID); err != nil || string(got.Body) != string(m.Body) || got.Source != m.Source {
			t.Errorf("raw of %s: %+v, %v", m.ID, got, err)
		}
	}
	stop()
	if err := os.RemoveAll(filepath.Join(dir, "journal")); err != nil { // it is a view
		t.Fatal(err)
	}
	_, j, stop = start(t, dir)
	defer stop()
	await(t, j, Query{Key: "张三"}, 2)
	first := await(t, j, Query{}, 3)
	if p, err := j.Search(t.Context(), Query{Limit: 2}); err != nil || p.Next == "" || len(p.Items) != 2 {
		t.Errorf("%+v, %v", p, err)
	} else if p, err = j.Search(t.Context(), Query{Limit: 2, Before: p.Next}); err != nil || len(p.Items) != 1 || p.Items[0].ID != first.Items[2].ID {
		t.Errorf("second page %+v, %v", p, err)
	}
	if err := j.forget(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if p, err := j.Search(t.Context(), Query{Key: "张三", Limit: 5}); err != nil || len(p.Items) != 0 {
		t.Errorf("after forgetting: %+v, %v", p, err)
	}
	if _, err := j.Get(a.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("after forgetting: %v", err)
	}
}

// hasty is a clock on which every question takes a second.
type hasty struct{ n atomic.Int64 }

func (c *hasty) Now() time.Time { return time.Unix(1_790_000_000+c.n.Add(1), 0) }

// TestPagesEndInTime: a filter that matches next to nothing gives pages that end
// early, and together they find it.
func TestPagesEndInTime(t *testing.T) {
	j, err := Open(Default(t.TempDir()), nil, words, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Generate(2000); err != nil {
		t.Fatal(err)
	}
	oldest := pipeline.Message{ID: "0", Source: "source-3", Kind: "rare", Received: time.Now()}
	b := j.db.NewBatch()
	if err := errors.Join(j.note(b, &oldest, kafka.Inbound, &kafka.Record{}), b.Commit(nil)); err != nil {
		t.Fatal(err)
	}
	j.clock = &hasty{}
	q, pages := Query{Kind: "rare", Limit: 5}, 0
	for {
		p, err := j.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		if len(p.Items) == 1 && p.Next == "" {
			break
		}
		if len(p.Items) > 0 || p.Next == "" || pages > 20 {
			t.Fatalf("page %d: %+v", pages, p)
		}
		q.Before = p.Next
	}
	if pages < 5 {
		t.Errorf("%d pages", pages)
	}
}

// BenchmarkSearch looks for business keys among many messages;
// QIHUANG_HEAVY=1 makes them five million.
func BenchmarkSearch(b *testing.B) {
	n := 200_000
	if os.Getenv("QIHUANG_HEAVY") != "" {
		n = 5_000_000
	}
	j, err := Open(Default(b.TempDir()), nil, words, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	if err := j.Generate(n); err != nil {
		b.Fatal(err)
	}
	for _, q := range []Query{{Key: "患者77"}, {Key: "v123456"}, {Key: "患者7"}, {Source: "source-3"}, {Source: "source-3", State: inbound.Done}, {Kind: "none"}} {
		q.Limit = 50
		b.Run(fmt.Sprintf("%+v", q), func(b *testing.B) {
			for b.Loop() {
				if _, err := j.Search(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
