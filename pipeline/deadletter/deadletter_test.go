package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

func start(t *testing.T, dir string) (*Letters, func()) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	cfg := kafka.Default(filepath.Join(dir, "kafka"))
	cfg.Port = 0
	cluster, err := kafka.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Default(filepath.Join(dir, "letters")), cluster, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return l, func() {
		cancel()
		wg.Wait()
		if err := errors.Join(l.Close(), cluster.Close()); err != nil {
			t.Error(err)
		}
	}
}

func letter(id string, at time.Time, attempts int) *pipeline.DeadLetter {
	return &pipeline.DeadLetter{ID: id, Time: at, Reason: "缺少病人编号", Location: "patient.id", Map: "visit@3", Attempts: attempts,
		Message: &pipeline.Message{ID: id, Source: "his", Kind: "his-visit", Body: []byte("raw " + id + "\x00\xff")}}
}

func TestLetters(t *testing.T) {
	dir := t.TempDir()
	l, stop := start(t, dir)
	now := time.Now().UTC()
	for i := range 5 {
		if err := l.Put(t.Context(), letter(fmt.Sprint("m", i), now.Add(time.Duration(i)*time.Second), 1)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(l *Letters, limit int, want string, wantTotal int) {
		t.Helper()
		items, total, err := l.List(t.Context(), limit)
		got := ""
		for _, d := range items {
			got += d.ID + " "
		}
		if err != nil || got != want || total != wantTotal {
			t.Fatalf("got %q of %d (%v), want %q of %d", got, total, err, want, wantTotal)
		}
	}
	check(l, 2, "m4 m3 ", 5)
	if err := l.Put(t.Context(), letter("m1", now.Add(time.Minute), 2)); err != nil { // refused again
		t.Fatal(err)
	}
	check(l, 9, "m1 m4 m3 m2 m0 ", 5)
	if err := errors.Join(l.Resolve(t.Context(), "m3"), l.Resolve(t.Context(), "unknown")); err != nil {
		t.Fatal(err)
	}
	check(l, 9, "m1 m4 m2 m0 ", 4)
	if _, err := l.Get(t.Context(), "m3"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a resolved one: %v", err)
	}
	stop()

	if err := os.RemoveAll(filepath.Join(dir, "letters")); err != nil { // the index is a view
		t.Fatal(err)
	}
	l, stop = start(t, dir)
	defer stop()
	for end := time.Now().Add(10 * time.Second); l.Total() != 4 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	d, err := l.Get(t.Context(), "m1")
	if err != nil || string(d.Message.Body) != "raw m1\x00\xff" || d.Attempts != 2 || d.Map != "visit@3" || d.Message.Kind != "his-visit" {
		t.Fatalf("%+v, %v", d, err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := l.Get(t.Context(), "m3"); fault.Is(err, fault.NotFound) && l.Total() == 4 {
			break
		}
	}
	check(l, 9, "m1 m4 m2 m0 ", 4)
}
