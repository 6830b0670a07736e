package fhirpath

import (
	"hash/maphash"
	"math"

	"github.com/qihuang-health/qihuang/fhir"
)

// distinct appends the distinct items of in to dst by =. Larger sets are
// hashed, so that the time stays linear.
func (f *frame) distinct(in, dst []Item) ([]Item, error) {
	var s set
	base := len(dst)
	for i := range in {
		if !s.has(f, dst[base:], &in[i]) {
			dst = append(dst, in[i])
			s.add(dst[base:])
		}
	}
	return dst, f.tick(len(in))
}

// set finds items equal to one in a growing list.
type set struct {
	seed    maphash.Seed
	buckets map[uint64][]int32
}

const hashFrom = 16

func (s *set) has(f *frame, list []Item, it *Item) bool {
	if s.buckets == nil {
		for i := range list {
			if equalItems(&list[i], it) == yes {
				return true
			}
		}
		f.steps += len(list)
		return false
	}
	bucket := s.buckets[s.hash(it)]
	for _, i := range bucket {
		if equalItems(&list[i], it) == yes {
			return true
		}
	}
	f.steps += len(bucket)
	return false
}

// add notes the last item of list.
func (s *set) add(list []Item) {
	switch {
	case s.buckets != nil:
		h := s.hash(&list[len(list)-1])
		s.buckets[h] = append(s.buckets[h], int32(len(list)-1))
	case len(list) == hashFrom:
		s.seed, s.buckets = maphash.MakeSeed(), make(map[uint64][]int32, 4*hashFrom)
		for i := range list {
			h := s.hash(&list[i])
			s.buckets[h] = append(s.buckets[h], int32(i))
		}
	}
}

// hash is equal for equal items.
func (s *set) hash(it *Item) uint64 {
	if v, ok := it.Value(); ok {
		switch v.kind {
		case KindString:
			return maphash.String(s.seed, v.str)
		case KindInteger, KindDecimal:
			fl, _ := v.Float()
			return math.Float64bits(fl + 0) // -0 is 0
		case KindBoolean:
			return uint64(v.n)
		case KindQuantity:
			u := definitely(v).measure()
			if u == nil {
				return maphash.String(s.seed, v.str)
			}
			fl, _ := u.Base(toRat(v.dec)).Float64()
			return math.Float64bits(fl + 0)
		}
		if v.zone != noZone {
			v = v.utc()
		}
		return uint64(v.n)
	}
	return s.hashJSON(it.node) + s.hashJSON(it.ext)
}

func (s *set) hashJSON(n fhir.Node) uint64 {
	h := uint64(n.Kind()) + 1
	switch n.Kind() {
	case fhir.Object: // order does not count
		for c := range n.Children() {
			h += maphash.String(s.seed, c.Key()) ^ s.hashJSON(c)*31
		}
	case fhir.Array:
		for c := range n.Children() {
			h = h*1099511628211 + s.hashJSON(c)
		}
	case fhir.String, fhir.Bool:
		h = maphash.String(s.seed, n.Str())
	case fhir.Number:
		if v, ok := parseNumber(n.Str()); ok {
			fl, _ := v.Float()
			h = math.Float64bits(fl + 0)
		}
	}
	return h
}
