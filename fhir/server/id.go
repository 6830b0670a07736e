package server

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

// ids draws UUIDs of version 7 that ascend within a process and differ little
// from each other: behind the millisecond stands a counter (RFC 9562 §6.2,
// method 1), behind that a number the process drew (§6.4). An index has the id
// of a resource some fifty times, so ids that lie together and have a beginning
// and an end in common are most of what there is to save in it.
type ids struct {
	node [8]byte // variant and 62 random bits

	mu    sync.Mutex
	last  int64 // ms
	count uint16
}

const countBits = 12

func newIDs() *ids {
	g := new(ids)
	_, _ = rand.Read(g.node[:]) // never fails
	g.node[0] = g.node[0]&0x3f | 0x80
	return g
}

// New draws an id. Under more than 4096 in a millisecond they run ahead of the
// clock, and a clock that is set back holds them where they are.
func (g *ids) New() string {
	ms, count := g.next(time.Now().UnixMilli())
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(ms)<<16|7<<countBits|uint64(count))
	copy(b[8:], g.node[:])
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

func (g *ids) next(now int64) (ms int64, count uint16) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case now > g.last:
		g.last, g.count = now, 0
	case g.count == 1<<countBits-1:
		g.last, g.count = g.last+1, 0
	default:
		g.count++
	}
	return g.last, g.count
}
