package fhirpath

import (
	"strings"
	"unicode"

	"github.com/qihuang-health/qihuang/fhir"
)

// equalOp is = and !=.
type equalOp struct {
	a, b   op
	negate bool
}

func (o *equalOp) eval(f *frame, dst []Item) ([]Item, error) {
	t, err := o.truth(f)
	return appendTruth(dst, t), err
}

func (o *equalOp) truth(f *frame) (truth, error) {
	a, err := f.collect(o.a)
	if err != nil {
		return unknown, err
	}
	b, err := f.collect(o.b)
	if err != nil {
		return unknown, err
	}
	t := equalCollections(a, b)
	err = f.tick(len(a) + len(b))
	f.recycle(a)
	f.recycle(b)
	if o.negate {
		t = negated(t)
	}
	return t, err
}

func negated(t truth) truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

// equalCollections: empty if either is; else same length and equal in order.
func equalCollections(a, b []Item) truth {
	if len(a) == 0 || len(b) == 0 {
		return unknown
	}
	if len(a) != len(b) {
		return no
	}
	result := yes
	for i := range a {
		switch equalItems(&a[i], &b[i]) {
		case no:
			return no
		case unknown:
			result = unknown
		}
	}
	return result
}

// equalItems is = of two items. Values of different types are not equal;
// complex items are if all their elements are.
func equalItems(a, b *Item) truth {
	if !a.isValue() && !b.isValue() && a.node.Exists() && a.node.Same(b.node) {
		return yes
	}
	va, okA := a.Value()
	vb, okB := b.Value()
	if okA && okB {
		return equalValues(va, vb)
	}
	if okA != okB {
		return no
	}
	return truthOf(sameJSON(a.node, b.node) && sameJSON(a.ext, b.ext))
}

func equalValues(a, b Value) truth {
	switch {
	case a.kind == KindInteger && b.kind == KindInteger, a.kind == KindBoolean && b.kind == KindBoolean:
		return truthOf(a.n == b.n)
	case a.kind == KindString && b.kind == KindString:
		return truthOf(a.str == b.str)
	case a.isNumber() && b.isNumber():
		return truthOf(a.decimal().Cmp(b.decimal()) == 0)
	case a.kind == KindQuantity && b.kind == KindQuantity:
		if order, ok := compareQuantities(a, b); ok {
			return truthOf(order == 0)
		}
		if calendarMismatch(a, b) {
			return unknown
		}
		return no
	case a.kind == KindQuantity && b.isNumber(), a.isNumber() && b.kind == KindQuantity:
		return equalValues(asUCUM(a), asUCUM(b))
	case a.isTemporal() && b.isTemporal() && (a.kind == KindTime) == (b.kind == KindTime):
		order, ok := compareTemporal(a, b)
		if !ok {
			return unknown
		}
		return truthOf(order == 0)
	}
	return no
}

// calendarMismatch: a year is not 'a', a month not 'mo', but neither are they
// different; = is empty there.
func calendarMismatch(a, b Value) bool {
	if (a.flag == unitCalendar) == (b.flag == unitCalendar) {
		return a.flag == unitCalendar
	}
	ua, ub := definitely(a).measure(), definitely(b).measure()
	return ua != nil && ub != nil && ua.Comparable(ub)
}

// sameJSON compares nodes member by member, whatever their order; numbers by
// value.
func sameJSON(a, b fhir.Node) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() {
		return false
	}
	switch a.Kind() {
	case fhir.Object:
		get := members(b)
		for c := a.First(); c.Exists(); c = c.Next() {
			if d := get(c.Key()); !d.Exists() || !sameJSON(c, d) {
				return false
			}
		}
	case fhir.Array:
		for c, d := a.First(), b.First(); c.Exists(); c, d = c.Next(), d.Next() {
			if !sameJSON(c, d) {
				return false
			}
		}
	case fhir.Number:
		if a.Str() == b.Str() {
			return true
		}
		x, okX := parseNumber(a.Str())
		y, okY := parseNumber(b.Str())
		return okX && okY && equalValues(x, y) == yes
	case fhir.String, fhir.Bool:
		return a.Str() == b.Str()
	}
	return true
}

