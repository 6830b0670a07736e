package fhirpath

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// Item is one member of a collection: a node of a resource with its FHIR type,
// or a value of a System type. It shares memory with the tree it came from.
type Item struct {
	node fhir.Node         // absent for values, and for primitives that only have extensions
	ext  fhir.Node         // a primitive's `_name` member, absent if there is none
	typ  *definitions.Type // nil for values and untyped JSON
	val  Value
}

// Collection is the result of an expression, in order.
type Collection []Item

// ValueItem makes an item of a System value.
func ValueItem(v Value) Item { return Item{val: v} }

// NodeItem makes an item of a node of FHIR type typ; nil for untyped JSON. ext
// is the `_name` member of a primitive, absent otherwise.
func NodeItem(n, ext fhir.Node, typ *definitions.Type) Item { return Item{node: n, ext: ext, typ: typ} }

// Node returns the node; ok is false for System values and for primitives that
// have extensions but no value.
func (it Item) Node() (n fhir.Node, ok bool) { return it.node, it.node.Exists() }

// Extension returns the node with a primitive's id and extensions (`_name`).
func (it Item) Extension() fhir.Node { return it.ext }

// FHIRType returns the item's FHIR type, nil for values and untyped JSON.
func (it Item) FHIRType() *definitions.Type { return it.typ }

// Type returns the name of the FHIR type ("HumanName", "code",
// "BackboneElement") or System type ("String"); for untyped JSON the System
// type that its kind suggests, "" for objects.
func (it Item) Type() string {
	if it.typ != nil {
		if it.typ.Kind == definitions.Backbone && it.typ.Base != nil {
			return it.typ.Base.Name
		}
		return it.typ.Name
	}
	if v, ok := it.Value(); ok {
		return v.kind.String()
	}
	return ""
}

// isValue reports whether the item is a System value.
func (it *Item) isValue() bool { return it.val.kind != None }

func (it *Item) isPrimitive() bool {
	return it.typ != nil && it.typ.Kind == definitions.Primitive
}

// isLeaf reports whether the item has no members of its own but a value.
func (it *Item) isLeaf() bool {
	if it.isValue() || it.isPrimitive() {
		return true
	}
	k := it.node.Kind()
	return it.typ == nil && (k == fhir.Bool || k == fhir.Number || k == fhir.String)
}

// hasValue reports whether a primitive has a value, not only extensions.
func (it *Item) hasValue() bool {
	k := it.node.Kind()
	return it.isValue() || it.isLeaf() && k != fhir.None && k != fhir.Null
}

// Value returns the item as a System value: FHIR primitives and Quantities are
// converted; ok is false for other complex types and absent values.
func (it Item) Value() (v Value, ok bool) {
	if it.val.kind != None {
		return it.val, true
	}
	switch it.node.Kind() {
	case fhir.Bool:
		b, _ := it.node.Bool()
		return Boolean(b), true
	case fhir.Number:
		if it.typ != nil && it.typ.System == "Decimal" {
			return Decimal(it.node.Str())
		}
		return parseNumber(it.node.Str())
	case fhir.String:
		return it.stringValue(), true
	case fhir.Object:
		if it.typ != nil && it.typ.IsA("Quantity") {
			return quantityNode(it.node)
		}
	}
	return Value{}, false
}

// stringValue converts a JSON string by its FHIR type; what does not parse
// stays a String.
func (it *Item) stringValue() Value {
	s := it.node.Str()
	if it.typ == nil {
		return String(s)
	}
	v, ok := Value{}, false
	switch it.typ.System {
	case "Date":
		v, ok = parseDate(s)
	case "DateTime":
		v, ok = parseDateTime(s)
	case "Time":
		v, ok = parseTime(s)
	}
	if ok {
		return v
	}
	return String(s)
}

// quantityNode converts a FHIR Quantity without comparator.
func quantityNode(n fhir.Node) (Value, bool) {
	amount := n.Get("value")
	if amount.Kind() != fhir.Number || n.Get("comparator").Exists() {
		return Value{}, false
	}
	d, ok := Decimal(amount.Str())
	if !ok {
		return Value{}, false
	}
	v := Value{kind: KindQuantity, dec: d.dec, flag: unitFHIR, str: n.Get("code").Str()}
	if v.str == "" || n.Get("system").Str() != ucumSystem {
		v.flag = unitOther
		if v.str == "" {
			v.str = n.Get("unit").Str()
		}
		if v.str == "" {
			v.str, v.flag = "1", unitUCUM
		}
	}
	return v, true
}

