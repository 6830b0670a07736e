package sink

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/changes"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// span is a range of a partition: [first, next). While done is false it may
// have been written in part.
type span struct {
	first, next int64
	done        bool
}

// token names the range for ClickHouse, so that a block of it is taken once. A
// token must name exactly one content: ranges are recorded before they are
// written and never cut anew.
func (sp span) token(partition int) string {
	return fmt.Sprintf("%s-%d-%d-%d", kafka.Changes, partition, sp.first, sp.next)
}

// consume writes one partition from the position the warehouse holds. A range
// that was begun is written again, as it was. Where the topic no longer has the
// position (a new or emptied warehouse, a topic made anew), the repository's
// own history comes first.
func (s *Sink) consume(ctx context.Context, claim *kafka.Claim) error {
	if claim.Partition == 0 {
		s.leads.Store(true)
		defer s.leads.Store(false)
	}
	var last span
	err := s.until(ctx, "read position", func(ctx context.Context) (err error) {
		last, err = s.lastSpan(ctx, claim.Partition)
		return err
	})
	if err != nil {
		return err
	}
	err = s.follow(ctx, claim, last)
	if !fault.Is(err, fault.Gone) || s.cfg.History == nil {
		return err
	}
	// claim.Next is where the topic begins: taken before the history, so that
	// nothing falls between the two
	if err := s.replay(ctx); err != nil {
		return err
	}
	begin := span{claim.Next, claim.Next, true}
	if err := s.until(ctx, "write position", func(ctx context.Context) error { return s.record(ctx, claim.Partition, begin) }); err != nil {
		return err
	}
	return s.follow(ctx, claim, begin)
}

// lastSpan reads the newest range of a partition; none is done up to 0.
func (s *Sink) lastSpan(ctx context.Context, partition int) (span, error) {
	var first, next uint64
	var done uint8
	rows, err := s.conn.Query(ctx, "SELECT first, next, done FROM `"+s.cfg.Database+"`.`_range` WHERE partition = ? ORDER BY at DESC LIMIT 1", uint32(partition))
	if err != nil {
		return span{}, err
	}
	if !rows.Next() {
		return span{done: true}, errors.Join(rows.Err(), rows.Close())
	}
	err = rows.Scan(&first, &next, &done)
	return span{int64(first), int64(next), done == 1}, errors.Join(err, rows.Close())
}

// replay writes the repository's history, all that it has now.
func (s *Sink) replay(ctx context.Context) error {
	end, err := s.cfg.History.FirstSeq(ctx, math.MaxInt64)
	if err != nil {
		return err
	}
	s.log.InfoContext(ctx, "writing the repository's history to the warehouse", "changes", end-1)
	for from := int64(1); from < end; {
		list, _, err := s.cfg.History.Changes(ctx, from, s.cfg.MaxBytes)
		if err != nil {
			return err
		}
		b := &batch{}
		for _, c := range list[:min(len(list), s.cfg.MaxRows)] {
			b.items = append(b.items, arrival{change: changes.Of(c)})
		}
		if err := s.until(ctx, "write history", func(ctx context.Context) error { return s.store(ctx, b) }); err != nil {
			return err
		}
		from += int64(len(b.items))
	}
	return nil
}

