// Package inbound carries messages from the doors to their effect: it
// acknowledges a message when the topic inbound holds it, hands it in order to
// the sink of its kind, tries again what may pass, and sends what is refused to
// the dead letters.
package inbound

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// Group is the consumer group that handles messages.
const Group = "qihuang-inbound"

// Config says how messages are accepted and handled.
type Config struct {
	Dir         string        // folder of the memory of messages that took effect
	FS          vfs.FS        // nil = the disk
	Window      time.Duration // for how long the same message is recognised
	AppendLimit time.Duration // a door waits at most so long for the log
	Workers     int           // messages of one partition handled at once, each of another key
	Crowd       int           // so many senders that wait for the log at once
	Beside      int           // hold handling back to so many messages, of all partitions
	Attempts    int           // of a message whose sink fails for an internal reason
	Recent      int           // messages kept for the first page
}

// Default keeps the memory in dir.
func Default(dir string) Config {
	return Config{Dir: dir, Window: 30 * 24 * time.Hour, AppendLimit: 10 * time.Second, Workers: 128, Crowd: 32, Beside: 2, Attempts: 4, Recent: 50}
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	if c.Dir == "" || c.Window <= 0 || c.AppendLimit <= 0 || c.Workers < 1 || c.Crowd < 1 || c.Beside < 1 || c.Attempts < 1 || c.Recent < 1 {
		return fault.New(fault.Invalid, "inbound: folder, window, limits and counts must be set")
	}
	return nil
}

// Letters are the dead letters with their parking lot.
type Letters interface {
	pipeline.DeadLetters
	// Waiting reports whether a message of an ordering key is parked.
	Waiting(key string) bool
	// Heads returns the oldest parked letter of every ordering key.
	Heads() ([]*pipeline.DeadLetter, error)
}

// Watcher is told what becomes of messages; it must not block.
type Watcher interface {
	Settled(m *pipeline.Message, s State, reason string)
}

// Keeper is a Watcher whose notes must outlive a crash: Keep makes durable what
// it was told, before the group is told that those messages are handled and need
// not come again.
type Keeper interface{ Keep() error }

// Queue implements pipeline.Inbound and runs the consumer.
type Queue struct {
	cfg      Config
	cluster  *kafka.Cluster
	topic    string // full name of the topic
	producer appender
	letters  Letters
	seen     *seen
	clock    clock.Clock
	logger   *slog.Logger
	board    *board
	hands    *hands
	watch    []Watcher
	held     func(source string) bool
	wake     chan struct{} // parked messages may go on

	commitEvery time.Duration

	mu    sync.RWMutex
	sinks map[string]pipeline.Sink
}

// appender is a *kafka.Producer.
type appender interface {
	Append(ctx context.Context, records ...kafka.Record) (partition int, first int64, err error)
}

// Open opens the memory. Name the sinks with Handle, then Run; Close after that.
func Open(ctx context.Context, cfg Config, cluster *kafka.Cluster, letters Letters, c clock.Clock, logger *slog.Logger) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p, err := cluster.Producer(ctx, kafka.Inbound, true)
	if err != nil {
		return nil, err
	}
	s, err := openSeen(cfg)
	if err != nil {
		return nil, err
	}
	q := newQueue(cfg, p, letters, s, c, logger)
	q.cluster, q.topic = cluster, cluster.Topic(kafka.Inbound)
	return q, nil
}

func newQueue(cfg Config, p appender, letters Letters, s *seen, c clock.Clock, logger *slog.Logger) *Queue {
	return &Queue{cfg: cfg, producer: p, letters: letters, seen: s, clock: c, logger: logger, board: newBoard(cfg.Recent), hands: newHands(cfg.Crowd, cfg.Beside),
		held: func(string) bool { return false }, wake: make(chan struct{}, 1), commitEvery: commitEvery, sinks: map[string]pipeline.Sink{}}
}

// Watch names who is told of every message's fate. Before Run.
func (q *Queue) Watch(w ...Watcher) { q.watch = w }

