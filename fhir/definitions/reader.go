package definitions

import (
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"
)

// reader decodes the model part of the file. Every number is an unsigned varint,
// every string a number in the table at the start. bad is set at the first
// malformed value, after which it returns zero values.
type reader struct {
	b       []byte
	strings []string
	bad     bool
}

func (r *reader) uint() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<40 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// count reads a length; it is never more than the bytes that are left, so that a
// damaged file cannot ask for absurd memory.
func (r *reader) count() int {
	n := r.uint()
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return 0
	}
	return n
}

func (r *reader) readStrings() {
	lens := make([]int, r.count())
	for i := range lens {
		lens[i] = r.uint()
	}
	r.strings = make([]string, len(lens))
	for i, n := range lens {
		if n > len(r.b) {
			r.bad, r.b = true, nil
			return
		}
		if n > 0 {
			r.strings[i] = unsafe.String(&r.b[0], n) // the decoded model is never changed
		}
		r.b = r.b[n:]
	}
}

func (r *reader) str() string {
	i := r.uint()
	if i >= len(r.strings) {
		r.bad = true
		return ""
	}
	return r.strings[i]
}

func (r *reader) strs() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = r.str()
	}
	return out
}

func (r *reader) raw() []byte {
	if s := r.str(); s != "" {
		return []byte(s)
	}
	return nil
}

// shareParams builds the list of parameters of each resource type: its own and
// those of its base types, each code once (the own one wins), sorted by code.
func (m *Model) shareParams() {
	own := map[string][]*SearchParameter{}
	for _, p := range m.allParams {
		for _, b := range p.Base {
			own[b] = append(own[b], p)
		}
	}
	m.params = map[string][]*SearchParameter{}
	for name, t := range m.types {
		if t.Kind != Resource {
			continue
		}
		seen := map[string]bool{}
		var list []*SearchParameter
		for ; t != nil; t = t.Base {
			for _, p := range own[t.Name] {
				if !seen[p.Code] {
					seen[p.Code] = true
					list = append(list, p)
				}
			}
		}
		slices.SortFunc(list, func(a, b *SearchParameter) int { return strings.Compare(a.Code, b.Code) })
		m.params[name] = list
	}
}
