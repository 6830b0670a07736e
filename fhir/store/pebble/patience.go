package pebble

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// patience is a pebble.CompactionScheduler that lets tables pile up in level 0
// while much is written: what is compacted later, from more tables at once, is
// compacted fewer times. When writing ebbs away, or the pile is as deep as
// searches bear, compactions run as they do by default.
type patience struct {
	db      pebble.DBForCompaction
	written atomic.Int64               // bytes of batches since the start
	depth   atomic.Pointer[func() int] // sublevels of level 0; nil = not open yet

	poke    chan struct{}
	stop    chan struct{}
	stopped chan struct{}

	mu      sync.Mutex // after the database's own
	running int
	held    bool
	closed  bool
}

const (
	// heavyRate is how many bytes of batches a second are much: a thousand
	// resources, some ten times what the halls of a province write.
	heavyRate = 3 << 20
	// deep is how many sublevels of level 0 are let pile up; a search looks into
	// each of them.
	deep = 16
	// patienceTick is how often the rate is looked at.
	patienceTick = 100 * time.Millisecond
)

func newPatience() *patience {
	return &patience{poke: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
}

// watch tells how to see the depth of level 0.
func (p *patience) watch(depth func() int) { p.depth.Store(&depth) }

// Register implements pebble.CompactionScheduler.
func (p *patience) Register(_ int, db pebble.DBForCompaction) {
	p.db = db
	go p.run()
}

// Unregister implements pebble.CompactionScheduler.
func (p *patience) Unregister() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	close(p.stop)
	<-p.stopped
}

// TrySchedule implements pebble.CompactionScheduler.
func (p *patience) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.held || p.running >= p.db.GetAllowedWithoutPermission() {
		return false, nil
	}
	p.running++
	return true, p
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (p *patience) UpdateGetAllowedWithoutPermission() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// Started, MeasureCPU, CumulativeStats and Done implement
// pebble.CompactionGrantHandle.
func (p *patience) Started() {}

// MeasureCPU does nothing: compactions are not limited by processor time.
func (p *patience) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats does nothing.
func (p *patience) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done makes room for another compaction.
func (p *patience) Done() {
	p.mu.Lock()
	p.running--
	p.mu.Unlock()
	p.UpdateGetAllowedWithoutPermission()
}

// run watches how much is written and grants what waits.
func (p *patience) run() {
	defer close(p.stopped)
	tick := time.NewTicker(patienceTick)
	defer tick.Stop()
	var rate gauge
	last := time.Now()
	for {
		select {
		case <-p.stop:
			return
		case <-p.poke:
		case now := <-tick.C:
			heavy := rate.add(p.written.Load(), now.Sub(last)) > heavyRate
			last = now
			depth := p.depth.Load()
			held := heavy && depth != nil && (*depth)() < deep
			p.mu.Lock()
			p.held = held
			p.mu.Unlock()
		}
		for p.grant() {
		}
	}
}

// grant starts one compaction that waits. Its calls to the database hold no
// lock of ours; only run calls it, so nothing else grants meanwhile.
func (p *patience) grant() bool {
	if !p.room() {
		return false
	}
	if waiting, _ := p.db.GetWaitingCompaction(); !waiting {
		return false
	}
	p.mu.Lock()
	p.running++ // before it runs: it may be done at once
	p.mu.Unlock()
	if p.db.Schedule(p) {
		return true
	}
	p.mu.Lock()
	p.running--
	p.mu.Unlock()
	return false
}

func (p *patience) room() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && !p.held && p.running < p.db.GetAllowedWithoutPermission()
}

// gauge is a rate that forgets what was longer ago than a few seconds.
type gauge struct {
	total  int64
	perSec float64
}

// add takes the total after a span and returns the rate.
func (g *gauge) add(total int64, span time.Duration) float64 {
	const memory = 2 * time.Second
	if span <= 0 {
		return g.perSec
	}
	weight := min(1, span.Seconds()/memory.Seconds())
	g.perSec += weight * (float64(total-g.total)/span.Seconds() - g.perSec)
	g.total = total
	return g.perSec
}

var (
	_ pebble.CompactionScheduler   = (*patience)(nil)
	_ pebble.CompactionGrantHandle = (*patience)(nil)
)
