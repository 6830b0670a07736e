package pebble

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/fhir/store/machine"
)

// change is a set or delete of a batch; it shares the batch's memory.
type change struct {
	key, value []byte
	at         int // place in the batch: of two with one key the later one counts
	delete     bool
}

// SetRun implements machine.Batch. A large batch becomes a table of its own
// beside the memtables, sorted by Pebble while it holds all other writers up:
// one that comes in order needs none of that.
func (b *batch) SetRun(r *machine.Run) error {
	if b.reads != pebble.Reader(b.Batch) && b.run == nil {
		b.run = r
		return nil
	}
	return addRun(b.Batch, r)
}

func addRun(b *pebble.Batch, r *machine.Run) error {
	for key := range r.All() {
		if err := b.Set(key, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// order puts the run and the changes in one batch in key order.
func (b *batch) order() error {
	if b.run == nil {
		return nil
	}
	run := b.run
	b.run = nil
	changes, ok := b.changes()
	if !ok {
		return addRun(b.Batch, run)
	}
	out := b.db.NewBatchWithSize(b.Len() + run.Size() + 4*run.Len())
	add := func(c change) error {
		if c.delete {
			return out.Delete(c.key, nil)
		}
		return out.Set(c.key, c.value, nil)
	}
	for key := range run.All() {
		for len(changes) > 0 && bytes.Compare(changes[0].key, key) < 0 {
			if err := add(changes[0]); err != nil {
				return err
			}
			changes = changes[1:]
		}
		if err := out.Set(key, nil, nil); err != nil {
			return err
		}
	}
	for _, c := range changes {
		if err := add(c); err != nil {
			return err
		}
	}
	err := b.Batch.Close()
	b.Batch = out
	return err
}

// changes lists what the batch holds in key order; ok is false if it holds more
// than sets and deletes, whose place among them matters.
func (b *batch) changes() (list []change, ok bool) {
	var tables [256][]change // by first byte: within a table they mostly are in order already
	n := 0
	for r := b.Reader(); ; n++ {
		kind, key, value, more, err := r.Next()
		switch {
		case err != nil:
			return nil, false
		case !more:
			for _, t := range tables {
				slices.SortFunc(t, func(x, y change) int { return cmp.Or(bytes.Compare(x.key, y.key), x.at-y.at) })
			}
			return slices.Concat(tables[:]...), true
		case kind != pebble.InternalKeyKindSet && kind != pebble.InternalKeyKindDelete:
			return nil, false
		}
		tables[key[0]] = append(tables[key[0]], change{key, value, n, kind == pebble.InternalKeyKindDelete})
	}
}
