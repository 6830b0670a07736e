package xml

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// ToJSON converts a FHIR XML resource to compact JSON. Errors are fault.Invalid
// with line, column and FHIRPath, or fault.TooCostly over xmlread.Default.
func ToJSON(m *definitions.Model, data []byte) ([]byte, error) {
	r, err := xmlread.New(data, xmlread.Default())
	if err != nil {
		return nil, err
	}
	j := &jsonWriter{m: m, r: r, out: make([]byte, 0, len(data))}
	tok, err := j.next()
	if err != nil {
		return nil, err
	}
	if err := j.resource(tok); err != nil {
		return nil, err
	}
	if _, err := j.next(); err != nil { // the end of the document
		return nil, err
	}
	return j.out, nil
}

// ElementToJSON converts a resource that stands somewhere in a parsed document (a
// SOAP body, a test suite).
func ElementToJSON(m *definitions.Model, e *xmlread.Element) ([]byte, error) {
	limits := xmlread.Default()
	limits.Charset = "utf-8"
	r, err := xmlread.New(e.Source(), limits)
	if err != nil {
		return nil, err
	}
	j := &jsonWriter{m: m, r: r, out: make([]byte, 0, e.End-e.Start)}
	for {
		tok, err := r.Next()
		if err != nil {
			return nil, err
		}
		if tok.Start == e.Start && tok.Kind == xmlread.Start {
			err := j.resource(tok)
			return j.out, err
		}
	}
}

// jsonWriter writes JSON while it reads XML: nothing of the document is kept but
// what is written.
type jsonWriter struct {
	m     *definitions.Model
	r     *xmlread.Reader
	out   []byte
	extra []byte // a stack: the members with an underscore of the open lists of primitives
	path  []step
}

// next returns the next start or end of an element, or the end of the document.
func (j *jsonWriter) next() (xmlread.Token, error) {
	for {
		t, err := j.r.Next()
		if err != nil || t.Kind != xmlread.Text && t.Kind != xmlread.Comment {
			return t, err
		}
		if t.Kind == xmlread.Text && strings.TrimSpace(t.Text) != "" {
			return t, j.fail(t, "xml-text", "此处不应有文字（值应写在 value 属性里）", "unexpected text: values belong in the attribute value")
		}
	}
}

// fail makes the error for a token at the current path.
func (j *jsonWriter) fail(t xmlread.Token, key, zh, en string) *fault.Error {
	line, col := j.r.Position(t.Start)
	return fault.New(fault.Invalid, "FHIR XML").With(fault.Issue{Severity: "error", Code: "structure", Key: key,
		Text: zh, TextEN: en, Expression: place(j.path), Line: line, Col: col})
}

// unknown makes the error for a name that the type does not have.
func (j *jsonWriter) unknown(tok xmlread.Token, t *definitions.Type, name string) error {
	err := j.fail(tok, "unknown-property", t.Name+" 没有元素 "+clip(name), t.Name+" has no element "+clip(name))
	err.Issues[0].Hint = fault.DidYouMean(name, t.JSONNames())
	return err
}

func (j *jsonWriter) push(name string, index int) { j.path = append(j.path, step{name, index}) }
func (j *jsonWriter) pop()                        { j.path = j.path[:len(j.path)-1] }

func (j *jsonWriter) resource(tok xmlread.Token) error {
	if len(j.path) == 0 {
		j.push(tok.Name.Local, -1)
		defer j.pop()
	}
	t := j.m.Type(tok.Name.Local)
	if tok.Name.Space != Namespace {
		return j.fail(tok, "xml-namespace", "元素不在 FHIR 命名空间（"+Namespace+"）中", "not in the FHIR namespace")
	}
	if t == nil || t.Kind != definitions.Resource || t.Abstract {
		err := j.fail(tok, "unknown-type", "未知的资源类型："+clip(tok.Name.Local), "unknown resource type")
		err.Issues[0].Hint = fault.DidYouMean(tok.Name.Local, j.m.Resources())
		return err
	}
	j.out = append(append(append(j.out, `{"resourceType":"`...), t.Name...), '"')
	return j.members(tok, t, true)
}