// HoldWhile names the question whether a source's messages must wait: they are
// accepted, and parked until it says no. Before Run; call Wake when its answer
// changes.
func (q *Queue) HoldWhile(held func(source string) bool) { q.held = held }

// Wake has parked messages looked at now.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Close closes the memory.
func (q *Queue) Close() error { return q.seen.close() }

// Handle gives messages of a kind to sink, from now on.
func (q *Queue) Handle(kind string, sink pipeline.Sink) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sinks[kind] = sink
}

func (q *Queue) sink(kind string) pipeline.Sink {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.sinks[kind]
}

// Append implements pipeline.Inbound.
func (q *Queue) Append(ctx context.Context, m *pipeline.Message) (pipeline.Position, error) {
	return q.append(ctx, kafka.MessageRecord(m), m)
}

func (q *Queue) append(ctx context.Context, r kafka.Record, m *pipeline.Message) (pipeline.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, q.cfg.AppendLimit)
	defer cancel()
	q.board.set(m, Waiting, "")
	q.hands.comes()
	defer q.hands.goes()
	partition, offset, err := q.producer.Append(ctx, r)
	if err != nil {
		q.board.drop(m.ID)
		return pipeline.Position{}, fmt.Errorf("message %s: %w", m.ID, err)
	}
	return pipeline.Position{Topic: q.topic, Partition: partition, Offset: offset}, nil
}

const (
	headReplay = "replay" // the message comes from the dead letters, or once more
	headRun    = "run"    // of a replay of what may have taken effect before
)

// Again hands a message to its sink once more, though it took effect before:
// after its map changed. run names the replay; the same message of the same run
// twice has one effect.
func (q *Queue) Again(ctx context.Context, m *pipeline.Message, run string) error {
	_, err := q.append(ctx, kafka.MessageRecord(m, kafka.Header{Key: headReplay, Value: "0"}, kafka.Header{Key: headRun, Value: run}), m)
	return err
}

// Replay hands a dead letter to its sink again, under the same id. It leaves
// the dead letters when it has taken effect; fault.NotFound.
func (q *Queue) Replay(ctx context.Context, id string) error {
	d, err := q.letters.Get(ctx, id)
	if err != nil {
		return err
	}
	_, err = q.append(ctx, kafka.MessageRecord(d.Message, kafka.Header{Key: headReplay, Value: fmt.Sprint(d.Attempts)}), d.Message)
	return err
}

// Try gives m to its sink as Handle would, once, and returns what it says. The
// context decides whether that has an effect.
func (q *Queue) Try(ctx context.Context, m *pipeline.Message) error {
	sink, err := q.sinkFor(m.Kind)
	if err != nil {
		return err
	}
	return call(ctx, sink, m)
}

// Recent returns the latest messages and their fates, newest first.
func (q *Queue) Recent() []Fate { return q.board.recent() }

// Counts returns how many messages met each fate since the start.
func (q *Queue) Counts() map[Label]int64 { return q.board.counts() }

// Totals returns how many messages were ever received and how many of them have
// not been handled yet.
func (q *Queue) Totals(ctx context.Context) (received, lag int64, err error) {
	stats, err := q.cluster.Stats(ctx, []string{kafka.Inbound}, []string{Group})
	for _, s := range stats {
		received += s.Next
		if n, ok := s.Lag[Group]; ok {
			lag += n
		} else {
			lag += s.Next - s.First
		}
	}
	return received, lag, err
}

// Run handles messages until ctx ends.
func (q *Queue) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { q.forget(ctx) })
	wg.Go(func() { q.unpark(ctx) })
	defer wg.Wait()
	return q.cluster.Consume(ctx, Group, kafka.Inbound, func(ctx context.Context, c *kafka.Claim) error {
		return q.consume(ctx, c, c.Partition, c.Next)
	})
}

func (q *Queue) forget(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := q.seen.forget(q.clock.Now().Add(-q.cfg.Window)); err != nil {
			q.logger.Error("forget old messages", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
