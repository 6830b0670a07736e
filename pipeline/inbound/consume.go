package inbound

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

const (
	// commitEvery spaces out the commits: after a crash messages of so much time
	// are handled again, which changes nothing.
	commitEvery = 200 * time.Millisecond
	workerQueue = 16 // messages that wait for one worker
)

// claim is a *kafka.Claim: one partition for one generation of the group.
type claim interface {
	Follow(ctx context.Context, from int64, fn func(kafka.Record) error) error
	Commit(next int64) error
}

// consume handles one partition: a key's messages in order by one worker, keys
// beside each other, and commits up to the oldest message not yet handled.
func (q *Queue) consume(ctx context.Context, claim claim, partition int, next int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &progress{low: next, committed: next}
	workers := make([]chan kafka.Record, q.cfg.Workers)
	var wg sync.WaitGroup
	for i := range workers {
		work := make(chan kafka.Record, workerQueue)
		workers[i] = work
		wg.Go(func() {
			for r := range work {
				if ctx.Err() != nil {
					continue // comes again
				}
				if err := q.handle(ctx, &r); err != nil {
					cancel(err)
					continue
				}
				p.done(r.Offset)
			}
		})
	}
	committer, stop := context.WithCancel(context.Background())
	var commits sync.WaitGroup
	commits.Go(func() { q.commitLoop(committer, claim, partition, p) })
	err := claim.Follow(ctx, next, func(r kafka.Record) error {
		p.begin(r.Offset)
		select {
		case workers[worker(r.Key, len(workers))] <- r:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	for _, w := range workers {
		close(w)
	}
	wg.Wait()
	stop()
	commits.Wait()
	return errors.Join(err, context.Cause(ctx), p.commit(claim))
}

func worker(key []byte, n int) int {
	h := fnv.New64a() // another hash than the partition's, or some workers would idle
	h.Write(key)
	return int((h.Sum64() >> 32) % uint64(n))
}

func (q *Queue) commitLoop(ctx context.Context, claim claim, partition int, p *progress) {
	tick := time.NewTicker(q.commitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := p.commit(claim); err != nil {
				q.logger.Warn("commit inbound offset", "partition", partition, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
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
	for i := range p.open {
		if p.open[i].offset == offset {
			p.open[i].done = true
			break
		}
	}
	for len(p.open) > 0 && p.open[0].done {
		p.low = p.open[0].offset + 1
		p.open = p.open[1:]
	}
	if len(p.open) > 0 {
		p.low = p.open[0].offset
	}
}

// commit tells the group where the partition stands, if it moved. One at a time.
func (p *progress) commit(claim claim) error {
	p.mu.Lock()
	low := p.low
	p.mu.Unlock()
	if low == p.committed {
		return nil
	}
	if err := claim.Commit(low); err != nil {
		return err
	}
	p.committed = low
	return nil
}