// group is the run of elements of one name that is being written.
type group struct {
	name   string
	el     *definitions.Element
	ref    *definitions.TypeRef
	n      int  // elements so far
	start  int  // of the member in out
	had    bool // a member was there before
	extra  int  // of its underscore member in extra
	values bool // primitives: some element has a value
	extras bool // primitives: some element has an id or extensions
	order  int  // position in the type of this group, or of the one before
}

// members writes the attributes and child elements up to the end of the element
// as members of an object that is open, and closes it; more says whether a member
// is there already.
func (j *jsonWriter) members(tok xmlread.Token, t *definitions.Type, more bool) error {
	for _, a := range tok.Attrs {
		if ignorable(a) {
			continue
		}
		el := t.Element(a.Local)
		if el == nil || !el.Attribute || a.Space != "" {
			return j.unknown(tok, t, a.Local)
		}
		j.key(a.Local, "", &more)
		j.out = fhir.AppendString(j.out, a.Value)
	}
	g := group{order: -1}
	for {
		tok, err := j.next()
		if err != nil {
			return err
		}
		if tok.Kind != xmlread.Start {
			j.finish(&g, &more)
			j.out = append(j.out, '}')
			return nil
		}
		if tok.Name.Local != g.name {
			j.finish(&g, &more)
			el, ref := t.JSONElement(tok.Name.Local)
			g = group{name: tok.Name.Local, el: el, ref: ref, order: g.order}
		}
		index := g.n
		if g.el == nil || g.el.Max == 1 {
			index = -1
		}
		j.push(g.name, index)
		if err := j.check(tok, t, &g); err != nil {
			return err
		}
		if err := j.one(tok, &g, &more); err != nil {
			return err
		}
		j.pop()
		g.n++
	}
}

// check refuses what the definitions do not allow: unknown names, wrong order or
// namespace, repetition.
func (j *jsonWriter) check(tok xmlread.Token, t *definitions.Type, g *group) error {
	name := tok.Name.Local
	switch {
	case g.el == nil || g.el.Attribute || strings.HasPrefix(name, "_"):
		return j.unknown(tok, t, name)
	case tok.Name.Space != Namespace && !(tok.Name.Space == XHTML && g.ref.Code == "xhtml"):
		return j.fail(tok, "xml-namespace", "元素不在 FHIR 命名空间（"+Namespace+"）中", "not in the FHIR namespace")
	case g.n == 0 && g.el.Order <= g.order:
		return j.fail(tok, "xml-order", "元素 "+clip(name)+" 的次序不对或重复", "element out of order")
	case g.el.Max == 1 && g.n > 0:
		return j.fail(tok, "max-cardinality", "元素 "+clip(name)+" 只能出现一次", "element may appear once")
	}
	g.order = g.el.Order
	return nil
}

// ignorable attributes are namespaces and what XML Schema adds.
func ignorable(a xmlread.Attr) bool {
	return a.Space == xmlread.XMLNS || a.Space == "http://www.w3.org/2001/XMLSchema-instance"
}

func (j *jsonWriter) key(name, prefix string, more *bool) {
	if *more {
		j.out = append(j.out, ',')
	}
	*more = true
	j.out = append(append(append(append(j.out, '"'), prefix...), name...), '"', ':')
}

// one writes an element of a group, beginning the member with the first.
func (j *jsonWriter) one(tok xmlread.Token, g *group, more *bool) error {
	if g.n == 0 {
		g.start, g.had, g.extra = len(j.out), *more, len(j.extra)
		j.key(g.name, "", more)
		if g.el.Max != 1 {
			j.out = append(j.out, '[')
		}
	} else {
		j.out = append(j.out, ',')
	}
	switch {
	case g.ref.Code == "xhtml":
		g.values = true
		return j.div(tok)
	case g.ref.Primitive():
		return j.primitive(tok, g)
	case g.ref.Type.Kind == definitions.Resource:
		return j.nested(tok)
	}
	t := g.ref.Type
	if g.el.Content != nil {
		t = g.el.Content
	}
	j.out = append(j.out, '{')
	return j.members(tok, t, false)
}