// members returns a look-up of an object's members that stays fast for the
// large objects of untyped JSON.
func members(n fhir.Node) func(key string) fhir.Node {
	if n.Len() <= 64 {
		return n.Get
	}
	m := make(map[string]fhir.Node, n.Len())
	for c := range n.Children() {
		if _, ok := m[c.Key()]; !ok {
			m[c.Key()] = c
		}
	}
	return func(key string) fhir.Node { return m[key] }
}

// equivalentOp is ~ and !~.
type equivalentOp struct {
	a, b   op
	negate bool
}

func (o *equivalentOp) eval(f *frame, dst []Item) ([]Item, error) {
	t, err := o.truth(f)
	return appendTruth(dst, t), err
}

func (o *equivalentOp) truth(f *frame) (truth, error) {
	a, err := f.collect(o.a)
	if err != nil {
		return unknown, err
	}
	b, err := f.collect(o.b)
	if err != nil {
		return unknown, err
	}
	same, err := equivalentCollections(f, a, b)
	f.recycle(a)
	f.recycle(b)
	return truthOf(same != o.negate), err
}

// equivalentCollections: same length and each item has its own equivalent, in
// any order.
func equivalentCollections(f *frame, a, b []Item) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	used := make([]bool, len(b))
	for i := range a {
		found := false
		for j := range b {
			if !used[j] && equivalentItems(&a[i], &b[j]) {
				used[j], found = true, true
				break
			}
		}
		if err := f.tick(len(b)); err != nil || !found {
			return false, err
		}
	}
	return true, nil
}

func equivalentItems(a, b *Item) bool {
	va, okA := a.Value()
	vb, okB := b.Value()
	if okA && okB {
		return equivalentValues(va, vb)
	}
	return okA == okB && equivalentJSON(a.node, b.node)
}

func equivalentValues(a, b Value) bool {
	switch {
	case a.kind == KindString && b.kind == KindString:
		return normalized(a.str) == normalized(b.str)
	case a.isNumber() && b.isNumber():
		da, db := a.decimal(), b.decimal()
		digits := min(scale(da, true), scale(db, true))
		return roundTo(da, digits).Cmp(roundTo(db, digits)) == 0
	case a.kind == KindQuantity && b.kind == KindQuantity:
		return equivalentQuantities(a, b)
	case a.isTemporal() && b.isTemporal():
		return a.level() == b.level() && equalValues(a, b) == yes
	}
	return equalValues(a, b) == yes
}

// normalized is a string for ~: lower case, white space as single blanks.
func normalized(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), unicode.IsSpace), " ")
}

// maxUnordered bounds the lists inside complex items that ~ compares in any
// order; longer ones must agree in order, so that the time stays bounded.
const maxUnordered = 32

// equivalentJSON compares complex items, lists in any order; ids do not count.
func equivalentJSON(a, b fhir.Node) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case fhir.Object:
		return coveredBy(a, b) && coveredBy(b, a)
	case fhir.Array:
		if a.Len() != b.Len() || a.Len() > maxUnordered {
			return sameJSON(a, b)
		}
		used := make([]bool, b.Len())
		for c := range a.Children() {
			i, j := -1, 0
			for d := range b.Children() {
				if !used[j] && equivalentJSON(c, d) {
					i = j
					break
				}
				j++
			}
			if i < 0 {
				return false
			}
			used[i] = true
		}
		return true
	case fhir.String:
		return normalized(a.Str()) == normalized(b.Str())
	}
	return sameJSON(a, b)
}

func coveredBy(a, b fhir.Node) bool {
	get := members(b)
	for c := range a.Children() {
		if c.Key() == "id" {
			continue
		}
		if d := get(c.Key()); !d.Exists() || !equivalentJSON(c, d) {
			return false
		}
	}
	return true
}
