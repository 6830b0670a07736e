package inbound

import (
	"context"
	"log/slog"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// Simulated is a queue on a log that is not Kafka's.
type Simulated struct{ *Queue }

// Topic is a partition of the log with its group.
type Topic interface {
	Append(ctx context.Context, records ...kafka.Record) (partition int, first int64, err error)
	Follow(ctx context.Context, from int64, fn func(kafka.Record) error) error
	Commit(next int64) error
}

// Simulate opens a queue that tells the group where it stands every so often.
func Simulate(cfg Config, topic Topic, letters Letters, commits time.Duration) (*Simulated, error) {
	s, err := openSeen(cfg)
	if err != nil {
		return nil, err
	}
	q := newQueue(cfg, topic, letters, s, clock.System{}, slog.New(slog.DiscardHandler))
	q.commitEvery = commits
	return &Simulated{q}, nil
}

// Consume handles a partition from an offset on.
func (s *Simulated) Consume(ctx context.Context, topic Topic, next int64) error {
	return s.consume(ctx, topic, 0, next)
}

// Unpark hands out parked messages.
func (s *Simulated) Unpark(ctx context.Context) { s.unpark(ctx) }
