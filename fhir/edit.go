package fhir

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// Edit replaces the bytes [Start,End) of a document by Text. An insertion has
// Start == End.
type Edit struct {
	Start, End int
	Text       []byte
}

// Splice applies edits to src, which they must not overlap, and returns a new
// document. Every byte outside the edits is kept. Edits at one place are applied
// in the order given.
func Splice(src []byte, edits ...Edit) []byte {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return cmp.Compare(a.Start, b.Start) })
	size := len(src)
	for _, e := range edits {
		size += len(e.Text) + e.Start - e.End
	}
	out := make([]byte, 0, max(size, 0))
	at := 0
	for _, e := range edits {
		if e.Start < at { // overlapping: what is gone cannot be changed again
			continue
		}
		out = append(out, src[at:e.Start]...)
		out = append(out, e.Text...)
		at = e.End
	}
	return append(out, src[at:]...)
}

// Replace is the edit that puts JSON text in the place of a node.
func Replace(n Node, text []byte) Edit {
	return Edit{n.Offset(), n.Offset() + len(n.Raw()), text}
}

// SetMember is the edit that gives an object the member key: in the place of the
// one it has, else after its last one. value is JSON text.
func SetMember(object Node, key string, value []byte) Edit {
	if m := object.Get(key); m.Exists() {
		return Replace(m, value)
	}
	text := append(append(AppendString(nil, key), ':'), value...)
	last := object.last()
	if !last.Exists() {
		return Edit{object.Offset() + 1, object.Offset() + 1, text}
	}
	at := last.Offset() + len(last.Raw())
	return Edit{at, at, append([]byte{','}, text...)}
}

// InsertItem is the edit that puts JSON text before item i of an array; i equal
// to the length appends.
func InsertItem(array Node, i int, value []byte) Edit {
	if it := array.At(i); it.Exists() {
		return Edit{it.Offset(), it.Offset(), append(slices.Clone(value), ',')}
	}
	last := array.last()
	if !last.Exists() {
		return Edit{array.Offset() + 1, array.Offset() + 1, value}
	}
	at := last.Offset() + len(last.Raw())
	return Edit{at, at, append([]byte{','}, value...)}
}

// Remove is the edit that takes a member out of its object or an item out of its
// array, together with one comma. parent must be the node's parent.
func Remove(parent, n Node) Edit {
	var before, after Node
	for c := parent.First(); c.Exists(); c = c.Next() {
		if c.Same(n) {
			after = c.Next()
			break
		}
		before = c
	}
	switch {
	case before.Exists():
		return Edit{before.Offset() + len(before.Raw()), n.Offset() + len(n.Raw()), nil}
	case after.Exists():
		return Edit{n.KeyOffset(), after.KeyOffset(), nil}
	}
	return Edit{n.KeyOffset(), n.Offset() + len(n.Raw()), nil}
}

func (n Node) last() Node {
	var last Node
	for c := n.First(); c.Exists(); c = c.Next() {
		last = c
	}
	return last
}

// Stamp returns the resource with the given id, meta.versionId and
// meta.lastUpdated (an instant), everything else as it was. An empty argument
// leaves that part alone.
func Stamp(resource Node, id, versionID, lastUpdated string) []byte {
	var edits []Edit
	meta := resource.Get("meta")
	var set []byte
	for _, kv := range [][2]string{{"versionId", versionID}, {"lastUpdated", lastUpdated}} {
		if kv[1] == "" {
			continue
		}
		value := AppendString(nil, kv[1])
		if old := meta.Get(kv[0]); old.Exists() {
			edits = append(edits, Replace(old, value))
			continue
		}
		if len(set) > 0 {
			set = append(set, ',')
		}
		set = append(append(append(set, '"'), kv[0]...), '"', ':')
		set = append(set, value...)
	}
	switch {
	case len(set) == 0:
	case meta.Kind() != Object:
		edits = append(edits, resource.insertAfter("meta", append(append([]byte{'{'}, set...), '}'), "id", "resourceType"))
	case meta.Len() == 0:
		edits = append(edits, Edit{meta.Offset() + 1, meta.Offset() + 1, set})
	default:
		edits = append(edits, Edit{meta.Offset() + 1, meta.Offset() + 1, append(set, ',')})
	}
	if id != "" && resource.Get("id").Str() != id {
		// the id edit goes first: both may insert after resourceType
		edits = append([]Edit{resource.insertAfter("id", AppendString(nil, id), "resourceType")}, edits...)
		if resource.Len() == 0 && len(edits) > 1 {
			edits[1].Text = append([]byte{','}, edits[1].Text...)
		}
	}
	return Splice(resource.Tree().Source(), edits...)
}

// insertAfter sets a member, placing a new one after the first of the named
// members that is there.
func (n Node) insertAfter(key string, value []byte, after ...string) Edit {
	if n.Get(key).Exists() {
		return SetMember(n, key, value)
	}
	for _, a := range after {
		if m := n.Get(a); m.Exists() {
			at := m.Offset() + len(m.Raw())
			text := append(append(AppendString([]byte{','}, key), ':'), value...)
			return Edit{at, at, text}
		}
	}
	return SetMember(n, key, value)
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD; only what JSON demands is escaped.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
