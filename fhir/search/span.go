package search

import (
	"bytes"
	"slices"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
)

// span is one contiguous piece of the index with those of its keys that count.
type span struct {
	lower, upper []byte // [lower, upper)
	ascending    bool   // ids come in order and lower is all that stands before them
	cut          func(k []byte) (id []byte, ok bool)
}

// contains reports whether k is one of the span's keys.
func (s *span) contains(k []byte) bool {
	if bytes.Compare(k, s.lower) < 0 || s.upper != nil && bytes.Compare(k, s.upper) >= 0 {
		return false
	}
	_, ok := s.id(k)
	return ok
}

// id returns the id at the end of a key between the bounds; ok is false if the
// key does not count.
func (s *span) id(k []byte) (id []byte, ok bool) {
	if s.cut == nil {
		return k[len(s.lower):], true
	}
	return s.cut(k)
}

// exactly spans the keys that have nothing but an id behind prefix.
func exactly(prefix []byte) span {
	return span{lower: prefix, upper: key.Next(prefix), ascending: true}
}

// behind spans the keys that begin with prefix and have the id extra bytes
// behind the text that begins at from.
func behind(prefix []byte, from, extra int) span {
	return span{lower: prefix, upper: key.Next(prefix), cut: func(k []byte) ([]byte, bool) {
		_, rest, ok := key.CutText(k[from:])
		if !ok || len(rest) < extra {
			return nil, false
		}
		return rest[extra:], true
	}}
}

// listed spans the list of all resources of a type; keep looks at their
// presence bits, nil = all.
func listed(t *param.Table, keep func(bits []byte) bool) span {
	prefix := t.List.Prefix(key.List)
	return span{lower: prefix, upper: key.Next(prefix), ascending: true, cut: func(k []byte) ([]byte, bool) {
		id, bits := cutListed(k[len(prefix):])
		return id, keep == nil || keep(bits)
	}}
}

func cutListed(k []byte) (id, bits []byte) {
	if n := key.IDLen(k); n > 0 && n < len(k) { // a UUID: fixed length
		return k[:n], k[n+1:]
	}
	id, bits, _ = key.CutText(k)
	return id, bits
}

// boxSpans are the spans of a parameter's intervals that may lie in a box. The
// unit stands before the interval, in the spaces of units.
func boxSpans(p *param.Param, unit []byte, b key.Box, short uint64) []span {
	spaces := [3]key.Space{key.Short, key.LongLow, key.LongHigh}
	if unit != nil {
		spaces = [3]key.Space{key.UnitShort, key.UnitLow, key.UnitHigh}
	}
	low := b.LowMin
	if b.HighMin > short {
		low = max(low, b.HighMin-short)
	}
	spans := []span{intervalSpan(p, spaces[0], unit, low, min(b.LowMax, b.HighMax), b.Holds)}
	if b.HighMin > key.Lowest || b.HighMax < key.Highest && b.LowMin > key.Lowest {
		flipped := func(v key.Interval) bool { return b.Holds(key.Interval{Low: v.High, High: v.Low}) }
		return append(spans, intervalSpan(p, spaces[2], unit, max(b.HighMin, b.LowMin), b.HighMax, flipped))
	}
	return append(spans, intervalSpan(p, spaces[1], unit, b.LowMin, min(b.LowMax, b.HighMax), b.Holds))
}

// intervalSpan spans the intervals whose first number is between from and to.
func intervalSpan(p *param.Param, s key.Space, unit []byte, from, to uint64, holds func(key.Interval) bool) span {
	prefix := append(p.Prefix(s), unit...)
	at := len(prefix)
	out := span{lower: key.AppendInterval(bytes.Clone(prefix), from, 0), cut: func(k []byte) ([]byte, bool) {
		if len(k) < at+key.IntervalLen {
			return nil, false
		}
		first, second := key.CutInterval(k[at:])
		return k[at+key.IntervalLen:], holds(key.Interval{Low: first, High: second})
	}}
	switch {
	case from > to:
		out.upper = out.lower
	case to == key.Highest:
		out.upper = key.Next(prefix)
	default:
		out.upper = key.AppendInterval(prefix, to+1, 0)
	}
	return out
}

// leaf is a condition on one parameter: any key in any of the spans. If strict,
// the keys only tell what may fit, and one of the tests must hold too.
type leaf struct {
	param  *param.Param
	spans  []span
	tests  []func(x *param.Reader) bool // one for each alternative; x holds the resource
	strict bool
	found  *idSet // every id in the spans, if the planner has read them; else nil
}

// recheck reports whether the resource in x passes one of the tests.
func (l *leaf) recheck(x *param.Reader) bool {
	return slices.ContainsFunc(l.tests, func(test func(*param.Reader) bool) bool { return test(x) })
}

// matches reports whether the resource in x fulfils the condition, from the
// keys it would have.
func (l *leaf) matches(x *param.Reader) bool {
	found := false
	x.Each(l.param, func(k []byte) bool {
		found = slices.ContainsFunc(l.spans, func(s span) bool { return s.contains(k) })
		return !found
	})
	return found && (!l.strict || l.recheck(x))
}
