package fhir

import (
	"bytes"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// Kind is the JSON kind of a node.
type Kind uint8

// The JSON kinds. None is the kind of an absent node (the zero Node).
const (
	None Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// node is one value in the arena. Positions are byte offsets in the source;
// for strings start and end exclude the quotes.
type node struct {
	start, end       uint32
	keyStart         uint32
	next             int32 // next sibling, 0 = none
	child            int32 // first child, 0 = none
	n                uint32
	keyLen           uint16
	kind             Kind
	escaped, keyEscd bool
}

// Tree is a parsed JSON document: the source bytes and an arena of nodes. It is
// immutable and safe for concurrent readers. The source must not be changed
// while the tree or any string taken from it is in use.
type Tree struct {
	src   []byte
	nodes []node
}

// Root returns the document's value.
func (t *Tree) Root() Node {
	if t == nil || len(t.nodes) < 2 {
		return Node{}
	}
	return Node{t, 1}
}

// Source returns the bytes the tree was parsed from.
func (t *Tree) Source() []byte { return t.src }

// Position turns a byte offset into a 1-based line and column (in runes).
func (t *Tree) Position(offset int) (line, col int) { return position(t.src, offset) }

func position(src []byte, offset int) (line, col int) {
	offset = min(offset, len(src))
	line = 1 + bytes.Count(src[:offset], []byte{'\n'})
	begin := bytes.LastIndexByte(src[:offset], '\n') + 1
	return line, 1 + utf8.RuneCount(src[begin:offset])
}

// Node is a value in a Tree, or absent (the zero Node). It is a small value:
// copy it freely. All methods work on an absent node and return zero values.
type Node struct {
	t *Tree
	i int32
}

func (n Node) nd() *node { return &n.t.nodes[n.i] }

// Exists reports whether the node is there (a JSON null is).
func (n Node) Exists() bool { return n.t != nil }

// Kind returns the JSON kind; None for an absent node.
func (n Node) Kind() Kind {
	if n.t == nil {
		return None
	}
	return n.nd().kind
}

// Tree returns the tree the node belongs to, nil for an absent node.
func (n Node) Tree() *Tree { return n.t }

// Same reports whether both are the same place in the same tree.
func (n Node) Same(o Node) bool { return n == o }

// Index is the node's number in its tree, stable and unique there; 0 = absent.
func (n Node) Index() int { return int(n.i) }

// Len returns the number of members of an object or items of an array, else 0.
func (n Node) Len() int {
	if n.t == nil {
		return 0
	}
	return int(n.nd().n)
}

// Offset returns the byte offset of the value in the source (of the opening
// quote for strings).
func (n Node) Offset() int {
	if n.t == nil {
		return 0
	}
	d := n.nd()
	if d.kind == String {
		return int(d.start) - 1
	}
	return int(d.start)
}

// Raw returns the value's JSON text, sharing the source.
func (n Node) Raw() []byte {
	if n.t == nil {
		return nil
	}
	d := n.nd()
	if d.kind == String {
		return n.t.src[d.start-1 : d.end+1]
	}
	return n.t.src[d.start:d.end]
}

// Key returns the member name under which the node stands in its object, or "".
func (n Node) Key() string {
	if n.t == nil {
		return ""
	}
	d := n.nd()
	if d.keyLen == 0 {
		return ""
	}
	b := n.t.src[d.keyStart : d.keyStart+uint32(d.keyLen)]
	if d.keyEscd {
		return unescape(b)
	}
	return view(b)
}

// KeyOffset returns the byte offset of the member name's opening quote.
func (n Node) KeyOffset() int {
	if n.t == nil || n.nd().keyLen == 0 {
		return n.Offset()
	}
	return int(n.nd().keyStart) - 1
}

// Str returns a string's value unescaped, or the literal text of a number or
// boolean; "" otherwise. The result shares the source where nothing was escaped.
func (n Node) Str() string {
	if n.t == nil {
		return ""
	}
	d := n.nd()
	switch d.kind {
	case String:
		b := n.t.src[d.start:d.end]
		if d.escaped {
			return unescape(b)
		}
		return view(b)
	case Number, Bool:
		return view(n.t.src[d.start:d.end])
	}
	return ""
}

// Bool returns the value of a boolean; ok is false for any other kind.
func (n Node) Bool() (v, ok bool) {
	if n.Kind() != Bool {
		return false, false
	}
	return n.t.src[n.nd().start] == 't', true
}

// Int returns the value of an integral number; ok is false otherwise.
func (n Node) Int() (v int64, ok bool) {
	if n.Kind() != Number {
		return 0, false
	}
	v, err := strconv.ParseInt(n.Str(), 10, 64)
	return v, err == nil
}

// First returns the first child (member value or item), absent if none.
func (n Node) First() Node {
	if n.t == nil || n.nd().child == 0 {
		return Node{}
	}
	return Node{n.t, n.nd().child}
}

// Next returns the next sibling, absent at the end.
func (n Node) Next() Node {
	if n.t == nil || n.nd().next == 0 {
		return Node{}
	}
	return Node{n.t, n.nd().next}
}

// Get returns the member named key of an object; absent if there is none.
func (n Node) Get(key string) Node {
	if n.t == nil {
		return Node{}
	}
	nodes, src := n.t.nodes, n.t.src
	d := &nodes[n.i]
	if d.kind != Object {
		return Node{}
	}
	for c := d.child; c != 0; {
		m := &nodes[c]
		if m.keyEscd {
			if unescape(src[m.keyStart:m.keyStart+uint32(m.keyLen)]) == key {
				return Node{n.t, c}
			}
		} else if int(m.keyLen) == len(key) && string(src[m.keyStart:m.keyStart+uint32(m.keyLen)]) == key {
			return Node{n.t, c}
		}
		c = m.next
	}
	return Node{}
}

// Primitive returns the members key and `_key` of an object: a FHIR primitive's
// value, and the object with its id and extensions. Either may be absent.
func (n Node) Primitive(key string) (value, extension Node) {
	if n.t == nil || n.nd().kind != Object {
		return Node{}, Node{}
	}
	nodes, src := n.t.nodes, n.t.src
	for c := n.nd().child; c != 0; c = nodes[c].next {
		m := &nodes[c]
		name := src[m.keyStart : m.keyStart+uint32(m.keyLen)]
		switch {
		case m.keyEscd:
			if k := unescape(name); k == key {
				value = Node{n.t, c}
			} else if len(k) > 0 && k[0] == '_' && k[1:] == key {
				extension = Node{n.t, c}
			}
		case len(name) == len(key) && string(name) == key:
			value = Node{n.t, c}
		case len(name) == len(key)+1 && name[0] == '_' && string(name[1:]) == key:
			extension = Node{n.t, c}
		}
	}
	return value, extension
}

// At returns item i of an array, absent if out of range.
func (n Node) At(i int) Node {
	if n.Kind() != Array || i < 0 {
		return Node{}
	}
	c := n.First()
	for ; i > 0 && c.Exists(); i-- {
		c = c.Next()
	}
	return c
}

// Path walks member names; where it meets an array it takes the first item.
// It is for reading single known elements, not a query language.
func (n Node) Path(keys ...string) Node {
	for _, k := range keys {
		if n.Kind() == Array {
			n = n.First()
		}
		n = n.Get(k)
	}
	return n
}

// Children iterates over the members of an object or items of an array, in
// source order.
func (n Node) Children() func(yield func(Node) bool) {
	return func(yield func(Node) bool) {
		for c := n.First(); c.Exists(); c = c.Next() {
			if !yield(c) {
				return
			}
		}
	}
}

// Each iterates over the items of an array, over the node itself if it is any
// other value, and over nothing if absent: FHIR's "one or many" in one loop.
func (n Node) Each() func(yield func(Node) bool) {
	if n.Kind() == Array {
		return n.Children()
	}
	return func(yield func(Node) bool) {
		if n.Exists() {
			yield(n)
		}
	}
}

// ResourceType returns the value of the member resourceType, or "".
func (n Node) ResourceType() string { return n.Get("resourceType").Str() }

func view(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}
