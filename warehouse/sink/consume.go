package sink

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/changes"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// consume writes one partition from the position the warehouse holds. Where the
// topic no longer has it (a new or emptied warehouse, a topic made anew), the
// repository's own history comes first.
func (s *Sink) consume(ctx context.Context, claim *kafka.Claim) error {
	var next int64
	err := s.until(ctx, "read position", func(ctx context.Context) error {
		var n uint64
		err := s.conn.QueryRow(ctx, "SELECT argMax(next, at) FROM `"+s.cfg.Database+"`.`_position` WHERE partition = ?", uint32(claim.Partition)).Scan(&n)
		next = int64(n)
		return err
	})
	if err != nil {
		return err
	}
	err = s.follow(ctx, claim, next)
	if !fault.Is(err, fault.Gone) || s.cfg.History == nil {
		return err
	}
	// claim.Next is where the topic begins: taken before the history, so that
	// nothing falls between the two
	if err := s.replay(ctx); err != nil {
		return err
	}
	if err := s.until(ctx, "write position", func(ctx context.Context) error { return s.position(ctx, claim.Partition, claim.Next) }); err != nil {
		return err
	}
	return s.follow(ctx, claim, claim.Next)
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
			b.changes = append(b.changes, changes.Of(c))
		}
		if err := s.until(ctx, "write history", func(ctx context.Context) error { return s.store(ctx, b) }); err != nil {
			return err
		}
		from += int64(len(b.changes))
	}
	return nil
}

// follow writes the partition's changes from next on.
func (s *Sink) follow(ctx context.Context, claim *kafka.Claim, next int64) error {
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
			case records <- arrival{c, r.Offset + 1}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	err := s.batches(ctx, claim, records, done)
	cancel()
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// arrival is a decoded record (nil if it was none) and where to go on after it.
type arrival struct {
	change *changes.Change
	next   int64
}

// batches gathers records and writes them, one batch after the other.
func (s *Sink) batches(ctx context.Context, claim *kafka.Claim, records <-chan arrival, done <-chan error) error {
	for {
		b := &batch{}
		var last int64
		var timer <-chan time.Time
	gather:
		for {
			select {
			case a := <-records:
				if a.change != nil {
					b.changes, b.bytes = append(b.changes, a.change), b.bytes+len(a.change.Resource)
				}
				last = a.next
				if timer == nil {
					timer = time.After(s.cfg.Linger)
				}
				if len(b.changes) >= s.cfg.MaxRows || b.bytes >= s.cfg.MaxBytes {
					break gather
				}
			case <-timer:
				break gather
			case err := <-done:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := s.until(ctx, "write a batch", func(ctx context.Context) error { return s.store(ctx, b) }); err != nil {
			return err
		}
		if err := s.until(ctx, "write position", func(ctx context.Context) error { return s.position(ctx, claim.Partition, last) }); err != nil {
			return err
		}
		if err := claim.Commit(last); err != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
			s.log.Debug("commit position", "partition", claim.Partition, "error", err) // lag tools only
		}
	}
}

// position records that everything below next is in the tables.
func (s *Sink) position(ctx context.Context, partition int, next int64) error {
	b, err := s.conn.PrepareBatch(ctx, "INSERT INTO `"+s.cfg.Database+"`.`_position` (partition, next, at)")
	if err != nil {
		return err
	}
	if err := b.Append(uint32(partition), uint64(next), time.Now().UTC()); err != nil {
		return err
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	s.note(func(st *Stats) { st.Next[partition] = next })
	return nil
}

// chunks cuts a list into parts of at most n.
func chunks[T any](list []T, n int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for len(list) > 0 {
			k := min(n, len(list))
			if !yield(list[:k]) {
				return
			}
			list = list[k:]
		}
	}
}
