package jobs

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func manager(cfg Config) *Manager {
	var mu sync.Mutex
	n := 0
	return New(cfg, clock.System{}, func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return strconv.Itoa(n)
	})
}

func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manager(Config{Workers: 1, Waiting: 1, Keep: time.Minute})
		defer m.Close()
		release := make(chan error)
		first, err := m.Start("a", "me", func(ctx context.Context, progress func(string)) (any, error) {
			progress("half")
			return 42, <-release
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // so that it has the slot
		second, _ := m.Start("b", "me", func(ctx context.Context, _ func(string)) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if _, err := m.Start("c", "me", nil); !fault.Is(err, fault.Busy) {
			t.Errorf("third job: %v, want busy", err)
		}
		synctest.Wait()
		states(t, m, first, Running, second, Waiting)
		if st, _ := m.Get(first); st.Progress != "half" {
			t.Errorf("progress %q", st.Progress)
		}
		release <- nil
		synctest.Wait()
		states(t, m, first, Done, second, Running)
		if st, _ := m.Get(first); st.Result != 42 {
			t.Errorf("result %v", st.Result)
		}
		if err := m.Cancel(second); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		states(t, m, first, Done, second, Cancelled)
		time.Sleep(2 * time.Minute)
		if _, err := m.Get(first); !fault.Is(err, fault.NotFound) {
			t.Errorf("job kept too long: %v", err)
		}
	})
}

func TestFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manager(Default())
		id, _ := m.Start("a", "", func(context.Context, func(string)) (any, error) { return nil, errors.New("no") })
		synctest.Wait()
		if st, _ := m.Get(id); st.State != Failed || st.Err == nil {
			t.Errorf("%+v", st)
		}
		m.Close()
		if _, err := m.Start("late", "", nil); !fault.Is(err, fault.Unavailable) {
			t.Errorf("after close: %v", err)
		}
	})
}

func states(t *testing.T, m *Manager, want ...any) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		st, err := m.Get(want[i].(string))
		if err != nil || st.State != want[i+1] {
			t.Errorf("job %v: %v %v, want %v", want[i], st.State, err, want[i+1])
		}
	}
}

func TestRestoreKeepsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manager(Config{Workers: 1, Waiting: 1, Keep: time.Minute})
		defer m.Close()
		begun := time.Now().Add(-time.Hour)
		m.Restore(Status{ID: "old", State: Done, Started: begun, Ended: begun.Add(time.Second)})
		m.Restore(Status{ID: "open", State: Done, Started: begun})
		if st, err := m.Get("old"); err != nil || st.Ended.Sub(st.Started) != time.Second {
			t.Errorf("restored: %+v %v", st, err)
		}
		if st, err := m.Get("open"); err != nil || st.Ended.Sub(st.Started) != time.Hour {
			t.Errorf("restored without an end: %+v %v", st, err)
		}
		time.Sleep(2 * time.Minute) // of the simulated clock
		if n := len(m.List()); n != 0 {
			t.Errorf("%d restored jobs outlive their time", n)
		}
	})
}
