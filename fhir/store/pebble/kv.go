package pebble

import (
	"bytes"
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
)

// kv implements machine.KV on Pebble.
type kv struct {
	db      *pebble.DB
	written *atomic.Int64 // bytes of batches since the start
}

func (k *kv) Get(dst, key []byte) ([]byte, bool, error) { return get(k.db, dst, key) }
func (k *kv) View() machine.View                        { return view{k.db.NewSnapshot()} }

func (k *kv) Begin(overlay bool) machine.Batch {
	if overlay {
		b := k.db.NewIndexedBatch()
		return &batch{Batch: b, kv: k, reads: b}
	}
	return &batch{Batch: k.db.NewBatch(), kv: k, reads: k.db}
}

func get(r pebble.Reader, dst, key []byte) ([]byte, bool, error) {
	val, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if dst == nil {
		dst = make([]byte, 0, len(val))
	}
	dst = append(dst[:0], val...)
	return dst, true, closer.Close()
}

func iter(r pebble.Reader, lower, upper []byte) search.Iterator {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	return &iterator{it: it, err: err}
}

type view struct{ *pebble.Snapshot }

func (v view) Get(dst, key []byte) ([]byte, bool, error) { return get(v.Snapshot, dst, key) }
func (v view) Iter(lower, upper []byte) search.Iterator  { return iter(v.Snapshot, lower, upper) }

type batch struct {
	*pebble.Batch
	*kv
	reads pebble.Reader
	run   *machine.Run // of a batch that is not read from: put in its place by Commit

	// points answers Before from the second key on. New resources are not
	// there, and an iterator finds that out from the filters of every level,
	// where pebble's own Get reads a block of the last one.
	points *pebble.Iterator
	asked  bool
}

// Before implements machine.Batch. The database has one writer, so its latest
// state is the one before the batch.
func (b *batch) Before(dst, key []byte) ([]byte, bool, error) {
	if !b.asked {
		b.asked = true
		return get(b.db, dst, key)
	}
	if b.points == nil {
		it, err := b.db.NewIter(&pebble.IterOptions{UseL6Filters: true})
		if err != nil {
			return nil, false, err
		}
		b.points = it
	}
	if !b.points.SeekPrefixGE(key) || !bytes.Equal(b.points.Key(), key) {
		return nil, false, b.points.Error()
	}
	val, err := b.points.ValueAndErr()
	return append(dst[:0], val...), err == nil, err
}

func (b *batch) closePoints() error {
	if b.points == nil {
		return nil
	}
	it := b.points
	b.points = nil
	return it.Close()
}

func (b *batch) Get(dst, key []byte) ([]byte, bool, error) { return get(b.reads, dst, key) }
func (b *batch) Iter(lower, upper []byte) search.Iterator  { return iter(b.reads, lower, upper) }
func (b *batch) Set(key, value []byte) error               { return b.Batch.Set(key, value, nil) }
func (b *batch) Delete(key []byte) error                   { return b.Batch.Delete(key, nil) }

// DeleteRange implements machine.Batch by one range tombstone.
func (b *batch) DeleteRange(lower, upper []byte) error { return b.Batch.DeleteRange(lower, upper, nil) }

func (b *batch) Commit() error {
	if err := b.closePoints(); err != nil {
		return err
	}
	if err := b.order(); err != nil {
		return err
	}
	b.written.Add(int64(b.Len()))
	err := b.Batch.Commit(pebble.NoSync)
	if err == nil {
		err = b.Batch.Close()
		b.Batch = nil
	}
	return err
}

func (b *batch) Discard() {
	b.closePoints()
	if b.Batch != nil {
		b.Batch.Close()
		b.Batch = nil
	}
}

// iterator adapts pebble.Iterator to search.Iterator.
type iterator struct {
	it    *pebble.Iterator
	begun bool
	err   error
}

func (i *iterator) Next() bool {
	if i.it == nil {
		return false
	}
	if !i.begun {
		i.begun = true
		return i.it.First()
	}
	return i.it.Next()
}

func (i *iterator) SeekGE(key []byte) bool {
	i.begun = true
	return i.it != nil && i.it.SeekGE(key)
}

// Last and Prev make it a search.Reverser.
func (i *iterator) Last() bool {
	i.begun = true
	return i.it != nil && i.it.Last()
}

func (i *iterator) Prev() bool { return i.it != nil && i.it.Prev() }

func (i *iterator) Key() []byte   { return i.it.Key() }
func (i *iterator) Value() []byte { return i.it.Value() }

// Close may be called more than once.
func (i *iterator) Close() error {
	if i.it != nil {
		i.err = errors.Join(i.err, i.it.Close())
		i.it = nil
	}
	return i.err
}
