// Package memindex is a search index in memory, for tests and tools: a sorted
// slice of keys and the resources they came from.
package memindex

import (
	"bytes"
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
)

// Index implements [search.Index]. Add, then Sort, then read; concurrent
// readers are fine after that.
type Index struct {
	keys      [][]byte
	resources map[string][]byte
}

// New returns an empty index.
func New() *Index { return &Index{resources: map[string][]byte{}} }

// Add indexes a resource with the keys the engine gives it.
func (x *Index) Add(e *search.Engine, raw []byte) error {
	tree, err := fhir.Parse(raw)
	if err != nil {
		return err
	}
	root := tree.Root()
	typ, id := root.ResourceType(), root.Get("id").Str()
	if x.keys, err = e.Keys(x.keys, typ, id, root); err != nil {
		return err
	}
	x.resources[typ+"/"+id] = raw
	return nil
}

// Sort makes what was added readable.
func (x *Index) Sort() {
	slices.SortFunc(x.keys, bytes.Compare)
	x.keys = slices.CompactFunc(x.keys, bytes.Equal)
}

// Size returns the number of keys and their bytes.
func (x *Index) Size() (keys, size int) {
	for _, k := range x.keys {
		size += len(k)
	}
	return len(x.keys), size
}

// Resources yields the resources of a type, or all where it is empty.
func (x *Index) Resources(yield func(name string, raw []byte) bool) {
	for name, raw := range x.resources {
		if !yield(name, raw) {
			return
		}
	}
}

// Iter implements [search.Index].
func (x *Index) Iter(lower, upper []byte) search.Iterator {
	it := &iterator{x: x, i: -1, from: x.find(lower), to: len(x.keys)}
	if upper != nil {
		it.to = x.find(upper)
	}
	return it
}

func (x *Index) find(k []byte) int {
	i, _ := slices.BinarySearchFunc(x.keys, k, bytes.Compare)
	return i
}

// Get implements [search.Index]; values are empty.
func (x *Index) Get(k []byte) ([]byte, bool, error) {
	i := x.find(k)
	return nil, i < len(x.keys) && bytes.Equal(x.keys[i], k), nil
}

// Resource implements [search.Index].
func (x *Index) Resource(typ, id string) ([]byte, bool, error) {
	raw, ok := x.resources[typ+"/"+id]
	return raw, ok, nil
}

// iterator implements [search.Reverser].
type iterator struct {
	x           *Index
	i, from, to int
}

func (it *iterator) at(i int) bool {
	it.i = i
	return i >= it.from && i < it.to
}

func (it *iterator) Next() bool { return it.at(max(it.i+1, it.from)) }
func (it *iterator) Last() bool { return it.at(it.to - 1) }
func (it *iterator) Prev() bool { return it.at(it.i - 1) }

func (it *iterator) SeekGE(k []byte) bool { return it.at(max(it.x.find(k), it.from)) }
func (it *iterator) Key() []byte          { return it.x.keys[it.i] }
func (it *iterator) Value() []byte        { return nil }
func (it *iterator) Close() error         { return nil }
