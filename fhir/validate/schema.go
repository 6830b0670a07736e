package validate

import (
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// schema is a type of the model compiled for walking JSON objects of it.
type schema struct {
	typ      *definitions.Type
	members  map[string]*member
	elements []*definitions.Element
	required bits // elements with a minimum
	rules    *typeRules
}

// member is one JSON member name a type allows.
type member struct {
	el    *definitions.Element
	ref   *definitions.TypeRef
	many  bool       // written as an array
	prim  *primitive // nil for objects
	child *schema    // nil for primitives and for any-resource elements
	rules *elementRules
}

// bits is a set of elements of one type; no R4 type has more than 128.
type bits [2]uint64

func (b *bits) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b *bits) has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }
func (b *bits) missing(have bits) bool {
	return b[0]&^have[0]|b[1]&^have[1] != 0
}

// schemas compiles every type of the model.
func schemas(m *definitions.Model) map[string]*schema {
	prims := primitives()
	all := map[string]*schema{}
	names := m.Types()
	for _, name := range names {
		all[name] = &schema{typ: m.Type(name), members: map[string]*member{}}
	}
	for _, name := range names {
		all[name].fill(all, prims)
	}
	return all
}

func (s *schema) fill(all map[string]*schema, prims map[string]*primitive) {
	s.elements = s.typ.Elements
	for i, el := range s.elements {
		if el.Min > 0 {
			s.required.set(i)
		}
	}
	index := map[*definitions.Element]int{}
	for i, el := range s.elements {
		index[el] = i
	}
	rules := map[*definitions.Element]*elementRules{}
	for _, name := range s.typ.JSONNames() {
		el, ref := s.typ.JSONElement(name)
		if rules[el] == nil {
			rules[el] = &elementRules{el: el, index: index[el]}
		}
		m := &member{el: el, ref: ref, many: el.Max != 1, rules: rules[el]}
		switch {
		case el.Content != nil:
			m.child = all[el.Content.Name]
		case ref.Primitive():
			if m.prim = prims[ref.Code]; m.prim == nil {
				m.prim = prims["string"]
			}
		case ref != nil && ref.Code != "Resource":
			m.child = all[ref.Code]
		}
		s.members[name] = m
	}
}
