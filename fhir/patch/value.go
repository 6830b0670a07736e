package patch

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// content is a new value for an element.
type content struct {
	key   string // JSON member name; for a choice with the type
	json  []byte // JSON text of the value; nil if there is only an extra
	extra []byte // JSON text for the member with the underscore; nil if none
}

// value reads the part "value" as content for the element of a type. name may be
// the FHIRPath name ("deceased"), also with [x], or the JSON name.
func (o *change) value(t *definitions.Type, name string) (*definitions.Element, content, error) {
	p := o.part("value")
	if !p.Exists() {
		return nil, content{}, o.refuse("patch-form", "操作缺少 value", "operation without value")
	}
	if name == "" {
		return nil, content{}, o.refuse("patch-form", "操作缺少 name", "operation without name")
	}
	return o.content(t, name, p)
}

func (o *change) content(t *definitions.Type, name string, p fhir.Node) (*definitions.Element, content, error) {
	el := t.Element(strings.TrimSuffix(name, "[x]"))
	if el == nil {
		el, _ = t.JSONElement(name)
	}
	if el == nil || name[0] == '_' {
		typ := "?"
		if t != nil {
			typ = t.Name
		}
		return nil, content{}, o.refuse("unknown-property", typ+" 没有元素 "+clip(name), typ+" has no element "+clip(name))
	}
	typ, v := partValue(p)
	switch {
	case p.Get("resource").Exists():
		if el.Types[0].Type == nil || el.Types[0].Type.Kind != definitions.Resource {
			return nil, content{}, o.wrong(el)
		}
		return el, content{key: el.Name, json: p.Get("resource").Raw()}, nil
	case typ != "":
		c, err := o.typed(el, typ, v, p.Get("_value"+typ))
		return el, c, err
	case p.Get("part").Len() > 0:
		c, err := o.anonymous(el, p.Get("part"))
		return el, c, err
	}
	return nil, content{}, o.refuse("patch-form", "value 没有内容", "the value is empty")
}

func (o *change) wrong(el *definitions.Element) error {
	return o.refuse("wrong-type", "值的类型不适合元素 "+el.Path, "the value's type does not suit "+el.Path)
}

// partValue finds value[x] of a parameter: the name of the type as it stands in
// the member ("HumanName", "String") and the value, absent if it has only an
// extension.
func partValue(p fhir.Node) (typ string, v fhir.Node) {
	for m := range p.Children() {
		if rest, ok := strings.CutPrefix(m.Key(), "value"); ok {
			return rest, m
		}
		if rest, ok := strings.CutPrefix(m.Key(), "_value"); ok {
			typ = rest
		}
	}
	return typ, fhir.Node{}
}

// typed makes content from value[x]. Primitives go by their JSON form, so that a
// string may stand for a code, a date or a number; complex types must be allowed.
func (o *change) typed(el *definitions.Element, typ string, v, extra fhir.Node) (content, error) {
	ref := fit(el, typ)
	if ref == nil {
		return content{}, o.wrong(el)
	}
	c := content{key: el.Name, extra: raw(extra)}
	if el.Choice {
		c.key += strings.ToUpper(ref.Code[:1]) + ref.Code[1:]
	}
	if !ref.Primitive() {
		if v.Kind() != fhir.Object {
			return c, o.wrong(el)
		}
		c.json = v.Raw()
		return c, nil
	}
	if !v.Exists() {
		return c, nil
	}
	var ok bool
	if c.json, ok = literal(ref.Type, v); !ok {
		return c, o.wrong(el)
	}
	return c, nil
}

// fit finds the element's type for a value of the type named in value[x].
func fit(el *definitions.Element, typ string) *definitions.TypeRef {
	var primitive *definitions.TypeRef
	for i := range el.Types {
		ref := &el.Types[i]
		if strings.EqualFold(ref.Code, typ) {
			return ref
		}
		if ref.Primitive() && !el.Choice {
			primitive = ref
		}
	}
	if typ[0] >= 'A' && typ[0] <= 'Z' && isPrimitiveName(typ) {
		return primitive
	}
	return nil
}

// isPrimitiveName tells valueString from valueHumanName: the primitive types are
// those whose name has a lower-case first letter, which value[x] hides.
func isPrimitiveName(typ string) bool {
	switch typ {
	case "String", "Code", "Uri", "Url", "Canonical", "Id", "Oid", "Uuid", "Markdown", "Boolean", "Integer", "Decimal",
		"PositiveInt", "UnsignedInt", "Date", "DateTime", "Instant", "Time", "Base64Binary":
		return true
	}
	return false
}

// literal gives a plain value the JSON form of a primitive type.
func literal(t *definitions.Type, v fhir.Node) ([]byte, bool) {
	want := fhir.String
	switch t.System {
	case "Boolean":
		want = fhir.Bool
	case "Integer", "Decimal":
		want = fhir.Number
	}
	k := v.Kind()
	switch {
	case k == want:
		return v.Raw(), true
	case k != fhir.String && k != fhir.Bool && k != fhir.Number:
		return nil, false
	case want == fhir.String:
		return fhir.AppendString(nil, v.Str()), true
	}
	tree, err := fhir.Parse([]byte(v.Str()))
	if err != nil || tree.Root().Kind() != want {
		return nil, false
	}
	return tree.Root().Raw(), true
}

// anonymous makes an object from nested parts: each is an element by name.
func (o *change) anonymous(el *definitions.Element, parts fhir.Node) (content, error) {
	t := el.Content
	if t == nil {
		if len(el.Types) != 1 || el.Types[0].Primitive() {
			return content{}, o.wrong(el)
		}
		t = el.Types[0].Type
	}
	b := &object{}
	for p := range parts.Each() {
		name := p.Get("name").Str()
		if name == "" {
			return content{}, o.refuse("patch-form", "value 的部分缺少 name", "part of the value without name")
		}
		sub, c, err := o.content(t, name, p)
		if err != nil {
			return content{}, err
		}
		if !b.add(sub, c) {
			return content{}, o.refuse("max-cardinality", "元素 "+clip(name)+" 只能出现一次", "element "+clip(name)+" may appear once")
		}
	}
	return content{key: el.Name, json: b.json()}, nil
}

// object gathers members in the order they come.
type object struct{ members []*members }

// members are the contents for one member name.
type members struct {
	list  bool
	items []content
}

// add reports whether the element may take one more.
func (b *object) add(el *definitions.Element, c content) bool {
	for _, m := range b.members {
		if m.items[0].key == c.key {
			m.items = append(m.items, c)
			return m.list
		}
	}
	b.members = append(b.members, &members{list: el.Max != 1, items: []content{c}})
	return true
}

func (b *object) json() []byte {
	out := []byte{'{'}
	for _, m := range b.members {
		out = m.append(out, m.items[0].key, func(c content) []byte { return c.json })
		out = m.append(out, "_"+m.items[0].key, func(c content) []byte { return c.extra })
	}
	return append(out, '}')
}

// append writes one side of the member, nothing if that side is empty.
func (m *members) append(out []byte, key string, side func(content) []byte) []byte {
	some := false
	for _, c := range m.items {
		some = some || side(c) != nil
	}
	if !some {
		return out
	}
	if out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	out = append(fhir.AppendString(out, key), ':')
	if !m.list {
		return append(out, side(m.items[0])...)
	}
	for i, c := range m.items {
		text := side(c)
		if text == nil {
			text = []byte(null)
		}
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		out = append(append(out, sep), text...)
	}
	return append(out, ']')
}