const ucumSystem = "http://unitsofmeasure.org"

// String returns the text of a primitive or value as toString() does, or the
// JSON of anything else.
func (it Item) String() string {
	if it.isLeaf() {
		if it.val.kind == None && it.node.Kind() != fhir.Null {
			return it.node.Str()
		}
		return it.val.String()
	}
	return string(it.node.Raw())
}

// AppendJSON appends the item's value as JSON: nodes as they stand in the
// source, primitives without a value as null.
func (it Item) AppendJSON(dst []byte) []byte {
	if it.val.kind == None && it.node.Exists() {
		return append(dst, it.node.Raw()...)
	}
	return it.val.appendJSON(dst)
}

// object returns the node whose members are the item's elements: the `_name`
// sibling for primitives.
func (it *Item) object() fhir.Node {
	if it.isPrimitive() {
		return it.ext
	}
	return it.node
}

// maxMembers bounds the members of a typed object that count as its children:
// the largest type of R4 has fewer than 100.
const maxMembers = 1000

// children appends the item's child items in the order of the source.
func (it *Item) children(e *Engine, dst []Item) []Item {
	obj, n := it.object(), 0
	for c := obj.First(); c.Exists(); c = c.Next() {
		key := c.Key()
		if it.typ == nil {
			dst = appendUntyped(e, dst, c)
			continue
		}
		if n++; n > maxMembers {
			break // duplicates of names, which no type has so many of
		}
		if strings.HasPrefix(key, "_") {
			if obj.Get(key[1:]).Exists() {
				continue
			}
			key = key[1:]
		}
		el, ref := it.typ.JSONElement(key)
		if el == nil {
			continue
		}
		a := alternative{key: key, typ: el.Content}
		if ref != nil {
			a.set(el, ref)
		}
		value, ext := obj.Get(key), fhir.Node{}
		if a.primitive {
			ext = obj.Get("_" + key)
		}
		a.each(e, value, ext, func(child *Item) { dst = append(dst, *child) })
	}
	return dst
}

func appendUntyped(e *Engine, dst []Item, c fhir.Node) []Item {
	for v := range c.Each() {
		if v.Kind() == fhir.Array {
			dst = appendUntyped(e, dst, v)
		} else if v.Kind() != fhir.Null {
			dst = append(dst, e.Item(v))
		}
	}
	return dst
}

// alternative is one JSON form of an element: its member name and type.
type alternative struct {
	key       string
	typ       *definitions.Type // nil: the nested resource says itself
	primitive bool
}

func (a *alternative) set(el *definitions.Element, ref *definitions.TypeRef) {
	a.typ, a.primitive = ref.Type, ref.Primitive()
	if el.Content != nil {
		a.typ = el.Content
	}
	if a.typ != nil && a.typ.Kind == definitions.Resource {
		a.typ = nil
	}
}

// each calls fn for every item of a member: one, or those of its array.
func (a *alternative) each(e *Engine, value, ext fhir.Node, fn func(*Item)) {
	if value.Kind() != fhir.Array && ext.Kind() != fhir.Array {
		if it := a.item(e, value, ext); it.node.Exists() || it.ext.Exists() {
			fn(&it)
		}
		return
	}
	v, x := value.First(), ext.First()
	for v.Exists() || x.Exists() {
		it := a.item(e, v, x)
		if it.node.Exists() || it.ext.Exists() {
			fn(&it)
		}
		v, x = v.Next(), x.Next()
	}
}

func (a *alternative) item(e *Engine, value, ext fhir.Node) Item {
	if value.Kind() == fhir.Null {
		value = fhir.Node{}
	}
	if !a.primitive {
		if a.typ == nil {
			return e.Item(value)
		}
		return Item{node: value, typ: a.typ}
	}
	if ext.Kind() == fhir.Null {
		ext = fhir.Node{}
	}
	return Item{node: value, ext: ext, typ: a.typ}
}

// title makes the JSON name of a choice: value + Quantity.
func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
