// Package journal remembers every message: where the log holds it, whose it is
// and what became of it, so that operators find a message by a patient's name
// among millions and follow it to its resources. It is a view of the topics
// inbound and dead-letter; the fates come from the queue. It can be thrown away.
// It holds health data (names, numbers), on disk only.
package journal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shelf"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// Key is one business key of a message.
type Key struct {
	Type  KeyType `json:"type"`
	Value string  `json:"value"`
}

// KeyType is what a key names: p patient, n name, i identity, v visit,
// r prescription, b invoice, o organisation. It is text in JSON.
type KeyType byte

// MarshalText writes the letter.
func (t KeyType) MarshalText() ([]byte, error) { return []byte{byte(t)}, nil }

// UnmarshalText reads the letter.
func (t *KeyType) UnmarshalText(b []byte) error {
	if len(b) != 1 {
		return fault.New(fault.Invalid, "key type %.20q", b)
	}
	*t = KeyType(b[0])
	return nil
}

// Config says where the journal is and how long it remembers.
type Config struct {
	Dir    string
	FS     vfs.FS        // nil = the disk
	Window time.Duration // messages older than it are forgotten, as the topic forgets them
}

// Default remembers for as long as the topic inbound does.
func Default(dir string) Config { return Config{Dir: dir, Window: 30 * 24 * time.Hour} }

// Entry is one message as the journal knows it.
type Entry struct {
	ID        string    `json:"id"`
	Source    string    `json:"source"`
	Kind      string    `json:"kind"`
	Received  time.Time `json:"received"`
	Size      int       `json:"size"`
	Topic     string    `json:"topic"` // without prefix: inbound, or dead-letter when it never got further
	Partition int       `json:"partition"`
	Offset    int64     `json:"offset"`
	Keys      []Key     `json:"keys,omitempty"`
	CopyOf    string    `json:"copyOf,omitempty"` // an edited copy of that dead letter

	Fate `json:"-"`
}

// Fate is what became of a message.
type Fate struct {
	State    inbound.State `json:"state"`
	Time     time.Time     `json:"time"`
	Reason   string        `json:"reason,omitempty"`
	Map      string        `json:"map,omitempty"`  // name@version that handled it
	Refs     []string      `json:"refs,omitempty"` // Type/id/version written
	Attempts int           `json:"attempts,omitempty"`
}

// Topics is a *kafka.Cluster.
type Topics interface {
	Partitions(ctx context.Context, topic string) (int, error)
	Follow(ctx context.Context, topic string, partition int, from int64, fn func(kafka.Record) error) error
	Bounds(ctx context.Context, topic string, partition int) (first, next int64, err error)
	Read(ctx context.Context, topic string, partition int, offset int64) (*kafka.Record, error)
}

// Journal answers while Run runs. Safe for concurrent use.
type Journal struct {
	cfg     Config
	cluster Topics
	db      *pebble.DB
	keys    func(*pipeline.Message) []Key
	clock   clock.Clock
	log     *slog.Logger

	mu      sync.Mutex
	written map[string][]string // message id → what its transactions wrote, until it is settled

	fates sync.Mutex // a letter's fate is weighed against the queue's, and written, at once

	told atomic.Int64 // fates written
	keep sync.Mutex
	kept int64 // of them known to be on disk
}

// The rows: 'm' id → entry; 'f' id → fate; 'k' value 0 id → type; 's' source 0
// id; 'd' id of what is dead or parked; 'c' original 0 copy; 'o' topic partition
// → next offset. Ids sort by arrival.
const (
	tabEntry  = 'm'
	tabFate   = 'f'
	tabKey    = 'k'
	tabSource = 's'
	tabDead   = 'd'
	tabCopy   = 'c'
	tabOffset = 'o'
)

// Open opens the journal; keys finds the business keys of a message. Close it
// after Run has returned.
func Open(cfg Config, cluster Topics, keys func(*pipeline.Message) []Key, c clock.Clock, log *slog.Logger) (*Journal, error) {
	db, err := shelf.Open(cfg.Dir, shelf.Options{FS: cfg.FS, MemTable: 16 << 20, Misses: true})
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", cfg.Dir, err)
	}
	return &Journal{cfg: cfg, cluster: cluster, db: db, keys: keys, clock: c, log: log, written: map[string][]string{}}, nil
}

