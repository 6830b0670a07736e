package validate

import (
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// walk is one validation: the place it has come to and what it found.
type walk struct {
	v       *Validator
	ctx     context.Context
	full    bool
	opts    *Options
	root    fhir.Node
	path    []step
	issues  []fault.Issue
	max     int
	dropped int
	scope   scope
	context fhirpath.Context
	results fhirpath.Collection // reused
	index   index
	owners  []owner

	silent     bool   // only whether something fails matters
	failed     bool   // something did, while silent
	nesting    int    // profiles within profiles
	profileURL string // the innermost
}

// resource checks a value that must be a resource: the root, a contained one,
// a Bundle entry.
func (w *walk) resource(n fhir.Node) *schema {
	if n.Kind() != fhir.Object {
		w.report(n, finding{code: "structure", key: "not-a-resource", zh: "此处应为资源（JSON 对象），实际是 " + kindName(n), en: "expected a resource, found " + kindName(n)})
		return nil
	}
	rt := n.Get("resourceType")
	if !rt.Exists() {
		w.report(n, finding{code: "structure", key: "resource-type-missing", zh: "缺少 resourceType", en: "resourceType is missing"})
		return nil
	}
	s := w.v.schemas[rt.Str()]
	if s == nil || !w.v.model.IsResource(rt.Str()) {
		w.reportAt(rt, "resourceType", finding{code: "structure", key: "resource-type-unknown", zh: "R4 中没有资源类型 " + quote(rt.Str()),
			en: "no such resource type in R4: " + quote(rt.Str()), hint: fault.DidYouMean(rt.Str(), w.v.model.Resources())})
		return nil
	}
	w.enter(nil, s.typ)
	w.object(n, s)
	w.leave()
	return s
}

func kindName(n fhir.Node) string {
	return [...]string{"nothing", "null", "boolean", "number", "string", "array", "object"}[n.Kind()]
}

// object checks the members of an object against its type.
func (w *walk) object(n fhir.Node, s *schema) {
	if n.Len() == 0 {
		w.report(n, finding{code: "structure", key: "empty-object", zh: "元素不能为空对象", en: "an element must not be an empty object"})
		return
	}
	var have, shadows bits
	for c := n.First(); c.Exists(); c = c.Next() {
		key := c.Key()
		m, shadow := s.members[key], false
		if m == nil {
			if key == "resourceType" && s.isResource() {
				continue
			}
			if len(key) > 1 && key[0] == '_' {
				m = s.members[key[1:]]
				shadow = true
			}
			if m == nil || m.prim == nil {
				w.unknown(c, s)
				continue
			}
		}
		seen := &have
		if shadow {
			seen = &shadows
		}
		if i := m.rules.index; seen.has(i) {
			w.twice(c, m)
		} else {
			seen.set(i)
		}
		if shadow {
			w.shadow(c, m)
		} else {
			w.member(n, c, m)
		}
	}
	have[0], have[1] = have[0]|shadows[0], have[1]|shadows[1]
	if s.required.missing(have) {
		w.missing(n, s, have)
	}
	if s.typ.Name == "Extension" {
		w.extensionShape(n)
	}
}

func (s *schema) isResource() bool { return s.typ.IsA("Resource") }

func (w *walk) unknown(c fhir.Node, s *schema) {
	if len(w.issues) >= w.max {
		w.dropped++
		return // before the search for a hint
	}
	w.reportAt(c, c.Key(), finding{code: "structure", key: "unknown-property", zh: s.typ.Name + " 没有属性 " + quote(c.Key()),
		en: s.typ.Name + " has no property " + quote(c.Key()), hint: fault.DidYouMean(c.Key(), s.typ.JSONNames())})
}

func (w *walk) twice(c fhir.Node, m *member) {
	f := finding{code: "structure", key: "duplicate-property", zh: "属性 " + quote(c.Key()) + " 重复出现", en: "the property " + quote(c.Key()) + " occurs twice"}
	if m.el.Choice {
		f.key, f.zh, f.en = "choice-twice", m.el.Name+"[x] 只能有一种类型", m.el.Name+"[x] may have one type only"
	}
	w.reportAt(c, m.el.Name, f)
}

func (w *walk) missing(n fhir.Node, s *schema, have bits) {
	for i, el := range s.elements {
		if el.Min > 0 && !have.has(i) {
			name := el.Name
			if el.Choice {
				name += "[x]"
			}
			w.reportAt(n, el.Name, finding{code: "required", key: "required-missing", zh: "缺少必填元素 " + s.typ.Name + "." + name,
				en: "the required element " + s.typ.Name + "." + name + " is missing", hint: el.Short})
		}
	}
}

// member checks one member's value: one or many.
func (w *walk) member(parent, c fhir.Node, m *member) {
	if !m.many {
		if c.Kind() == fhir.Array {
			w.reportAt(c, m.el.Name, finding{code: "structure", key: "unexpected-array", zh: m.el.Name + " 不可重复，不能写成数组", en: m.el.Name + " does not repeat: it must not be an array"})
			return
		}
		w.push(m.el.Name, -1)
		w.value(c, w.shadowOf(parent, c, m), m)
		w.pop()
		return
	}
	if c.Kind() != fhir.Array {
		w.reportAt(c, m.el.Name, finding{code: "structure", key: "expected-array", zh: m.el.Name + " 可重复，应写成数组", en: m.el.Name + " repeats: it must be an array", hint: "[…]"})
		return
	}
	if c.Len() == 0 {
		w.reportAt(c, m.el.Name, finding{code: "structure", key: "empty-array", zh: m.el.Name + " 不能为空数组", en: m.el.Name + " must not be an empty array"})
	}
	if m.el.Max > 1 && c.Len() > m.el.Max {
		most := strconv.Itoa(m.el.Max)
		w.reportAt(c, m.el.Name, finding{code: "structure", key: "too-many", zh: m.el.Name + " 最多 " + most + " 个", en: "at most " + most + " " + m.el.Name})
	}
	i, shadow := 0, w.shadowOf(parent, c, m).First()
	for item := c.First(); item.Exists(); item = item.Next() {
		w.push(m.el.Name, i)
		w.value(item, shadow, m)
		w.pop()
		i, shadow = i+1, shadow.Next()
	}
}

// shadowOf finds the `_name` beside a member, if the checks of it need that:
// for a null in an array, and for invariants on primitives.
func (w *walk) shadowOf(parent, c fhir.Node, m *member) fhir.Node {
	if m.prim == nil {
		return fhir.Node{}
	}
	need := w.full && len(m.rules.invariants) > 0
	if c.Kind() == fhir.Array {
		for item := c.First(); item.Exists() && !need; item = item.Next() {
			need = item.Kind() == fhir.Null
		}
	}
	if !need {
		return fhir.Node{}
	}
	return parent.Get("_" + c.Key())
}

// value checks one value, single or in an array; shadow is its `_name` where
// shadowOf found one.
func (w *walk) value(n, shadow fhir.Node, m *member) {
	switch {
	case m.prim != nil:
		w.primitive(n, shadow, m)
	case n.Kind() != fhir.Object:
		w.report(n, finding{code: "structure", key: "expected-object", zh: "此处应为 " + m.typeName() + "（JSON 对象），实际是 " + kindName(n),
			en: "expected " + m.typeName() + " (an object), found " + kindName(n)})
		return
	case m.child == nil:
		w.nestedResource(n, m)
	default:
		w.enter(m.el, m.child.typ)
		w.object(n, m.child)
		w.leave()
	}
	if w.full {
		w.element(n, shadow, m)
	}
}

// nestedResource checks a contained resource, an entry's or a parameter's.
func (w *walk) nestedResource(n fhir.Node, m *member) {
	outer := w.scope
	w.scope = outer.inner(n, m.el.Name == "contained")
	if s := w.resource(n); s != nil && w.full {
		w.resourceRules(n, s)
	}
	w.scope = outer
}

func (m *member) typeName() string {
	if m.ref != nil {
		return m.ref.Code
	}
	return m.el.Name
}

// primitive checks the JSON kind and the lexical form.
func (w *walk) primitive(n, shadow fhir.Node, m *member) {
	p := m.prim
	if n.Kind() == fhir.Null {
		if m.many && shadow.Kind() == fhir.Object {
			return
		}
		w.report(n, finding{code: "structure", key: "null-value", zh: "不允许 null（没有值就省略该元素）", en: "null is not allowed: leave the element out"})
		return
	}
	if n.Kind() != p.kind {
		w.report(n, finding{code: "structure", key: "wrong-type", zh: p.name + " 应写成 JSON " + kindText(p.kind) + "，实际是 " + kindName(n),
			en: p.name + " must be a JSON " + kindText(p.kind) + ", found " + kindName(n), hint: "e.g. " + example(p)})
		return
	}
	if p.valid != nil {
		if s := n.Str(); s == "" || !p.valid(s) {
			w.badFormat(n, p, s)
		}
	}
}

func (w *walk) badFormat(n fhir.Node, p *primitive, s string) {
	if s == "" {
		w.report(n, finding{code: "value", key: "empty-string", zh: "不允许空字符串", en: "an empty string is not allowed"})
		return
	}
	w.report(n, finding{code: "value", key: "bad-" + p.name, zh: quote(s) + " 不是合法的 " + p.name, en: quote(s) + " is not a valid " + p.name, hint: "e.g. " + p.sample})
}

func kindText(k fhir.Kind) string {
	return [...]string{"", "null", "boolean", "number", "string", "array", "object"}[k]
}

func example(p *primitive) string {
	if p.kind == fhir.String {
		return strconv.Quote(p.sample)
	}
	return p.sample
}

// shadow checks `_name`: the id and extensions of a primitive.
func (w *walk) shadow(c fhir.Node, m *member) {
	if m.many != (c.Kind() == fhir.Array) {
		w.reportAt(c, m.el.Name, finding{code: "structure", key: "wrong-type", zh: "_" + m.el.Name + " 应与 " + m.el.Name + " 同为数组或同为对象", en: "_" + m.el.Name + " must be an array exactly if " + m.el.Name + " is one"})
		return
	}
	i := -1
	if m.many {
		i = 0
	}
	for item := range c.Each() {
		w.push(m.el.Name, i)
		switch {
		case item.Kind() == fhir.Object:
			w.enter(m.el, m.ref.Type)
			w.object(item, w.v.element)
			w.leave()
		case item.Kind() != fhir.Null || !m.many:
			w.report(item, finding{code: "structure", key: "expected-object", zh: "_" + m.el.Name + " 应为对象", en: "_" + m.el.Name + " must be an object"})
		}
		w.pop()
		i++
	}
}

// extensionShape is ext-1: a value or extensions, not both, not neither.
func (w *walk) extensionShape(n fhir.Node) {
	nested, value := n.Get("extension").Exists(), false
	for c := n.First(); c.Exists() && !value; c = c.Next() {
		k := c.Key()
		value = len(k) > 5 && (k[:5] == "value" || k[0] == '_' && len(k) > 6 && k[1:6] == "value")
	}
	if nested == value {
		w.report(n, finding{code: "invariant", key: "ext-1", zh: "扩展必须有且只有 value[x] 或 extension 之一", en: "ext-1: an extension must have either extensions or a value, not both"})
	}
}
