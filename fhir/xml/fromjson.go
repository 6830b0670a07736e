package xml

import (
	"cmp"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Declaration begins every document FromJSON writes.
const Declaration = `<?xml version="1.0" encoding="UTF-8"?>`

// FromJSON converts a JSON resource to FHIR XML in UTF-8, without indentation.
// Errors are fault.Invalid with line, column and FHIRPath.
func FromJSON(m *definitions.Model, data []byte) ([]byte, error) {
	tree, err := fhir.Parse(data)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(data)+len(data)/2)
	return AppendXML(append(out, Declaration...), m, tree.Root())
}

// AppendXML appends a parsed resource as an XML element, without a declaration.
func AppendXML(dst []byte, m *definitions.Model, resource fhir.Node) ([]byte, error) {
	w := &xmlWriter{m: m, out: dst}
	if err := w.resource(resource, true); err != nil {
		return nil, err
	}
	return w.out, nil
}

type xmlWriter struct {
	m    *definitions.Model
	out  []byte
	todo []member // a stack: the members of the objects being written
	path []step
}

type step struct {
	name  string
	index int // -1 = not in a list
}

// member is a JSON member with its definition; extra is its twin with the
// underscore.
type member struct {
	name         string
	value, extra fhir.Node
	el           *definitions.Element
	ref          *definitions.TypeRef
}

func (w *xmlWriter) fail(n fhir.Node, key, zh, en string) *fault.Error {
	line, col := n.Tree().Position(n.KeyOffset())
	return fault.New(fault.Invalid, "FHIR JSON").With(fault.Issue{Severity: "error", Code: "structure", Key: key,
		Text: zh, TextEN: en, Expression: place(w.path), Line: line, Col: col})
}

// place is the FHIRPath of the steps.
func place(path []step) string {
	var b strings.Builder
	for i, s := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(clip(s.name))
		if s.index >= 0 {
			b.WriteString("[" + itoa(s.index) + "]")
		}
	}
	return b.String()
}

func (w *xmlWriter) push(name string, index int) { w.path = append(w.path, step{name, index}) }
func (w *xmlWriter) pop()                        { w.path = w.path[:len(w.path)-1] }

func (w *xmlWriter) resource(n fhir.Node, root bool) error {
	name := n.ResourceType()
	t := w.m.Type(name)
	if !w.m.IsResource(name) {
		if n.Kind() != fhir.Object {
			return w.absent(n)
		}
		err := w.fail(n, "unknown-type", "未知的资源类型："+clip(name), "unknown resource type")
		err.Issues[0].Hint = fault.DidYouMean(name, w.m.Resources())
		return err
	}
	if root {
		w.push(name, -1)
		defer w.pop()
	}
	w.out = append(append(w.out, '<'), name...)
	if root {
		w.out = append(w.out, ` xmlns="`+Namespace+`"`...)
	}
	return w.body(n, t, name)
}

func (w *xmlWriter) absent(n fhir.Node) error {
	if !n.Exists() {
		return fault.New(fault.Invalid, "FHIR JSON: no resource")
	}
	return w.fail(n, "wrong-kind", "此处应为 JSON 对象", "a JSON object is expected")
}

// body writes attributes and content of an element whose name is out, and closes
// it.
func (w *xmlWriter) body(n fhir.Node, t *definitions.Type, name string) error {
	base := len(w.todo)
	defer func() { w.todo = w.todo[:base] }()
	if err := w.collect(n, t, base); err != nil {
		return err
	}
	members := w.todo[base:]
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.el.Order, b.el.Order) })
	rest := 0
	for _, m := range members {
		if !m.el.Attribute {
			members[rest] = m
			rest++
			continue
		}
		if m.value.Kind() != fhir.String || m.extra.Exists() {
			return w.fail(m.value, "wrong-kind", "此处应为字符串", "a string is expected")
		}
		w.out = append(append(append(w.out, ' '), m.name...), '=', '"')
		if err := w.text(m.value); err != nil {
			return err
		}
		w.out = append(w.out, '"')
	}
	if rest == 0 {
		w.out = append(w.out, '/', '>')
		return nil
	}
	w.out = append(w.out, '>')
	for i := range rest {
		if i > 0 && w.todo[base+i].el == w.todo[base+i-1].el {
			return w.fail(w.todo[base+i].value, "choice", "同一元素只能有一种类型的值", "a choice element may have one type only")
		}
		if err := w.member(w.todo[base+i]); err != nil {
			return err
		}
	}
	w.close(name)
	return nil
}

