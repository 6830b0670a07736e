package inbound

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// TestAPausedSourceWaits: what comes for a paused source is kept aside, over a
// restart, and handled in order afterwards; other sources go on.
func TestAPausedSourceWaits(t *testing.T) {
	dir, r := t.TempDir(), &recorder{}
	var paused atomic.Bool
	paused.Store(true)
	hold := func(q *Queue) { q.held = func(source string) bool { return source == "his" && paused.Load() } }
	h := startHeld(t, dir, r, hold)
	for _, id := range []string{"1", "2", "3"} {
		h.send(message(id, "p1", "paused "+id))
	}
	other := message("4", "p2", "other")
	other.Source, other.Key = "mllp", "mllp|p2"
	h.send(other)
	h.until("the other is handled, the paused wait", func() bool { return strings.Join(r.seen(), " ") == "4" && h.letters.Parked() == 3 })
	if items, total, err := h.letters.List(t.Context(), 10); err != nil || total != 0 || len(items) != 0 {
		t.Errorf("parked messages among the dead letters: %v %d %v", items, total, err)
	}
	h.stop()
	h = startHeld(t, dir, r, hold)
	if h.letters.Parked() != 3 {
		t.Errorf("%d parked after a restart", h.letters.Parked())
	}
	paused.Store(false)
	h.queue.Wake()
	h.send(message("5", "p1", "after the pause"))
	h.until("all are handled", func() bool { return len(r.seen()) == 5 && h.letters.Parked() == 0 })
	if got := strings.Join(r.seen(), " "); got != "4 1 2 3 5" {
		t.Errorf("order %s", got)
	}
}

// TestAPartnerThatIsAway holds up its own patient's messages only.
func TestAPartnerThatIsAway(t *testing.T) {
	var back atomic.Bool
	r := &recorder{answer: func(m *pipeline.Message, _ int) error {
		if m.ID == "1" && !back.Load() {
			return &pipeline.Later{After: 10 * time.Millisecond, Cause: fault.New(fault.Unavailable, "对方中心不在")}
		}
		return nil
	}}
	h := start(t, t.TempDir(), r)
	h.send(message("1", "p1", "a"))
	h.send(message("2", "p1", "b"))
	h.send(message("3", "p2", "c"))
	h.until("the other patient is handled", func() bool { return contains(r.seen(), "3") && h.letters.Parked() == 2 })
	if contains(r.seen(), "2") {
		t.Error("the second message overtook the first")
	}
	back.Store(true)
	h.until("both are handled", func() bool { return contains(r.seen(), "2") && h.letters.Parked() == 0 })
	var later *pipeline.Later
	if err := error(&pipeline.Later{Cause: fault.New(fault.Unavailable, "x")}); !errors.As(err, &later) || !fault.Is(err, fault.Unavailable) {
		t.Error("Later hides its cause")
	}
}

func contains(list []string, id string) bool {
	for _, s := range list {
		if s == id {
			return true
		}
	}
	return false
}
