package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
)

func TestIDsGrowWithinOneMillisecond(t *testing.T) {
	g := NewIDs(clock.Fixed(time.UnixMilli(1469918176385)))
	last := ""
	for range 2000 {
		id := g.Next()
		if len(id) != 26 || !strings.HasPrefix(id, "01ARYZ6S41") { // the ULID specification's example time
			t.Fatalf("id = %q", id)
		}
		if id <= last {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
}

type backwards struct{ t time.Time }

func (b *backwards) Now() time.Time { b.t = b.t.Add(-time.Hour); return b.t }

func TestIDsGrowThoughTheClockStepsBack(t *testing.T) {
	g := NewIDs(&backwards{time.UnixMilli(1469918176385)})
	if a, b := g.Next(), g.Next(); b <= a {
		t.Fatalf("%q after %q", b, a)
	}
}

func TestIDOf(t *testing.T) {
	at := time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)
	a := IDOf(at, "city", "Patient", "1")
	if a != IDOf(at, "city", "Patient", "1") || a == IDOf(at, "city", "Patient1", "") || len(a) != 26 {
		t.Errorf("%s", a)
	}
	if a < IDFloor(at) || a >= IDFloor(at.Add(time.Millisecond)) || IDOf(time.Time{}, "x") < IDFloor(time.Time{}) {
		t.Errorf("%s does not sort by time", a)
	}
}
