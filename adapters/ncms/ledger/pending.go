package ledger

import (
	"context"
	"sync"
	"time"
)

// patience is how long a reconciliation waits for rows pushed just before.
const patience = 3 * time.Second

// pending are the messages that this node's door accepted and its sink has not
// handled yet, with the time after which nobody waits for them.
type pending struct {
	mu   sync.Mutex
	open map[string]time.Time
	less chan struct{} // closed when one ends
}

func (p *pending) begin(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open, p.less = map[string]time.Time{}, make(chan struct{})
	}
	p.open[id] = time.Now().Add(patience)
}

func (p *pending) end(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.open[id]; ok {
		delete(p.open, id)
		close(p.less)
		p.less = make(chan struct{})
	}
}

// wait returns when nothing is open, or everything open is too old to wait for.
func (p *pending) wait(ctx context.Context) {
	for {
		p.mu.Lock()
		var last time.Time
		for id, until := range p.open {
			if !time.Now().Before(until) {
				delete(p.open, id)
			} else if until.After(last) {
				last = until
			}
		}
		less := p.less
		p.mu.Unlock()
		if last.IsZero() {
			return
		}
		timer := time.NewTimer(time.Until(last))
		select {
		case <-less:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}
