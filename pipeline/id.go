package pipeline

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
)

// IDs makes message ids: ULIDs (48 bits of milliseconds, 80 of randomness, in
// Crockford base 32), so that their order is the order of arrival. Within one
// millisecond the random part counts up. Safe for concurrent use.
type IDs struct {
	clock clock.Clock
	mu    sync.Mutex
	ms    uint64
	hi    uint16
	lo    uint64
}

// NewIDs returns a maker that reads c.
func NewIDs(c clock.Clock) *IDs { return &IDs{clock: c} }

// Next returns a new id of 26 characters, greater than every one before, even
// when the clock steps back.
func (g *IDs) Next() string {
	now := uint64(g.clock.Now().UnixMilli())
	g.mu.Lock()
	defer g.mu.Unlock()
	if now > g.ms {
		var b [10]byte
		_, _ = rand.Read(b[:]) // never fails: see crypto/rand.Read
		g.ms, g.hi, g.lo = now, binary.BigEndian.Uint16(b[:])>>1, binary.BigEndian.Uint64(b[2:])
	} else if g.lo++; g.lo == 0 {
		if g.hi++; g.hi == 0 {
			g.ms++
		}
	}
	return crockford(g.ms, g.hi, g.lo)
}

// IDOf is the id of a message that follows from what it is about, so that making
// it again makes the same message; it sorts by t.
func IDOf(t time.Time, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p + "\x00"))
	}
	sum := h.Sum(nil)
	return crockford(uint64(max(t.UnixMilli(), 0)), binary.BigEndian.Uint16(sum), binary.BigEndian.Uint64(sum[2:]))
}

// IDFloor is the least id that a message received at t can have; "" for the zero
// time.
func IDFloor(t time.Time) string {
	if t.IsZero() || t.UnixMilli() < 0 {
		return ""
	}
	return crockford(uint64(t.UnixMilli()), 0, 0)
}

func crockford(ms uint64, hi uint16, lo uint64) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var out [26]byte
	for i := 9; i >= 0; i-- {
		out[i] = digits[ms&31]
		ms >>= 5
	}
	for i := 25; i >= 10; i-- {
		out[i] = digits[lo&31]
		lo = lo>>5 | uint64(hi&31)<<59
		hi >>= 5
	}
	return string(out[:])
}