func (w *xmlWriter) close(name string) {
	w.out = append(append(append(w.out, '<', '/'), name...), '>')
}

// collect looks up the members of an object and joins x with _x.
func (w *xmlWriter) collect(n fhir.Node, t *definitions.Type, base int) error {
	if n.Kind() != fhir.Object {
		return w.absent(n)
	}
	for c := range n.Children() {
		key := c.Key()
		if key == "resourceType" && t.Kind == definitions.Resource || empty(c) {
			continue
		}
		el, ref := t.JSONElement(key)
		if el == nil {
			err := w.fail(c, "unknown-property", t.Name+" 没有元素 "+clip(key), t.Name+" has no element "+clip(key))
			err.Issues[0].Hint = fault.DidYouMean(key, t.JSONNames())
			return err
		}
		name, isExtra := strings.CutPrefix(key, "_")
		m := w.find(base, name)
		if m == nil {
			w.todo = append(w.todo, member{name: name, el: el, ref: ref})
			m = &w.todo[len(w.todo)-1]
		}
		slot := &m.value
		if isExtra {
			slot = &m.extra
		}
		if slot.Exists() {
			return w.fail(c, "duplicate-property", "属性重复："+clip(key), "duplicate member")
		}
		*slot = c
	}
	return nil
}

func (w *xmlWriter) find(base int, name string) *member {
	for i := base; i < len(w.todo); i++ {
		if w.todo[i].name == name {
			return &w.todo[i]
		}
	}
	return nil
}

// empty reports whether a value is nothing XML could hold: null or [].
func empty(n fhir.Node) bool {
	return n.Kind() == fhir.Null || n.Kind() == fhir.Array && n.Len() == 0
}

// member writes all values of a member.
func (w *xmlWriter) member(m member) error {
	if m.el.Max == 1 {
		if n := first(m); n.Kind() == fhir.Array {
			return w.fail(n, "wrong-kind", "元素 "+m.name+" 不能是数组", "element "+m.name+" is not an array")
		}
		w.push(m.name, -1)
		err := w.one(m, m.value, m.extra)
		w.pop()
		return err
	}
	for _, n := range []fhir.Node{m.value, m.extra} {
		if n.Exists() && n.Kind() != fhir.Array {
			return w.fail(n, "wrong-kind", "元素 "+m.name+" 应为数组", "element "+m.name+" must be an array")
		}
	}
	v, x := m.value.First(), m.extra.First()
	for i := 0; v.Exists() || x.Exists(); i++ {
		w.push(m.name, i)
		if err := w.one(m, v, x); err != nil {
			return err
		}
		w.pop()
		v, x = v.Next(), x.Next()
	}
	return nil
}

func first(m member) fhir.Node {
	if m.value.Exists() {
		return m.value
	}
	return m.extra
}

