package inbound

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

const (
	// commitEvery spaces out the commits: after a crash messages of so much time
	// are handled again, which changes nothing.
	commitEvery = 200 * time.Millisecond
	openBytes   = 16 << 20 // of messages of one partition that are read and not handled yet
	openRecord  = 4 << 10  // what one counts beside its body
)

// claim is a *kafka.Claim: one partition for one generation of the group.
type claim interface {
	Follow(ctx context.Context, from int64, fn func(kafka.Record) error) error
	Commit(next int64) error
}

// consume handles one partition: a key's messages in order, keys beside each
// other, and commits up to the oldest message not yet handled.
func (q *Queue) consume(ctx context.Context, claim claim, partition int, next int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &progress{low: next, committed: next}
	room := semaphore.NewWeighted(openBytes)
	keys := turns{waiting: map[string][]kafka.Record{}}
	work := make(chan kafka.Record)
	one := func(r *kafka.Record) {
		q.hands.take()
		defer q.hands.put()
		if ctx.Err() != nil {
			return // comes again
		}
		if err := q.handle(ctx, r); err != nil {
			cancel(err)
			return
		}
		p.done(r.Offset)
		room.Release(weight(r))
	}
	var wg sync.WaitGroup
	for range q.cfg.Workers {
		wg.Go(func() {
			for r := range work {
				for more := true; more; r, more = keys.next(r.Key) {
					one(&r)
				}
			}
		})
	}
	committer, stop := context.WithCancel(context.Background())
	var commits sync.WaitGroup
	commits.Go(func() { q.commitLoop(committer, claim, partition, p) })
	err := claim.Follow(ctx, next, func(r kafka.Record) error {
		if err := room.Acquire(ctx, weight(&r)); err != nil {
			return err
		}
		p.begin(r.Offset)
		if !keys.take(r) {
			return nil
		}
		select {
		case work <- r:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(work)
	wg.Wait()
	stop()
	commits.Wait()
	return errors.Join(err, context.Cause(ctx), p.commit(claim, q.keep))
}

func weight(r *kafka.Record) int64 { return min(int64(len(r.Value))+openRecord, openBytes) }

// turns lets the messages of one key be handled one after the other.
type turns struct {
	mu      sync.Mutex
	waiting map[string][]kafka.Record // key in hand → what waits behind it
}

// take reports whether r may be handled now; else it waits for its turn.
func (t *turns) take(r kafka.Record) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	behind, busy := t.waiting[string(r.Key)]
	if busy {
		behind = append(behind, r)
	}
	t.waiting[string(r.Key)] = behind
	return !busy
}

// next is what waits behind the message of a key that was handled, if anything.
func (t *turns) next(key []byte) (r kafka.Record, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	behind := t.waiting[string(key)]
	if len(behind) == 0 {
		delete(t.waiting, string(key))
		return r, false
	}
	t.waiting[string(key)] = behind[1:]
	return behind[0], true
}

func (q *Queue) commitLoop(ctx context.Context, claim claim, partition int, p *progress) {
	tick := time.NewTicker(q.commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := p.commit(claim, q.keep); err != nil {
				q.logger.Warn("commit inbound offset", "partition", partition, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// keep makes durable what the watchers were told.
func (q *Queue) keep() error {
	for _, w := range q.watch {
		if k, ok := w.(Keeper); ok {
			if err := k.Keep(); err != nil {
				return err
			}
		}
	}
	return nil
}

// progress knows which offsets of a partition are handled; they begin in order
// and end in any.
type progress struct {
	mu        sync.Mutex
	low       int64 // everything below is handled
	open      []state
	committed int64
}

type state struct {
	offset int64
	done   bool
}

func (p *progress) begin(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) == 0 {
		p.low = offset // offsets may leap
	}
	p.open = append(p.open, state{offset: offset})
}

func (p *progress) done(offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, _ := slices.BinarySearchFunc(p.open, offset, func(s state, offset int64) int { return cmp.Compare(s.offset, offset) })
	p.open[i].done = true
	for len(p.open) > 0 && p.open[0].done {
		p.low = p.open[0].offset + 1
		p.open = p.open[1:]
	}
	if len(p.open) > 0 {
		p.low = p.open[0].offset
	}
}

// commit tells the group where the partition stands, if it moved, after keep has
// made durable what became of the messages. One at a time.
func (p *progress) commit(claim claim, keep func() error) error {
	p.mu.Lock()
	low := p.low
	p.mu.Unlock()
	if low == p.committed {
		return nil
	}
	if err := keep(); err != nil {
		return err
	}
	if err := claim.Commit(low); err != nil {
		return err
	}
	p.committed = low
	return nil
}
