// Package deadletter keeps refused messages until someone repairs their cause.
// The topic dead-letter is the truth; a small local index of it answers lists
// and can be thrown away.
package deadletter

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shelf"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// Config says where the index is.
type Config struct {
	Dir string // folder of the index
	FS  vfs.FS // nil = the disk
}

// Default keeps the index in dir.
func Default(dir string) Config { return Config{Dir: dir} }

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	if c.Dir == "" {
		return fault.New(fault.Invalid, "dead letters: no folder")
	}
	return nil
}

// The keys of the index: one state row, per letter its facts and its body, and
// the order, newest first.
const (
	tabState = 's'
	tabFacts = 'l'
	tabBody  = 'b'
	tabOrder = 'o'
	tabPark  = 'p' // parked letters: id → ordering key of the message
)

// Letters implements pipeline.DeadLetters. It answers while Run runs.
type Letters struct {
	cluster  *kafka.Cluster
	producer *kafka.Producer
	db       *pebble.DB
	logger   *slog.Logger

	mu    sync.Mutex
	next  int64 // first offset of the topic not in the index
	total int
	moved chan struct{}
	lot   lot
}

// Open opens the index. Close it after Run has returned.
func Open(ctx context.Context, cfg Config, cluster *kafka.Cluster, logger *slog.Logger) (*Letters, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	producer, err := cluster.Producer(ctx, kafka.DeadLetter, true)
	if err != nil {
		return nil, err
	}
	db, err := shelf.Open(cfg.Dir, shelf.Options{FS: cfg.FS})
	if err != nil {
		return nil, fmt.Errorf("open dead letters %s: %w", cfg.Dir, err)
	}
	l := &Letters{cluster: cluster, producer: producer, db: db, logger: logger, moved: make(chan struct{}), lot: lot{keys: map[string][]string{}}}
	state, err := l.get([]byte{tabState})
	if err == nil && len(state) == 16 {
		l.next, l.total = int64(binary.BigEndian.Uint64(state)), int(binary.BigEndian.Uint64(state[8:]))
	}
	if err == nil {
		err = l.openLot()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

// Close closes the index.
func (l *Letters) Close() error { return l.db.Close() }

// Run keeps the index up with the topic until ctx ends.
func (l *Letters) Run(ctx context.Context) error {
	err := l.cluster.Follow(ctx, kafka.DeadLetter, 0, l.next, l.apply)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("dead letters: %w", err)
}

func (l *Letters) apply(r kafka.Record) error {
	b := l.db.NewBatch()
	defer b.Close()
	id, total := string(r.Key), l.total
	old, err := l.facts(id)
	if err != nil {
		return err
	}
	if old != nil {
		if !old.Parked() {
			total--
		}
		if err := errors.Join(b.Delete(placeKey(old), nil), b.Delete(rowKey(tabFacts, id), nil), b.Delete(rowKey(tabBody, id), nil)); err != nil {
			return err
		}
	}
	fresh, err := kafka.Letter(&r)
	if err != nil {
		l.logger.Error("unreadable dead letter", "offset", r.Offset, "error", err)
	}
	if fresh != nil {
		if !fresh.Parked() {
			total++
		}
		if err := errors.Join(b.Set(rowKey(tabFacts, id), []byte(r.Header(kafka.HeadLetter)), nil), b.Set(rowKey(tabBody, id), r.Value, nil), b.Set(placeKey(fresh), []byte(fresh.Message.Key), nil)); err != nil {
			return err
		}
	}
	state := binary.BigEndian.AppendUint64(nil, uint64(r.Offset+1))
	if err := b.Set([]byte{tabState}, binary.BigEndian.AppendUint64(state, uint64(total)), nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.NoSync); err != nil { // the topic holds it
		return err
	}
	l.lot.change(old, fresh)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next, l.total = r.Offset+1, total
	close(l.moved)
	l.moved = make(chan struct{})
	return nil
}

// Put implements pipeline.DeadLetters: when it returns the letter is on disk in
// the topic and shows in the list.
func (l *Letters) Put(ctx context.Context, d *pipeline.DeadLetter) error {
	r, err := kafka.LetterRecord(d)
	if err != nil {
		return err
	}
	return l.append(ctx, r)
}

// Resolve implements pipeline.DeadLetters; one that is not there is no error.
func (l *Letters) Resolve(ctx context.Context, id string) error {
	if facts, err := l.facts(id); err != nil || facts == nil {
		return err
	}
	return l.append(ctx, kafka.Record{Key: []byte(id)})
}

func (l *Letters) append(ctx context.Context, r kafka.Record) error {
	_, offset, err := l.producer.Append(ctx, r)
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", r.Key, err)
	}
	for {
		l.mu.Lock()
		next, moved := l.next, l.moved
		l.mu.Unlock()
		if next > offset {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil // it is in the topic and will show
		}
	}
}

// List implements pipeline.DeadLetters. The messages come without their bodies.
func (l *Letters) List(ctx context.Context, limit int) (items []*pipeline.DeadLetter, total int, err error) {
	snap := l.db.NewSnapshot()
	defer snap.Close()
	it, err := snap.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{tabOrder}, UpperBound: []byte{tabOrder + 1}})
	if err != nil {
		return nil, 0, err
	}
	defer it.Close()
	for ok := it.First(); ok && len(items) < limit; ok = it.Next() {
		d, err := facts(snap, string(it.Key()[9:]))
		if err != nil {
			return nil, 0, err
		}
		if d != nil {
			items = append(items, d)
		}
	}
	state, err := shelf.Get(snap, []byte{tabState})
	if len(state) == 16 {
		total = int(binary.BigEndian.Uint64(state[8:]))
	}
	return items, total, errors.Join(err, it.Error())
}

// Get implements pipeline.DeadLetters, with the message's original bytes.
func (l *Letters) Get(_ context.Context, id string) (*pipeline.DeadLetter, error) {
	d, err := l.facts(id)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fault.New(fault.NotFound, "no dead letter %.40q", id).With(fault.Issue{Severity: "error", Code: "not-found",
			Key: "dead-letter", Text: "没有这条待修复消息，可能已经处理", TextEN: "no such dead letter"})
	}
	d.Message.Body, err = l.get(rowKey(tabBody, id))
	return d, err
}

// Total returns how many letters wait.
func (l *Letters) Total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func (l *Letters) get(key []byte) ([]byte, error)                { return shelf.Get(l.db, key) }
func (l *Letters) facts(id string) (*pipeline.DeadLetter, error) { return facts(l.db, id) }

func facts(r pebble.Reader, id string) (*pipeline.DeadLetter, error) {
	text, err := shelf.Get(r, rowKey(tabFacts, id))
	if err != nil || text == nil {
		return nil, err
	}
	var d pipeline.DeadLetter
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("dead letter %s: %w", id, err)
	}
	return &d, nil
}

func rowKey(tab byte, id string) []byte { return append([]byte{tab}, id...) }

// placeKey is the letter's row in the list for people, or among the parked.
func placeKey(d *pipeline.DeadLetter) []byte {
	if d.Parked() {
		return rowKey(tabPark, d.ID)
	}
	key := binary.BigEndian.AppendUint64([]byte{tabOrder}, math.MaxUint64-uint64(d.Time.UnixNano()))
	return append(key, d.ID...)
}

var _ pipeline.DeadLetters = (*Letters)(nil)
