package memory

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
)

// node is one entry of a persistent treap: never changed once a root holds it,
// so every old root stays a complete view.
type node struct {
	key, val    []byte
	prio        uint64
	left, right *node
}

// split divides t into keys < key and keys >= key.
func split(t *node, key []byte) (lo, hi *node) {
	if t == nil {
		return nil, nil
	}
	n := *t
	if bytes.Compare(t.key, key) < 0 {
		n.right, hi = split(t.right, key)
		return &n, hi
	}
	lo, n.left = split(t.left, key)
	return lo, &n
}

// join merges two treaps, all keys of lo below those of hi.
func join(lo, hi *node) *node {
	switch {
	case lo == nil:
		return hi
	case hi == nil:
		return lo
	case lo.prio > hi.prio:
		n := *lo
		n.right = join(lo.right, hi)
		return &n
	default:
		n := *hi
		n.left = join(lo, hi.left)
		return &n
	}
}

func insert(t *node, add *node) *node {
	if t == nil || t.prio < add.prio {
		n := *add
		n.left, n.right = split(t, add.key)
		return &n
	}
	n := *t
	switch c := bytes.Compare(add.key, t.key); {
	case c == 0:
		n.val = add.val
	case c < 0:
		n.left = insert(t.left, add)
	default:
		n.right = insert(t.right, add)
	}
	return &n
}

func remove(t *node, key []byte) *node {
	if t == nil {
		return nil
	}
	c := bytes.Compare(key, t.key)
	if c == 0 {
		return join(t.left, t.right)
	}
	n := *t
	if c < 0 {
		n.left = remove(t.left, key)
	} else {
		n.right = remove(t.right, key)
	}
	return &n
}

func get(t *node, dst, key []byte) ([]byte, bool, error) {
	for t != nil {
		switch c := bytes.Compare(key, t.key); {
		case c == 0:
			return append(dst[:0], t.val...), true, nil
		case c < 0:
			t = t.left
		default:
			t = t.right
		}
	}
	return nil, false, nil
}

// kv implements machine.KV.
type kv struct {
	seed maphash.Seed
	mu   sync.RWMutex
	root *node
}

func (k *kv) latest() *node {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.root
}

func (k *kv) Get(dst, key []byte) ([]byte, bool, error) { return get(k.latest(), dst, key) }
func (k *kv) View() machine.View                        { return view{k.latest()} }
func (k *kv) Begin(overlay bool) machine.Batch {
	root := k.latest()
	return &batch{kv: k, base: root, root: root, overlay: overlay}
}

type view struct{ root *node }

func (v view) Get(dst, key []byte) ([]byte, bool, error) { return get(v.root, dst, key) }
func (v view) Iter(lower, upper []byte) search.Iterator {
	return &iterator{root: v.root, lower: slices.Clone(lower), upper: slices.Clone(upper)}
}
func (v view) Close() error { return nil }

type batch struct {
	kv         *kv
	base, root *node
	overlay    bool
}

func (b *batch) seen() view {
	if b.overlay {
		return view{b.root}
	}
	return view{b.base}
}

func (b *batch) Get(dst, key []byte) ([]byte, bool, error) { return b.seen().Get(dst, key) }
func (b *batch) Before(dst, key []byte) ([]byte, bool, error) {
	return get(b.base, dst, key)
}
func (b *batch) Iter(lower, upper []byte) search.Iterator { return b.seen().Iter(lower, upper) }

func (b *batch) Set(key, value []byte) error {
	b.root = insert(b.root, &node{key: slices.Clone(key), val: slices.Clone(value), prio: maphash.Bytes(b.kv.seed, key)})
	return nil
}

func (b *batch) Delete(key []byte) error {
	b.root = remove(b.root, key)
	return nil
}

// SetRun implements machine.Batch.
func (b *batch) SetRun(r *machine.Run) error {
	for key := range r.All() {
		if err := b.Set(key, nil); err != nil {
			return err
		}
	}
	return nil
}

// DeleteRange implements machine.Batch.
func (b *batch) DeleteRange(lower, upper []byte) error {
	lo, rest := split(b.root, lower)
	_, hi := split(rest, upper)
	b.root = join(lo, hi)
	return nil
}

func (b *batch) Commit() error {
	b.kv.mu.Lock()
	defer b.kv.mu.Unlock()
	b.kv.root = b.root
	return nil
}

func (b *batch) Discard() {}

// iterator walks a root in order; its stack holds the nodes still to be given.
type iterator struct {
	root         *node
	lower, upper []byte
	begun        bool
	stack        []*node
	cur          *node
}

func (i *iterator) Next() bool {
	if !i.begun {
		return i.SeekGE(i.lower)
	}
	return i.pop()
}

func (i *iterator) SeekGE(key []byte) bool {
	if bytes.Compare(key, i.lower) < 0 {
		key = i.lower
	}
	i.begun, i.stack = true, i.stack[:0]
	for t := i.root; t != nil; {
		if bytes.Compare(t.key, key) >= 0 {
			i.stack = append(i.stack, t)
			t = t.left
		} else {
			t = t.right
		}
	}
	return i.pop()
}

func (i *iterator) pop() bool {
	if len(i.stack) == 0 {
		i.cur = nil
		return false
	}
	n := i.stack[len(i.stack)-1]
	i.stack = i.stack[:len(i.stack)-1]
	for t := n.right; t != nil; t = t.left {
		i.stack = append(i.stack, t)
	}
	if i.upper != nil && bytes.Compare(n.key, i.upper) >= 0 {
		i.stack, i.cur = i.stack[:0], nil
		return false
	}
	i.cur = n
	return true
}

func (i *iterator) Key() []byte   { return i.cur.key }
func (i *iterator) Value() []byte { return i.cur.val }
func (i *iterator) Close() error  { return nil }
