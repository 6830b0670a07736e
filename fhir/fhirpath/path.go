package fhirpath

import (
	"sync/atomic"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// pathOp walks names and type filters depth first, without collections in
// between. from is nil for a path that starts at the focus.
type pathOp struct {
	from  op
	steps []step
}

// step is one part of a path: a name, or else a type filter. It passes what it
// finds in an item to the rest. (No interface, so that items stay on the stack.)
type step struct {
	name *nameStep
	typ  typeTest
}

func (p *pathOp) eval(f *frame, dst []Item) ([]Item, error) {
	items := f.this
	if p.from != nil {
		b, err := f.target(p.from)
		if err != nil {
			return nil, err
		}
		defer f.recycle(b)
		items = b
	}
	var err error
	for i := range items {
		if dst, err = p.rest(f, 0, &items[i], dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (p *pathOp) rest(f *frame, i int, it *Item, dst []Item) ([]Item, error) {
	if i < len(p.steps) {
		switch s := &p.steps[i]; {
		case s.name != nil:
			return s.name.walk(f, p, i+1, it, dst)
		case s.typ.filters(it):
			return p.rest(f, i+1, it, dst)
		}
		return dst, nil
	}
	if err := f.tick(1); err != nil {
		return nil, err
	}
	return append(dst, *it), nil
}

// nameStep goes to the elements of a name. What a name means for a type is
// looked up once and kept with the step.
type nameStep struct {
	name    string
	headed  bool // first of the expression: may name the type of the focus
	members atomic.Pointer[[]member]
}

// member is a name's meaning for a type.
type member struct {
	typ    *definitions.Type
	self   bool // the name is the type's own, e.g. Patient
	forms  []alternative
	choice bool
}

// maxKept bounds what a step remembers (Bundle.entry.resource.… sees many types).
const maxKept = 16

func (s *nameStep) member(typ *definitions.Type) *member {
	kept := s.members.Load()
	if kept != nil {
		for i := range *kept {
			if (*kept)[i].typ == typ {
				return &(*kept)[i]
			}
		}
	}
	m := s.resolve(typ)
	if kept == nil || len(*kept) < maxKept {
		var list []member
		if kept != nil {
			list = append(list, *kept...)
		}
		list = append(list, m)
		s.members.CompareAndSwap(kept, &list)
	}
	return &m
}

func (s *nameStep) resolve(typ *definitions.Type) member {
	m := member{typ: typ}
	if s.headed && typ.IsA(s.name) {
		m.self = true
		return m
	}
	el := typ.Element(s.name)
	if el == nil {
		return m
	}
	m.choice = el.Choice
	if len(el.Types) == 0 || !el.Choice {
		a := alternative{key: el.Name, typ: el.Content}
		if len(el.Types) > 0 {
			a.set(el, &el.Types[0])
		}
		m.forms = append(m.forms, a)
		return m
	}
	for i := range el.Types {
		a := alternative{key: el.Name + title(el.Types[i].Code)}
		a.set(el, &el.Types[i])
		m.forms = append(m.forms, a)
	}
	return m
}

func (s *nameStep) walk(f *frame, p *pathOp, next int, it *Item, dst []Item) ([]Item, error) {
	if it.typ == nil {
		return s.untyped(f, p, next, it, dst)
	}
	m := s.member(it.typ)
	if m.self {
		return p.rest(f, next, it, dst)
	}
	obj := it.object()
	if len(m.forms) == 0 || !obj.Exists() {
		return dst, nil
	}
	if m.choice {
		return s.choose(f, p, next, m, obj, dst)
	}
	a := &m.forms[0]
	if !a.primitive {
		return p.spread(f, next, a, obj.Get(a.key), fhir.Node{}, dst)
	}
	value, ext := obj.Primitive(a.key)
	return p.spread(f, next, a, value, ext, dst)
}

// choose finds the one form of a choice element that the object has.
func (s *nameStep) choose(f *frame, p *pathOp, next int, m *member, obj fhir.Node, dst []Item) ([]Item, error) {
	for c := obj.First(); c.Exists(); c = c.Next() {
		key := c.Key()
		if len(key) > 0 && key[0] == '_' {
			key = key[1:]
		}
		if len(key) <= len(s.name) || key[:len(s.name)] != s.name {
			continue
		}
		for i := range m.forms {
			if a := &m.forms[i]; a.key == key {
				value, ext := obj.Primitive(key)
				return p.spread(f, next, a, value, ext, dst)
			}
		}
	}
	return dst, nil
}

// spread goes on with every item of a member.
func (p *pathOp) spread(f *frame, next int, a *alternative, value, ext fhir.Node, dst []Item) ([]Item, error) {
	if !value.Exists() && !ext.Exists() {
		return dst, nil
	}
	if value.Kind() != fhir.Array && ext.Kind() != fhir.Array {
		it := a.item(f.eng, value, ext)
		if !it.node.Exists() && !it.ext.Exists() {
			return dst, nil
		}
		return p.rest(f, next, &it, dst)
	}
	var err error
	for v, x := value.First(), ext.First(); v.Exists() || x.Exists(); v, x = v.Next(), x.Next() {
		it := a.item(f.eng, v, x)
		if !it.node.Exists() && !it.ext.Exists() {
			continue
		}
		if dst, err = p.rest(f, next, &it, dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// untyped walks plain JSON, and the elements of a System.Quantity.
func (s *nameStep) untyped(f *frame, p *pathOp, next int, it *Item, dst []Item) ([]Item, error) {
	if it.isValue() {
		v, ok := valueMember(it.val, s.name)
		if !ok {
			return dst, nil
		}
		return p.rest(f, next, &Item{val: v}, dst)
	}
	if s.headed && it.node.Kind() == fhir.Object && it.node.ResourceType() == s.name {
		return p.rest(f, next, it, dst)
	}
	return p.json(f, next, it.node.Get(s.name), dst)
}

func (p *pathOp) json(f *frame, next int, n fhir.Node, dst []Item) ([]Item, error) {
	if !n.Exists() || n.Kind() == fhir.Null {
		return dst, nil
	}
	if n.Kind() != fhir.Array {
		it := f.eng.Item(n)
		return p.rest(f, next, &it, dst)
	}
	var err error
	for c := n.First(); c.Exists(); c = c.Next() {
		if dst, err = p.json(f, next, c, dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func valueMember(v Value, name string) (Value, bool) {
	if v.kind == KindQuantity {
		switch name {
		case "value":
			return decimalOf(v.dec), true
		case "unit":
			return String(v.str), true
		}
	}
	return Value{}, false
}

// typeTest is a resolved type specifier.
type typeTest struct {
	fhir   string // name of a FHIR type; "" if none is meant
	system Kind   // System type; None if none is meant
	never  bool   // a well-formed name that nothing has, e.g. System.Patient
}

// resolveType finds the type a specifier means: FHIR types come first. ok is
// false if there is no such type.
func (e *Engine) resolveType(t typeName) (typeTest, bool) {
	var r typeTest
	if t.namespace != "System" {
		if ft := e.model.Type(t.name); ft != nil {
			r.fhir = t.name
		} else if t.namespace == "FHIR" {
			return r, false
		}
	}
	if t.namespace != "FHIR" && (r.fhir == "" || t.name == "Quantity") {
		for k := KindBoolean; k <= KindQuantity; k++ {
			if k.String() == t.name {
				r.system = k
			}
		}
	}
	r.never = r.fhir == "" && r.system == None
	if r.never && t.namespace != "System" && t.name != "Any" {
		return r, false
	}
	return r, true
}

// is reports whether the item is of the type or one derived from it.
func (t typeTest) is(it *Item) bool {
	if it.isValue() {
		return it.val.kind == t.system
	}
	if it.typ != nil {
		return t.fhir != "" && it.typ.IsA(t.fhir)
	}
	return t.untyped(it)
}

// untyped matches plain JSON values with the types their kinds suggest.
func (t typeTest) untyped(it *Item) bool {
	v, ok := it.Value()
	if !ok {
		return t.fhir != "" && it.node.ResourceType() == t.fhir
	}
	return v.kind == t.system || t.fhir != "" && fhirKind(t.fhir) == v.kind
}

func fhirKind(name string) Kind {
	switch name {
	case "boolean":
		return KindBoolean
	case "integer", "positiveInt", "unsignedInt":
		return KindInteger
	case "decimal":
		return KindDecimal
	case "string", "code", "id", "uri", "url", "canonical", "markdown":
		return KindString
	}
	return None
}

// filters is the stricter test of ofType() and as(): primitives match their
// own type only (a code is no string there), other types include derived ones.
func (t typeTest) filters(it *Item) bool {
	if it.isPrimitive() {
		return it.typ.Name == t.fhir
	}
	return t.is(it)
}