// nested writes the resource inside an element such as contained.
func (j *jsonWriter) nested(outer xmlread.Token) error {
	for _, a := range outer.Attrs {
		if !ignorable(a) {
			return j.fail(outer, "unknown-property", "未知的属性："+clip(a.Local), "unknown attribute "+clip(a.Local))
		}
	}
	tok, err := j.next()
	if err != nil {
		return err
	}
	if tok.Kind == xmlread.Start {
		if err := j.resource(tok); err != nil {
			return err
		}
		if tok, err = j.next(); err != nil || tok.Kind == xmlread.End {
			return err
		}
	}
	return j.fail(tok, "xml-resource", "此处应恰好有一个资源", "exactly one resource expected")
}

// finish ends the member of a group. Of primitives the values stand in out and the
// rest waits in extra: each side is written if it has anything.
func (j *jsonWriter) finish(g *group, more *bool) {
	if g.n == 0 {
		return
	}
	list := g.el.Max != 1
	if list {
		j.out = append(j.out, ']')
	}
	if !g.ref.Primitive() {
		return
	}
	if !g.values {
		j.out, *more = j.out[:g.start], g.had
	}
	if g.extras {
		j.key(g.name, "_", more)
		if list {
			j.out = append(j.out, '[')
		}
		j.out = append(j.out, j.extra[g.extra:]...)
		if list {
			j.out = append(j.out, ']')
		}
	}
	j.extra = j.extra[:g.extra]
}

// primitive writes the value of an element, and its id and extensions aside; null
// stands for what is missing on either side.
func (j *jsonWriter) primitive(tok xmlread.Token, g *group) error {
	var value, id string
	var hasValue, hasID bool
	for _, a := range tok.Attrs {
		switch {
		case ignorable(a):
		case a.Space == "" && a.Local == "value":
			value, hasValue = a.Value, true
		case a.Space == "" && a.Local == "id":
			id, hasID = a.Value, true
		default:
			return j.fail(tok, "unknown-property", "未知的属性："+clip(a.Local), "unknown attribute "+clip(a.Local))
		}
	}
	if err := j.value(tok, g.ref.Type, value, hasValue); err != nil {
		return err
	}
	at := len(j.out)
	more := false
	j.out = append(j.out, '{')
	if hasID {
		j.key("id", "", &more)
		j.out = fhir.AppendString(j.out, id)
	}
	if err := j.members(xmlread.Token{Start: tok.Start}, g.ref.Type, more); err != nil {
		return err
	}
	if g.n > 0 {
		j.extra = append(j.extra, ',')
	}
	rest := j.out[at:]
	switch {
	case len(rest) > len("{}"):
		j.extra = append(j.extra, rest...)
		g.extras = true
	case !hasValue:
		return j.fail(tok, "ele-1", "元素 "+clip(g.name)+" 既没有值也没有扩展", "element has neither value nor extension")
	default:
		j.extra = append(j.extra, "null"...)
	}
	j.out = j.out[:at]
	g.values = g.values || hasValue
	return nil
}

func (j *jsonWriter) value(tok xmlread.Token, t *definitions.Type, v string, ok bool) error {
	if !ok {
		j.out = append(j.out, "null"...)
		return nil
	}
	switch t.System {
	case "Boolean":
		if v = strings.TrimSpace(v); v != "true" && v != "false" {
			return j.fail(tok, "bad-boolean", "布尔值只能是 true 或 false", "a boolean is true or false")
		}
		j.out = append(j.out, v...)
	case "Integer", "Decimal":
		if v = strings.TrimSpace(v); !isNumber(v) {
			return j.fail(tok, "bad-number", "数字格式错误", "bad number")
		}
		j.out = append(j.out, v...)
	default:
		j.out = fhir.AppendString(j.out, v)
	}
	return nil
}

// isNumber reports whether s is a JSON number.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	digits := func() bool {
		n := len(s)
		s = strings.TrimLeft(s, "0123456789")
		return len(s) < n
	}
	if strings.HasPrefix(s, "0") {
		s = s[1:]
	} else if !digits() {
		return false
	}
	if rest, ok := strings.CutPrefix(s, "."); ok {
		if s = rest; !digits() {
			return false
		}
	}
	if len(s) > 0 && (s[0] == 'e' || s[0] == 'E') {
		s = strings.TrimLeft(s[1:], "+-")
		if !digits() {
			return false
		}
	}
	return s == ""
}

// clip keeps a name from the input fit for a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
