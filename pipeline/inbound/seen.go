package inbound

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/internal/shelf"
	"github.com/qihuang-health/qihuang/pipeline"
)

// seen remembers the messages that took effect, by source and dedup key. It is
// this node's own: what a crash or another node's absence makes it forget is
// handled again, and the transaction id and the content comparison of the
// repository make that change nothing.
type seen struct{ db *pebble.DB }

// The keys: 'd' hash → time; 'e' time hash, to forget.
const (
	tabDone  = 'd'
	tabOlder = 'e'
)

func openSeen(cfg Config) (*seen, error) {
	db, err := shelf.Open(cfg.Dir, shelf.Options{FS: cfg.FS, Misses: true})
	if err != nil {
		return nil, fmt.Errorf("open inbound memory %s: %w", cfg.Dir, err)
	}
	return &seen{db}, nil
}

func (s *seen) close() error { return s.db.Close() }

func doneKey(m *pipeline.Message) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %s", len(m.Source), m.Source, m.DedupKey)
	return h.Sum([]byte{tabDone})[:17] // 128 bits are enough
}

// has reports whether the same message took effect before.
func (s *seen) has(m *pipeline.Message) (bool, error) {
	if m.DedupKey == "" {
		return false, nil
	}
	_, closer, err := s.db.Get(doneKey(m))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

func (s *seen) add(m *pipeline.Message, at time.Time) error {
	if m.DedupKey == "" {
		return nil
	}
	b := s.db.NewBatch()
	defer b.Close()
	key := doneKey(m)
	stamp := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	older := append(append([]byte{tabOlder}, stamp...), key[1:]...)
	return errors.Join(b.Set(key, stamp, nil), b.Set(older, nil, nil), b.Commit(pebble.NoSync))
}

// forget drops what took effect before a time.
func (s *seen) forget(before time.Time) error {
	upper := binary.BigEndian.AppendUint64([]byte{tabOlder}, uint64(max(before.UnixMilli(), 0)))
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tabOlder}, UpperBound: upper})
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	for ok := it.First(); ok; ok = it.Next() {
		older := it.Key()
		key := append([]byte{tabDone}, older[9:]...)
		val, closer, err := s.db.Get(key)
		if err == nil {
			if string(val) == string(older[1:9]) { // not seen again since
				err = b.Delete(key, nil)
			}
			err = errors.Join(err, closer.Close())
		}
		if err != nil && !errors.Is(err, pebble.ErrNotFound) {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return err
	}
	return errors.Join(b.DeleteRange([]byte{tabOlder}, upper, nil), b.Commit(pebble.NoSync))
}