// one writes one element.
func (w *xmlWriter) one(m member, v, x fhir.Node) error {
	switch {
	case !m.ref.Primitive():
		return w.complex(m, v)
	case m.ref.Code == "xhtml":
		return w.div(v)
	}
	w.out = append(append(w.out, '<'), m.name...)
	if id := x.Get("id"); id.Exists() {
		w.out = append(w.out, ` id="`...)
		if err := w.text(id); err != nil {
			return err
		}
		w.out = append(w.out, '"')
	}
	switch v.Kind() {
	case fhir.None, fhir.Null:
	case fhir.Array, fhir.Object:
		return w.fail(v, "wrong-kind", "元素 "+m.name+" 应为简单值", "element "+m.name+" must be a plain value")
	default:
		if v.Kind() != jsonKind(m.ref.Type) {
			return w.fail(v, "wrong-kind", "元素 "+m.name+" 的 JSON 类型不对", "wrong JSON type for "+m.name)
		}
		w.out = append(w.out, ` value="`...)
		if err := w.text(v); err != nil {
			return err
		}
		w.out = append(w.out, '"')
	}
	return w.extensions(m, x)
}

// jsonKind is the JSON kind of a primitive type's values.
func jsonKind(t *definitions.Type) fhir.Kind {
	switch t.System {
	case "Boolean":
		return fhir.Bool
	case "Integer", "Decimal":
		return fhir.Number
	}
	return fhir.String
}

// extensions writes the rest of a primitive element.
func (w *xmlWriter) extensions(m member, x fhir.Node) error {
	if !x.Exists() || x.Kind() == fhir.Null {
		w.out = append(w.out, '/', '>')
		return nil
	}
	if x.Kind() != fhir.Object {
		return w.absent(x)
	}
	for c := range x.Children() {
		if k := c.Key(); k != "id" && k != "extension" {
			return w.fail(c, "unknown-property", "基本类型只能含 id 和扩展", "a primitive may only hold id and extensions")
		}
	}
	ext := x.Get("extension")
	if empty(ext) || !ext.Exists() {
		w.out = append(w.out, '/', '>')
		return nil
	}
	w.out = append(w.out, '>')
	el, ref := m.ref.Type.JSONElement("extension")
	if err := w.member(member{name: "extension", value: ext, el: el, ref: ref}); err != nil {
		return err
	}
	w.close(m.name)
	return nil
}

func (w *xmlWriter) complex(m member, v fhir.Node) error {
	if v.Kind() != fhir.Object {
		return w.absent(v)
	}
	w.out = append(append(w.out, '<'), m.name...)
	if m.ref.Type.Kind == definitions.Resource {
		w.out = append(w.out, '>')
		if err := w.resource(v, false); err != nil {
			return err
		}
		w.close(m.name)
		return nil
	}
	t := m.ref.Type
	if m.el.Content != nil {
		t = m.el.Content
	}
	return w.body(v, t, m.name)
}

// text writes a value as an attribute's text. Control characters cannot be said in
// XML at all.
func (w *xmlWriter) text(n fhir.Node) error {
	if k := n.Kind(); k == fhir.Array || k == fhir.Object || k == fhir.Null {
		return w.fail(n, "wrong-kind", "此处应为简单值", "a plain value is expected")
	}
	s := n.Str()
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\n' && c != '\r' && c != '\t' {
			return w.fail(n, "xml-char", "文字含 XML 不允许的控制字符", "control character that XML cannot hold")
		}
	}
	if strings.Contains(s, "\uFFFE") || strings.Contains(s, "\uFFFF") {
		return w.fail(n, "xml-char", "文字含 XML 不允许的字符", "character that XML cannot hold")
	}
	w.out = appendEscaped(w.out, s)
	return nil
}

// appendEscaped appends text fit for an attribute or for character data.
func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := range len(s) {
		var esc string
		switch s[i] {
		case '&':
			esc = "&amp;"
		case '<':
			esc = "&lt;"
		case '>':
			esc = "&gt;"
		case '"':
			esc = "&quot;"
		case '\n':
			esc = "&#10;"
		case '\r':
			esc = "&#13;"
		case '\t':
			esc = "&#9;"
		default:
			continue
		}
		dst = append(append(dst, s[start:i]...), esc...)
		start = i + 1
	}
	return append(dst, s[start:]...)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
