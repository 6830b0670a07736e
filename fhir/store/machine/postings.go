package machine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/qihuang-health/qihuang/fhir/store"
)

// posting is an index key to be set or deleted.
type posting struct {
	key    []byte
	delete bool
}

// sorter puts the postings of a transaction in key order. Those of one search
// parameter, whose keys begin with its number, are kept together from the
// outset: to sort many short lists that are nearly in order already costs a
// third of sorting them all.
type sorter struct {
	at    map[uint32]int // number → place in lists
	lists []list
	used  int // lists that are; those behind are kept for their memory
}

type list struct {
	number uint32
	of     []posting
}

func newSorter() *sorter { return &sorter{at: map[uint32]int{}} }

func (s *sorter) add(p posting) {
	var head [4]byte
	copy(head[:], p.key)
	number := binary.BigEndian.Uint32(head[:])
	i, ok := s.at[number]
	if !ok {
		if i = s.used; i == len(s.lists) {
			s.lists = append(s.lists, list{})
		}
		s.used++
		s.at[number], s.lists[i].number = i, number
	}
	s.lists[i].of = append(s.lists[i].of, p)
}

// sorted yields the postings in order.
func (s *sorter) sorted() iter.Seq[posting] {
	return func(yield func(posting) bool) {
		lists := s.lists[:s.used]
		slices.SortFunc(lists, func(a, b list) int { return cmp.Compare(a.number, b.number) })
		for _, l := range lists {
			slices.SortFunc(l.of, func(x, y posting) int { return bytes.Compare(x.key, y.key) })
			for _, p := range l.of {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// keptPostings is how many postings of a parameter memory is kept for.
const keptPostings = 4096

// reset empties s.
func (s *sorter) reset() {
	for i := range s.lists[:s.used] {
		l := &s.lists[i]
		clear(l.of)
		if l.of = l.of[:0]; cap(l.of) > keptPostings {
			l.of = nil
		}
	}
	clear(s.at)
	s.used = 0
}

// Run is many keys in ascending order, without values.
type Run struct {
	keys []byte // back to back
	ends []int
}

// Len is the number of keys.
func (r *Run) Len() int { return len(r.ends) }

// Size is the number of bytes of all keys.
func (r *Run) Size() int { return len(r.keys) }

// All yields the keys; they must not be changed.
func (r *Run) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		begin := 0
		for _, end := range r.ends {
			if !yield(r.keys[begin:end:end]) {
				return
			}
			begin = end
		}
	}
}

func (r *Run) add(key []byte) {
	r.keys = append(append(r.keys, tabIndex), key...)
	r.ends = append(r.ends, len(r.keys))
}

// draft takes the index keys of the resources that are new, as far as can be
// known before apply, from their contents and puts them in order.
func draft(ops []content) *Run {
	workers := store.Workers(len(ops))
	pieces := make([][][]byte, (len(ops)+store.Large-1)/store.Large)
	_ = parallel(len(pieces), 1, workers, func(i int) error {
		var piece [][]byte
		for op := i * store.Large; op < min(len(ops), (i+1)*store.Large); op++ {
			if c := &ops[op]; c.isNew {
				piece, c.keys, c.drafted = append(piece, c.keys...), nil, true
			}
		}
		slices.SortFunc(piece, bytes.Compare)
		pieces[i] = piece
		return nil
	})
	for len(pieces) > 2 {
		half := (len(pieces) + 1) / 2
		_ = parallel(half, 1, workers, func(i int) error {
			if i+half < len(pieces) {
				merged := make([][]byte, 0, len(pieces[i])+len(pieces[i+half]))
				merge(pieces[i], pieces[i+half], func(k []byte) { merged = append(merged, k) })
				pieces[i] = merged
			}
			return nil
		})
		pieces = pieces[:half]
	}
	pieces = append(pieces, nil)
	size, n := 0, 0
	for _, piece := range pieces {
		for _, k := range piece {
			size += 1 + len(k)
		}
		n += len(piece)
	}
	r := &Run{keys: make([]byte, 0, size), ends: make([]int, 0, n)}
	merge(pieces[0], pieces[1], r.add)
	return r
}

func merge(a, b [][]byte, add func(key []byte)) {
	for len(a) > 0 && len(b) > 0 {
		if bytes.Compare(a[0], b[0]) <= 0 {
			add(a[0])
			a = a[1:]
		} else {
			add(b[0])
			b = b[1:]
		}
	}
	for _, k := range a {
		add(k)
	}
	for _, k := range b {
		add(k)
	}
}

// flush writes the collected index changes in key order: a batch in order goes
// into the memtable at a fraction of the cost.
func (a *applying) flush() error {
	var last posting
	for p := range a.index.sorted() {
		if p.delete == last.delete && bytes.Equal(p.key, last.key) {
			continue // of a resource that says it twice
		}
		if err := a.post(p); err != nil {
			return err
		}
		last = p
	}
	a.index.reset()
	run := a.p.run
	a.p.run = nil
	switch {
	case run == nil:
		return nil
	case len(a.undrafted) == 0:
		return a.b.SetRun(run)
	}
	for k := range run.All() {
		if !a.undrafted[string(k[1:])] {
			if err := a.b.Set(k, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applying) post(p posting) error {
	a.key = indexKey(a.key, p.key)
	if p.delete {
		return a.b.Delete(a.key)
	}
	return a.b.Set(a.key, nil)
}

// undraft makes a content again whose keys lie in the run, and leaves them out
// there: its resource is not new after all.
func (a *applying) undraft(op *store.Op, c *content, id string) error {
	if err := a.m.fill(c, op.Resource, op.Type, id, a.p.links, nil); err != nil {
		return err
	}
	if a.undrafted == nil {
		a.undrafted = map[string]bool{}
	}
	for _, k := range c.keys {
		a.undrafted[string(k)] = true
	}
	return nil
}
