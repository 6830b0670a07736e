package search

import (
	"bytes"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
)

// order is one key of _sort.
type order struct {
	code string
	desc bool
}

func (s *searcher) order(p query.Param) error {
	for _, code := range strings.Split(p.Value, ",") {
		o := order{code: strings.TrimPrefix(code, "-"), desc: strings.HasPrefix(code, "-")}
		for _, t := range s.types {
			if o.code == "_id" {
				break
			}
			sp := t.ByCode[o.code]
			if sp == nil && strings.Contains(o.code, ".") {
				return badControl(p, "R4 只能按检索参数排序，不能按链", "R4 sorts by search parameters, not by chains")
			}
			if sp == nil {
				return unknownParam(t, o.code, []string{"_id"})
			}
			if sp.Kind == param.Special || !sp.Valued() {
				return badControl(p, "不能按 "+o.code+" 排序", "cannot sort by "+o.code)
			}
		}
		s.sorts = append(s.sorts, o)
	}
	return nil
}

// entry is one match with the values it is sorted by.
type entry struct {
	typ    int
	id     []byte
	values [][]byte // nil where the resource has none
}

// sorted fills the page with matches in the order of _sort.
func (s *searcher) sorted() error {
	if s.walkable() {
		if done := s.walk(); done || s.err != nil {
			return s.err
		}
		s.page.Matches = s.page.Matches[:0]
	}
	var all []entry
	for i, n := range s.nodes {
		c := s.open(n)
		for c.next() {
			all = append(all, s.entry(i, bytes.Clone(c.id())))
		}
		c.close()
	}
	if s.err != nil {
		return s.err
	}
	slices.SortFunc(all, s.compare)
	s.known(len(all))
	s.slice(len(all), func(i int) (int, []byte) { return all[i].typ, all[i].id })
	return nil
}

// slice takes the page from n sorted matches.
func (s *searcher) slice(n int, at func(i int) (typ int, id []byte)) {
	end := min(n, s.pos.offset+s.count)
	for i := min(n, s.pos.offset); i < end; i++ {
		typ, id := at(i)
		s.match(typ, id)
	}
	if end < n {
		s.page.Next = s.cursor(position{offset: end, total: s.pos.total})
	}
	s.back()
}

func (s *searcher) entry(typ int, id []byte) entry {
	e := entry{typ, id, make([][]byte, len(s.sorts))}
	t := s.types[typ]
	for i, o := range s.sorts {
		if o.code == "_id" {
			e.values[i] = id
		} else if s.load(t, id) {
			e.values[i] = s.extreme(t.ByCode[o.code], o.desc, len(id))
		}
	}
	return e
}

// sortSpaces are where the values of a parameter stand in their order.
func sortSpaces(k param.Kind) []key.Space {
	switch k {
	case param.Token:
		return []key.Space{key.Token}
	case param.String:
		return []key.Space{key.String}
	case param.URI:
		return []key.Space{key.URI}
	case param.Reference:
		return []key.Space{key.Ref, key.Canonical}
	case param.Composite:
		return []key.Space{key.Composite}
	}
	return []key.Space{key.Short, key.LongLow}
}

// extreme returns the smallest value of a parameter in the loaded resource, or
// the largest, as its keys order them.
func (s *searcher) extreme(p *param.Param, largest bool, idLen int) []byte {
	spaces := sortSpaces(p.Kind)
	var best []byte
	s.closed(s.x.Each(p, func(k []byte) bool {
		if slices.Contains(spaces, key.Space(k[4])) {
			v := k[key.PrefixLen : len(k)-idLen]
			if c := bytes.Compare(v, best); best == nil || largest && c > 0 || !largest && c < 0 {
				best = v
			}
		}
		return true
	}))
	return bytes.Clone(best)
}

// compare orders entries by the sort keys; those without a value come last,
// equals by id in the direction of the last key.
func (s *searcher) compare(a, b entry) int {
	desc := false
	for i, o := range s.sorts {
		desc = o.desc
		va, vb := a.values[i], b.values[i]
		switch {
		case va == nil && vb == nil:
			continue
		case va == nil:
			return 1
		case vb == nil:
			return -1
		}
		if c := bytes.Compare(va, vb); c != 0 {
			if desc {
				return -c
			}
			return c
		}
	}
	c := bytes.Compare(a.id, b.id)
	if c == 0 {
		c = a.typ - b.typ
	}
	if desc {
		return -c
	}
	return c
}