// Close closes the journal.
func (j *Journal) Close() error { return j.db.Close() }

// Run keeps the journal up with the topics until ctx ends.
func (j *Journal) Run(ctx context.Context) error {
	n, err := j.cluster.Partitions(ctx, kafka.Inbound)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for p := range n {
		wg.Go(func() { j.follow(ctx, kafka.Inbound, p) })
	}
	wg.Go(func() { j.follow(ctx, kafka.DeadLetter, 0) })
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := j.forget(j.clock.Now().Add(-j.cfg.Window)); err != nil {
			j.log.ErrorContext(ctx, "forget old messages", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// follow reads one partition for ever; what the log has forgotten is passed over.
func (j *Journal) follow(ctx context.Context, topic string, partition int) {
	at, err := j.offset(topic, partition)
	for ctx.Err() == nil {
		if err == nil {
			err = j.cluster.Follow(ctx, topic, partition, at, func(r kafka.Record) error {
				at = r.Offset + 1
				return j.take(topic, &r)
			})
		}
		if ctx.Err() != nil {
			return
		}
		if fault.Is(err, fault.Gone) {
			if first, _, berr := j.cluster.Bounds(ctx, topic, partition); berr == nil {
				at, err = first, nil
				continue
			}
		}
		j.log.WarnContext(ctx, "journal waits", "topic", topic, "partition", partition, "error", err)
		err = nil
		timer := time.NewTimer(time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (j *Journal) offset(topic string, partition int) (int64, error) {
	v, err := shelf.Get(j.db, offsetKey(topic, partition))
	if err != nil || len(v) != 8 {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

func offsetKey(topic string, partition int) []byte {
	return fmt.Appendf([]byte{tabOffset}, "%s/%d", topic, partition)
}

// take notes one record.
func (j *Journal) take(topic string, r *kafka.Record) error {
	b := j.db.NewBatch()
	defer b.Close()
	var err error
	if topic == kafka.Inbound {
		var m *pipeline.Message
		if m, err = r.Message(); err == nil {
			err = j.note(b, m, topic, r)
		} else {
			err = nil // the queue has told
		}
	} else {
		j.fates.Lock()
		defer j.fates.Unlock()
		err = j.letter(b, r)
	}
	if err != nil {
		return err
	}
	if err := b.Set(offsetKey(topic, r.Partition), binary.BigEndian.AppendUint64(nil, uint64(r.Offset+1)), nil); err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}

// note writes a message's entry, once: replays keep the first place.
func (j *Journal) note(b *pebble.Batch, m *pipeline.Message, topic string, r *kafka.Record) error {
	old, err := shelf.Get(j.db, rowKey(tabEntry, m.ID))
	if err != nil || old != nil && topic == kafka.DeadLetter {
		return err
	}
	e := Entry{ID: m.ID, Source: m.Source, Kind: m.Kind, Received: m.Received, Size: len(m.Body), Topic: topic, Partition: r.Partition, Offset: r.Offset,
		Keys: j.keys(m), CopyOf: m.Headers[pipeline.HeadCopyOf]}
	text, err := json.Marshal(&e)
	if err != nil {
		return err
	}
	if err := errors.Join(b.Set(rowKey(tabEntry, m.ID), text, nil), b.Set(pairKey(tabSource, m.Source, m.ID), nil, nil)); err != nil {
		return err
	}
	for _, k := range e.Keys {
		if err := b.Set(pairKey(tabKey, fold(k.Value), m.ID), []byte{byte(k.Type)}, nil); err != nil {
			return err
		}
	}
	if e.CopyOf != "" {
		return b.Set(pairKey(tabCopy, e.CopyOf, m.ID), nil, nil)
	}
	return nil
}

// letter notes what the dead letters say of a message.
func (j *Journal) letter(b *pebble.Batch, r *kafka.Record) error {
	d, err := kafka.Letter(r)
	if err != nil || d == nil { // resolved: the queue tells what it became
		return b.Delete(rowKey(tabDead, string(r.Key)), nil)
	}
	d.Message.Body = r.Value
	if err := j.note(b, d.Message, kafka.DeadLetter, r); err != nil {
		return err
	}
	state := inbound.Dead
	if d.Parked() {
		state = inbound.Parked
	}
	if later, err := j.settledAfter(d); err != nil || later {
		return err
	}
	f := Fate{State: state, Time: d.Time, Reason: d.Reason, Map: d.Map, Attempts: d.Attempts}
	text, err := json.Marshal(&f)
	if err != nil {
		return err
	}
	return errors.Join(b.Set(rowKey(tabFate, d.ID), text, nil), b.Set(rowKey(tabDead, d.ID), nil, nil))
}

// settledAfter reports whether a letter's message is known to have had its effect
// since: the queue tells at once, the topic later, or once more after a crash.
func (j *Journal) settledAfter(d *pipeline.DeadLetter) (bool, error) {
	text, err := shelf.Get(j.db, rowKey(tabFate, d.ID))
	if err != nil || text == nil {
		return false, err
	}
	var f Fate
	if err := json.Unmarshal(text, &f); err != nil {
		return false, err
	}
	return (f.State == inbound.Done || f.State == inbound.Repeat) && !f.Time.Before(d.Time), nil
}

// Keep implements inbound.Keeper.
func (j *Journal) Keep() error {
	j.keep.Lock()
	defer j.keep.Unlock()
	told := j.told.Load()
	if told == j.kept {
		return nil
	}
	if err := j.db.LogData(nil, pebble.Sync); err != nil {
		return err
	}
	j.kept = told
	return nil
}

// Wrote is told of what a transaction of a message wrote (Type/id/version).
func (j *Journal) Wrote(message string, refs []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.written) > maxWritten { // messages that were never settled
		clear(j.written)
	}
	j.written[message] = append(j.written[message], refs...)
}

const (
	maxWritten = 100_000
	maxRefs    = 1000 // of one message
)

// Settled implements inbound.Watcher.
func (j *Journal) Settled(m *pipeline.Message, s inbound.State, reason string) {
	if s == inbound.Dead || s == inbound.Parked {
		return // comes by the topic
	}
	j.mu.Lock()
	refs := j.written[m.ID]
	delete(j.written, m.ID)
	j.mu.Unlock()
	f := Fate{State: s, Time: j.clock.Now(), Reason: reason, Refs: refs[:min(len(refs), maxRefs)], Map: m.Headers["map"]}
	text, err := json.Marshal(&f)
	if err == nil {
		b := j.db.NewBatch()
		defer b.Close()
		j.fates.Lock()
		defer j.fates.Unlock()
		err = errors.Join(b.Set(rowKey(tabFate, m.ID), text, nil), b.Delete(rowKey(tabDead, m.ID), nil), b.Commit(pebble.NoSync))
	}
	if err != nil {
		j.log.Error("journal a fate", "message", m.ID, "error", err)
	}
	j.told.Add(1)
}

// forget drops messages received before a time.
func (j *Journal) forget(before time.Time) error {
	upper := rowKey(tabEntry, pipeline.IDFloor(before))
	it, err := j.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabEntry}, UpperBound: upper})
	if err != nil {
		return err
	}
	b := j.db.NewBatch()
	defer b.Close()
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var e Entry
		if err = json.Unmarshal(it.Value(), &e); err != nil {
			break
		}
		err = errors.Join(b.Delete(slices.Clone(it.Key()), nil), b.Delete(rowKey(tabFate, e.ID), nil), b.Delete(pairKey(tabSource, e.Source, e.ID), nil), b.Delete(rowKey(tabDead, e.ID), nil))
		for _, k := range e.Keys {
			err = errors.Join(err, b.Delete(pairKey(tabKey, fold(k.Value), e.ID), nil))
		}
		if b.Len() > 4<<20 && err == nil {
			err = b.Commit(pebble.NoSync)
			b.Reset()
		}
	}
	return errors.Join(err, it.Close(), b.Commit(pebble.NoSync))
}

func rowKey(tab byte, id string) []byte { return append([]byte{tab}, id...) }

func pairKey(tab byte, a, b string) []byte {
	key := make([]byte, 0, len(a)+len(b)+2)
	key = append(append(key, tab), a...)
	return append(append(key, 0), b...)
}

var (
	_ inbound.Watcher = (*Journal)(nil)
	_ inbound.Keeper  = (*Journal)(nil)
)