// follow writes the partition's changes after the last range, which comes first
// if it was not done.
func (s *Sink) follow(ctx context.Context, claim *kafka.Claim, last span) error {
	next := last.next
	if !last.done {
		next = last.first
	}
	s.note(func(st *Stats) { st.Next[claim.Partition] = next })
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	records := make(chan arrival, 8192)
	done := make(chan error, 1)
	go func() {
		done <- claim.Follow(ctx, next, func(r kafka.Record) error {
			c, err := changes.Decode(r.Value) // here, beside the writing of the batch before
			if err != nil {
				s.log.Error("record of the changes topic is none", "partition", r.Partition, "offset", r.Offset, "error", err)
			}
			select {
			case records <- arrival{c, r.Partition, r.Offset}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	err := s.batches(ctx, claim, last, records, done)
	cancel()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// arrival is a decoded record, nil if it was none, and where it stood.
type arrival struct {
	change    *changes.Change
	partition int
	offset    int64
}

// batches gathers records and writes them, one batch after the other: record
// the range, write it, record that it is done. The rows of a batch are made
// while the one before is written.
func (s *Sink) batches(ctx context.Context, claim *kafka.Claim, last span, records <-chan arrival, done <-chan error) error {
	made := make(chan *batch)
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		for at := last; ; {
			b, err := s.gather(ctx, at, records, done)
			if err != nil {
				return err
			}
			if at.done {
				at = span{first: at.next, next: b.items[len(b.items)-1].offset + 1}
			}
			b.span, b.token = at, at.token(claim.Partition)
			s.make(b)
			at.done = true
			select {
			case made <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	work.Go(func() error {
		for {
			select {
			case b := <-made:
				if err := s.deliver(ctx, claim, b); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return work.Wait()
}

// deliver writes a batch between the two records of its range.
func (s *Sink) deliver(ctx context.Context, claim *kafka.Claim, b *batch) error {
	steps := []struct {
		act string
		do  func(context.Context) error
	}{
		{"record a range", func(ctx context.Context) error { return s.record(ctx, claim.Partition, b.span) }},
		{"write a batch", func(ctx context.Context) error { return s.store(ctx, b) }},
		{"record the range as done", func(ctx context.Context) error { b.span.done = true; return s.record(ctx, claim.Partition, b.span) }},
	}
	for _, st := range steps {
		if err := s.until(ctx, st.act, st.do); err != nil {
			return err
		}
	}
	if err := claim.Commit(b.span.next); err != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
		s.log.Debug("commit position", "partition", claim.Partition, "error", err) // lag tools only
	}
	return nil
}

// gather waits for records and a little for more, longer while the hub is busy. A range that was begun is
// gathered to its very end and no further.
func (s *Sink) gather(ctx context.Context, last span, records <-chan arrival, done <-chan error) (*batch, error) {
	b := &batch{}
	var timer <-chan time.Time
	for {
		select {
		case a := <-records:
			b.items = append(b.items, a)
			if a.change != nil {
				b.bytes += len(a.change.Resource)
			}
			switch {
			case !last.done:
				if a.offset+1 >= last.next {
					return b, nil
				}
				continue
			case len(b.items) >= s.cfg.MaxRows || b.bytes >= s.cfg.MaxBytes:
				return b, nil
			case timer == nil:
				timer = time.After(s.linger())
			}
		case <-timer:
			return b, nil
		case err := <-done:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// record notes a range of a partition.
func (s *Sink) record(ctx context.Context, partition int, sp span) error {
	if err := s.step(fmt.Sprintf("range done=%t", sp.done)); err != nil {
		return err
	}
	b, err := s.conn.PrepareBatch(ctx, "INSERT INTO `"+s.cfg.Database+"`.`_range` (partition, first, next, done, at)")
	if err != nil {
		return err
	}
	done := uint8(0)
	if sp.done {
		done = 1
	}
	if err := b.Append(uint32(partition), uint64(sp.first), uint64(sp.next), done, time.Now().UTC()); err != nil {
		return err
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("record a range: %w", err)
	}
	if sp.done {
		s.note(func(st *Stats) { st.Next[partition] = sp.next })
	}
	return nil
}

// linger is how long a batch waits for more changes.
func (s *Sink) linger() time.Duration {
	if s.cfg.Busy != nil && s.cfg.Busy() {
		return max(s.cfg.Linger, s.cfg.Longer)
	}
	return s.cfg.Linger
}

// partBytes bounds the values of one list in a statement. ClickHouse refuses
// statements of more than 256 KiB, and one may hold its list twice.
const partBytes = 96 << 10

// parts cuts values into lists that a statement can hold, quoted.
func parts(list []string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		begin, size := 0, 0
		for i, v := range list {
			n := len(v) + strings.Count(v, `\`) + strings.Count(v, "'") + len("'', ")
			if size += n; size > partBytes && i > begin {
				if !yield(list[begin:i]) {
					return
				}
				begin, size = i, n
			}
		}
		if begin < len(list) {
			yield(list[begin:])
		}
	}
}
