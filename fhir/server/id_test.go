package server

import (
	"testing"

	"github.com/google/uuid"
)

func TestIDs(t *testing.T) {
	g, other := newIDs(), newIDs()
	last := ""
	for range 20_000 {
		id := g.New()
		u, err := uuid.Parse(id)
		if err != nil || u.Version() != 7 || u.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: version %d, variant %v, %v", id, u.Version(), u.Variant(), err)
		}
		if id <= last {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
	if a, b := g.New(), other.New(); a[19:] == b[19:] {
		t.Errorf("two processes draw one number: %s, %s", a, b)
	}
	at := g.last
	if ms, _ := g.next(at - 60_000); ms < at {
		t.Error("a clock that is set back draws old ids again")
	}
}

func BenchmarkID(b *testing.B) {
	g := newIDs()
	for b.Loop() {
		g.New()
	}
}
