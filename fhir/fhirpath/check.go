package fhirpath

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// shape is what is known of an expression's result without evaluating it.
type shape struct {
	any       bool                // it may be anything
	types     []*definitions.Type // FHIR types it may have
	kinds     kindSet             // System types it may have
	many      bool                // it may have several items
	unordered bool                // they have no order that means anything
}

// kindSet is a set of System types.
type kindSet uint16

func kindsOf(ks ...Kind) (s kindSet) {
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

func (s kindSet) has(k Kind) bool { return s&(1<<k) != 0 }

func system(k Kind) shape { return shape{kinds: kindsOf(k)} }

var anything = shape{any: true, many: true}

// checker walks a parse tree with the shape of $this.
type checker struct {
	eng   *Engine
	this  shape
	names []string // variables that are defined
}

// shape checks x for input of the named type, "" for any.
func (e *Engine) shape(x *expr, root string, declared []string) (shape, error) {
	k := &checker{eng: e, this: shape{any: true}, names: slices.Clone(declared)}
	if root != "" {
		t := e.model.Type(root)
		if t == nil {
			return shape{}, fault.New(fault.Invalid, "FHIRPath: unknown type %s to check against", root)
		}
		k.this = shape{types: []*definitions.Type{t}}
	}
	return k.check(x)
}

func (k *checker) fail(x *expr, format string, args ...any) (shape, error) {
	return shape{}, fault.New(fault.Invalid, "FHIRPath: "+format, args...)
}

// within checks x with another $this.
func (k *checker) within(this shape, x *expr) (shape, error) {
	outer := k.this
	k.this = this
	s, err := k.check(x)
	k.this = outer
	return s, err
}

func (k *checker) check(x *expr) (shape, error) {
	switch x.kind {
	case exLiteral:
		return system(x.value.kind), nil
	case exEmpty, exTotal:
		return anything, nil
	case exThis:
		if x.target != nil {
			return k.check(x.target)
		}
		return k.this, nil
	case exIndex:
		return system(KindInteger), nil
	case exVariable:
		return k.variable(x)
	case exName:
		return k.name(x)
	case exIndexer:
		return k.indexer(x)
	case exUnary:
		s, err := k.check(x.args[0])
		if err == nil && !s.any && s.values()&kindsOf(KindInteger, KindDecimal, KindQuantity) == 0 {
			return k.fail(x, "a sign cannot stand before %s", s)
		}
		return s, err
	case exBinary:
		return k.binary(x)
	case exType:
		s, err := k.check(x.args[0])
		if err != nil {
			return s, err
		}
		return k.typed(x, s)
	}
	return k.call(x)
}

func (k *checker) variable(x *expr) (shape, error) {
	switch {
	case slices.Contains(k.names, x.name):
		return anything, nil
	case x.name == "context" || x.name == "resource" || x.name == "rootResource":
		return shape{any: true}, nil
	case builtinVariable(x.name):
		return system(KindString), nil
	}
	return k.fail(x, "unknown variable %%%s", x.name)
}

func (k *checker) name(x *expr) (shape, error) {
	from := k.this
	if x.target != nil {
		var err error
		if from, err = k.check(x.target); err != nil {
			return from, err
		}
	}
	return k.member(x, from)
}

// member is the shape of an element of from.
func (k *checker) member(x *expr, from shape) (shape, error) {
	out := shape{many: from.many, unordered: from.unordered}
	found := from.any
	out.any = from.any
	step := nameStep{name: x.name, headed: x.target == nil}
	for _, t := range from.types {
		switch m := step.resolve(t); {
		case m.self:
			out.types, found = append(out.types, t), true
		case len(m.forms) > 0:
			found = true
			for _, a := range m.forms {
				if a.typ == nil {
					out.any = true
				} else if !slices.Contains(out.types, a.typ) {
					out.types = append(out.types, a.typ)
				}
			}
			if el := t.Element(x.name); el.Max != 1 {
				out.many = true
			}
		case t.Abstract:
			out.any, found = true, true
		}
	}
	if from.kinds.has(KindQuantity) && (x.name == "value" || x.name == "unit") {
		out.kinds, found = kindsOf(KindDecimal, KindString), true
	}
	if !found {
		return k.fail(x, "%s has no element %q%s", from, x.name, from.suggest(x.name))
	}
	return out, nil
}

// suggest names an element that may have been meant.
func (s shape) suggest(name string) string {
	var known []string
	for _, t := range s.types {
		if el, _ := t.JSONElement(name); el != nil && el.Choice {
			return `, did you mean "` + el.Name + `"?`
		}
		for _, el := range t.Elements {
			known = append(known, el.Name)
		}
	}
	return hint(name, known)
}

// names lists the types.
func (s shape) names() []string {
	var names []string
	for _, t := range s.types {
		names = append(names, t.Name)
	}
	for kind := KindBoolean; kind <= KindQuantity; kind++ {
		if s.kinds.has(kind) {
			names = append(names, kind.String())
		}
	}
	return names
}

// String names the types, for messages.
func (s shape) String() string {
	names := s.names()
	if len(names) > 4 {
		names = append(names[:4], "…")
	}
	if s.any || len(names) == 0 {
		return "anything"
	}
	return strings.Join(names, "|")
}

// values returns the System types that the items convert to.
func (s shape) values() kindSet {
	v := s.kinds
	for _, t := range s.types {
		if t.IsA("Quantity") {
			v |= kindsOf(KindQuantity)
		}
		for kind := KindBoolean; kind < KindQuantity; kind++ {
			if t.Kind == definitions.Primitive && t.System == kind.String() {
				v |= kindsOf(kind)
			}
		}
	}
	return v
}

func (k *checker) indexer(x *expr) (shape, error) {
	s, err := k.check(x.target)
	if err != nil {
		return s, err
	}
	if s.unordered {
		return k.fail(x, "[] needs an ordered collection")
	}
	index, err := k.check(x.args[0])
	if err == nil && !index.any && !index.values().has(KindInteger) {
		return k.fail(x, "an index must be an integer, not %s", index)
	}
	s.many = false
	return s, err
}

// typed is the shape of is, as and ofType.
func (k *checker) typed(x *expr, s shape) (shape, error) {
	t, ok := k.eng.resolveType(x.typ)
	if !ok {
		return k.fail(x, "unknown type %s", x.typ)
	}
	if x.name == "is" {
		return system(KindBoolean), nil
	}
	out := shape{many: s.many, unordered: s.unordered}
	if t.fhir != "" {
		out.types = []*definitions.Type{k.eng.model.Type(t.fhir)}
	}
	if t.system != None {
		out.kinds = kindsOf(t.system)
	}
	return out, nil
}

func merge(a, b shape) shape {
	out := shape{any: a.any || b.any, kinds: a.kinds | b.kinds, many: true, unordered: a.unordered || b.unordered}
	out.types = append(slices.Clone(a.types), b.types...)
	return out
}

func (k *checker) binary(x *expr) (shape, error) {
	a, err := k.check(x.args[0])
	if err != nil {
		return a, err
	}
	b, err := k.check(x.args[1])
	if err != nil {
		return b, err
	}
	switch x.name {
	case "|":
		return merge(a, b), nil
	case "&":
		return system(KindString), nil
	case "<", ">", "<=", ">=":
		return system(KindBoolean), k.operands(x, a, b)
	case "+", "-", "*", "/", "div", "mod":
		out := shape{any: a.any || b.any, kinds: a.values() | b.values()}
		return out, k.operands(x, a, b)
	}
	return system(KindBoolean), nil
}

// operands fails if no types of a and b fit the operator.
func (k *checker) operands(x *expr, a, b shape) error {
	if a.any || b.any {
		return nil
	}
	va, vb := a.values(), b.values()
	for i := KindBoolean; i <= KindQuantity; i++ {
		for j := KindBoolean; j <= KindQuantity; j++ {
			if va.has(i) && vb.has(j) && fits(x.name, i, j) {
				return nil
			}
		}
	}
	_, err := k.fail(x, "%s %s %s is not defined", a, x.name, b)
	return err
}

// fits reports whether an operator takes operands of these types.
func fits(name string, a, b Kind) bool {
	numeric := func(k Kind) bool { return k == KindInteger || k == KindDecimal || k == KindQuantity }
	temporal := func(k Kind) bool { return k == KindDate || k == KindDateTime }
	switch name {
	case "<", ">", "<=", ">=":
		return a == b && a != KindBoolean || numeric(a) && numeric(b) || temporal(a) && temporal(b)
	case "+", "-":
		return numeric(a) && numeric(b) || a == KindString && b == KindString && name == "+" ||
			(temporal(a) || a == KindTime) && b == KindQuantity
	}
	return numeric(a) && numeric(b)
}
