package queue

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func small() Config {
	return Config{Running: 1, Waiting: 2, Limit: time.Minute, Keep: time.Minute}
}

// slow takes a while, unless it is cancelled.
func slow(of string, d time.Duration, runs *atomic.Int32) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		runs.Add(1)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(d):
			return of, nil
		}
	}
}

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, runs := New[string](small()), new(atomic.Int32)
		ctx, leave := context.WithCancel(t.Context())
		do := func(key string) *Job[string] {
			j, err := q.Do(ctx, key, slow(key, 10*time.Second, runs))
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		a, b, c := do("a"), do("b"), do("c")
		if _, err := q.Do(ctx, "d", nil); !fault.Is(err, fault.Busy) {
			t.Errorf("a fourth is taken: %v", err)
		}
		if a.Place() != 0 || b.Place() != 1 || c.Place() != 2 || do("a") != a {
			t.Errorf("places %d %d %d", a.Place(), b.Place(), c.Place())
		}
		leave() // who asked goes; the jobs go on
		if a.Wait(t.Context(), time.Second) {
			t.Error("a is there at once")
		}
		b.Cancel()
		if _, err := b.Result(); !fault.Is(err, fault.Conflict) || q.Find("b") != nil {
			t.Errorf("b was cancelled while it waited: %v", err)
		}
		if v, err := c.Result(); v != "c" || err != nil || a.Place() != 0 {
			t.Errorf("%q, %v", v, err)
		}
		if v, _ := do("a").Result(); v != "a" || runs.Load() != 2 {
			t.Errorf("%q after %d runs", v, runs.Load())
		}
		time.Sleep(2 * time.Minute)
		if q.Find("a") != nil {
			t.Error("a is kept for ever")
		}
		e := do("e")
		synctest.Wait()
		e.Cancel()
		if _, err := e.Result(); !fault.Is(err, fault.Conflict) {
			t.Errorf("e was cancelled while it ran: %v", err)
		}
		if v, err := do("e").Result(); v != "e" || err != nil {
			t.Errorf("e again: %q, %v", v, err)
		}
	})
}

func TestFailureAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, broken := New[string](small()), errors.New("broken")
		j, _ := q.Do(t.Context(), "a", func(context.Context) (string, error) { return "", broken })
		if _, err := j.Result(); !errors.Is(err, broken) {
			t.Error(err)
		}
		synctest.Wait()
		j, _ = q.Do(t.Context(), "a", slow("a", time.Hour, new(atomic.Int32)))
		if _, err := j.Result(); !fault.Is(err, fault.TooCostly) {
			t.Errorf("an hour is too long: %v", err)
		}
		j, _ = q.Do(t.Context(), "b", func(context.Context) (string, error) { panic("bug") })
		if _, err := j.Result(); err == nil {
			t.Error("a panic is no result")
		}
	})
}

// TestMany: none is lost or run twice, whoever asks and cancels when.
func TestMany(t *testing.T) {
	q := New[string](Config{Running: 3, Waiting: 1000, Limit: time.Minute, Keep: time.Minute})
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			key := strconv.Itoa(i / 2)
			j, err := q.Do(context.Background(), key, slow(key, time.Millisecond, new(atomic.Int32)))
			if err != nil {
				t.Error(err)
				return
			}
			if i%5 == 0 {
				j.Cancel()
			}
			if v, err := j.Result(); v != key && !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %q, %v", key, v, err)
			}
		})
	}
	wait.Wait()
	if q.running != 0 || len(q.waiting) != 0 {
		t.Errorf("%d run, %d wait", q.running, len(q.waiting))
	}
}
