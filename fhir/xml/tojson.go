package xml

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// ToJSON converts a FHIR XML resource to compact JSON. Errors are fault.Invalid
// with line, column and FHIRPath, or fault.TooCostly over xmlread.Default.
func ToJSON(m *definitions.Model, data []byte) ([]byte, error) {
	return toJSON(&jsonWriter{m: m}, data)
}

// ToJSONAnyOrder is ToJSON for documents whose elements may stand in any order,
// as some test suites have them. Those that may repeat need not be neighbours.
func ToJSONAnyOrder(m *definitions.Model, data []byte) ([]byte, error) {
	return toJSON(&jsonWriter{m: m, anyOrder: true}, data)
}

func toJSON(j *jsonWriter, data []byte) ([]byte, error) {
	doc, err := xmlread.Parse(data, xmlread.Default())
	if err == nil {
		err = j.resource(doc.Root)
	}
	if err != nil {
		return nil, err
	}
	return j.out, nil
}

// ElementToJSON converts a resource that stands somewhere in a parsed document (a
// SOAP body, a test suite).
func ElementToJSON(m *definitions.Model, e *xmlread.Element) ([]byte, error) {
	j := &jsonWriter{m: m, out: make([]byte, 0, e.End-e.Start)}
	if err := j.resource(e); err != nil {
		return nil, err
	}
	return j.out, nil
}

type jsonWriter struct {
	m        *definitions.Model
	out      []byte
	anyOrder bool // put elements in the order of the definitions first
}

// arrange puts the children of e in the order of the definitions.
func arrange(e *xmlread.Element, t *definitions.Type) {
	slices.SortStableFunc(e.Children, func(a, b *xmlread.Element) int {
		x, _ := t.JSONElement(a.Name.Local)
		y, _ := t.JSONElement(b.Name.Local)
		if x == nil || y == nil {
			return 0
		}
		return x.Order - y.Order
	})
}

// fail makes the error for a place in the document.
func fail(e *xmlread.Element, key, zh, en string) *fault.Error {
	line, col := e.Position()
	return fault.New(fault.Invalid, "FHIR XML").With(fault.Issue{Severity: "error", Code: "structure", Key: key,
		Text: zh, TextEN: en, Expression: place(e), Line: line, Col: col})
}

// unknown makes the error for a name that the type does not have.
func unknown(e *xmlread.Element, t *definitions.Type, name string) error {
	err := fail(e, "unknown-property", t.Name+" 没有元素 "+clip(name), t.Name+" has no element "+clip(name))
	err.Issues[0].Hint = fault.DidYouMean(name, t.JSONNames())
	return err
}

// place is the FHIRPath of an element: names with indexes from 0 where there are
// several.
func place(e *xmlread.Element) string {
	if e.Parent == nil {
		return e.Name.Local
	}
	n, same := 0, 0
	for c := range e.Parent.All(e.Name.Local) {
		if c == e {
			n = same
		}
		same++
	}
	step := e.Name.Local
	if same > 1 {
		step += "[" + strconv.Itoa(n) + "]"
	}
	return place(e.Parent) + "." + step
}

func (j *jsonWriter) resource(e *xmlread.Element) error {
	t := j.m.Type(e.Name.Local)
	if e.Name.Space != Namespace {
		return fail(e, "xml-namespace", "元素不在 FHIR 命名空间（"+Namespace+"）中", "not in the FHIR namespace")
	}
	if t == nil || t.Kind != definitions.Resource || t.Abstract {
		err := fail(e, "unknown-type", "未知的资源类型："+clip(e.Name.Local), "unknown resource type")
		err.Issues[0].Hint = fault.DidYouMean(e.Name.Local, j.m.Resources())
		return err
	}
	j.out = append(append(append(j.out, `{"resourceType":"`...), t.Name...), '"')
	if err := j.members(e, t, true); err != nil {
		return err
	}
	j.out = append(j.out, '}')
	return nil
}

// members writes the attributes and child elements of e as members of an object
// that is open; more says whether a member is there already.
func (j *jsonWriter) members(e *xmlread.Element, t *definitions.Type, more bool) error {
	if err := blank(e); err != nil {
		return err
	}
	for _, a := range e.Attrs {
		if ignorable(a) {
			continue
		}
		el := t.Element(a.Local)
		if el == nil || !el.Attribute || a.Space != "" {
			return fail(e, "unknown-property", "未知的属性："+clip(a.Local), "unknown attribute "+clip(a.Local))
		}
		j.key(a.Local, "", &more)
		j.out = fhir.AppendString(j.out, a.Value)
	}
	if j.anyOrder {
		arrange(e, t)
	}
	last := -1
	for i := 0; i < len(e.Children); {
		n := i + 1
		for n < len(e.Children) && e.Children[n].Name == e.Children[i].Name {
			n++
		}
		group := e.Children[i:n]
		el, ref := t.JSONElement(group[0].Name.Local)
		if err := check(group, t, el, last); err != nil {
			return err
		}
		last = el.Order
		if err := j.group(group, el, ref, &more); err != nil {
			return err
		}
		i = n
	}
	return nil
}

// check refuses what the definitions do not allow: unknown names, wrong order or
// namespace, repetition.
func check(group []*xmlread.Element, t *definitions.Type, el *definitions.Element, last int) error {
	e := group[0]
	switch {
	case el == nil || el.Attribute || strings.HasPrefix(e.Name.Local, "_"):
		return unknown(e, t, e.Name.Local)
	case e.Name.Space != Namespace && !(e.Name.Space == XHTML && e.Name.Local == "div"):
		return fail(e, "xml-namespace", "元素不在 FHIR 命名空间（"+Namespace+"）中", "not in the FHIR namespace")
	case el.Order <= last:
		return fail(e, "xml-order", "元素 "+clip(e.Name.Local)+" 的次序不对或重复", "element out of order")
	case el.Max == 1 && len(group) > 1:
		return fail(group[1], "max-cardinality", "元素 "+clip(e.Name.Local)+" 只能出现一次", "element may appear once")
	}
	return nil
}

// blank refuses text between elements.
func blank(e *xmlread.Element) error {
	if strings.TrimSpace(e.Text) != "" {
		return fail(e, "xml-text", "此处不应有文字（值应写在 value 属性里）", "unexpected text: values belong in the attribute value")
	}
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

// group writes the elements of one name.
func (j *jsonWriter) group(group []*xmlread.Element, el *definitions.Element, ref *definitions.TypeRef, more *bool) error {
	if ref.Primitive() {
		return j.primitives(group, el, ref.Type, more)
	}
	j.key(group[0].Name.Local, "", more)
	if el.Max != 1 {
		j.out = append(j.out, '[')
	}
	for i, e := range group {
		if i > 0 {
			j.out = append(j.out, ',')
		}
		if err := j.complex(e, el, ref); err != nil {
			return err
		}
	}
	if el.Max != 1 {
		j.out = append(j.out, ']')
	}
	return nil
}

func (j *jsonWriter) complex(e *xmlread.Element, el *definitions.Element, ref *definitions.TypeRef) error {
	if ref.Type.Kind == definitions.Resource {
		if err := blank(e); err != nil {
			return err
		}
		if len(e.Children) != 1 {
			return fail(e, "xml-resource", "此处应恰好有一个资源", "exactly one resource expected")
		}
		return j.resource(e.Children[0])
	}
	t := ref.Type
	if el.Content != nil {
		t = el.Content
	}
	j.out = append(j.out, '{')
	if err := j.members(e, t, false); err != nil {
		return err
	}
	j.out = append(j.out, '}')
	return nil
}

// primitives writes values under the name, ids and extensions under the name with
// an underscore; in lists null stands for what is missing on either side.
func (j *jsonWriter) primitives(group []*xmlread.Element, el *definitions.Element, t *definitions.Type, more *bool) error {
	name := group[0].Name.Local
	if t.Name == "xhtml" {
		j.key(name, "", more)
		return j.div(group[0])
	}
	values, extras := false, false
	for _, e := range group {
		_, ok := attribute(e, "value")
		values = values || ok
		_, ok = attribute(e, "id")
		extras = extras || ok || len(e.Children) > 0
	}
	if !values && !extras {
		return fail(group[0], "ele-1", "元素 "+clip(name)+" 既没有值也没有扩展", "element has neither value nor extension")
	}
	if values {
		j.key(name, "", more)
		if err := j.list(group, el, func(e *xmlread.Element) error { return j.value(e, t) }); err != nil {
			return err
		}
	}
	if !extras {
		for _, e := range group {
			if err := j.stray(e); err != nil {
				return err
			}
		}
		return nil
	}
	j.key(name, "_", more)
	return j.list(group, el, func(e *xmlread.Element) error { return j.extra(e, t) })
}

func (j *jsonWriter) list(group []*xmlread.Element, el *definitions.Element, one func(*xmlread.Element) error) error {
	if el.Max == 1 {
		return one(group[0])
	}
	for i, e := range group {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		j.out = append(j.out, sep)
		if err := one(e); err != nil {
			return err
		}
	}
	j.out = append(j.out, ']')
	return nil
}

// stray refuses attributes other than id and value, and text.
func (j *jsonWriter) stray(e *xmlread.Element) error {
	for _, a := range e.Attrs {
		if !ignorable(a) && (a.Space != "" || a.Local != "value" && a.Local != "id") {
			return fail(e, "unknown-property", "未知的属性："+clip(a.Local), "unknown attribute "+clip(a.Local))
		}
	}
	return blank(e)
}

func (j *jsonWriter) value(e *xmlread.Element, t *definitions.Type) error {
	v, ok := attribute(e, "value")
	if !ok {
		j.out = append(j.out, "null"...)
		return nil
	}
	switch t.System {
	case "Boolean":
		if v = strings.TrimSpace(v); v != "true" && v != "false" {
			return fail(e, "bad-boolean", "布尔值只能是 true 或 false", "a boolean is true or false")
		}
		j.out = append(j.out, v...)
	case "Integer", "Decimal":
		if v = strings.TrimSpace(v); !isNumber(v) {
			return fail(e, "bad-number", "数字格式错误", "bad number")
		}
		j.out = append(j.out, v...)
	default:
		j.out = fhir.AppendString(j.out, v)
	}
	return nil
}

// extra writes the id and extensions of a primitive, null if it has none.
func (j *jsonWriter) extra(e *xmlread.Element, t *definitions.Type) error {
	if err := j.stray(e); err != nil {
		return err
	}
	id, hasID := attribute(e, "id")
	if !hasID && len(e.Children) == 0 {
		j.out = append(j.out, "null"...)
		return nil
	}
	j.out = append(j.out, '{')
	more := false
	if hasID {
		j.key("id", "", &more)
		j.out = fhir.AppendString(j.out, id)
	}
	if n := len(e.Children); n > 0 {
		el, ref := t.JSONElement("extension")
		for _, c := range e.Children {
			if c.Name.Local != "extension" || c.Name.Space != Namespace {
				return fail(c, "unknown-property", "基本类型只能含扩展", "a primitive may only hold extensions")
			}
		}
		if err := j.group(e.Children, el, ref, &more); err != nil {
			return err
		}
	}
	j.out = append(j.out, '}')
	return nil
}

func attribute(e *xmlread.Element, local string) (string, bool) {
	for i := range e.Attrs {
		if e.Attrs[i].Local == local && e.Attrs[i].Space == "" {
			return e.Attrs[i].Value, true
		}
	}
	return "", false
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

// div writes narrative as it stands, so long as it can stand alone.
func (j *jsonWriter) div(e *xmlread.Element) error {
	raw := e.Raw()
	if !alone(e) {
		var err error
		if raw, err = restate(e); err != nil {
			return err
		}
	}
	j.out = fhir.AppendString(j.out, unsafe.String(&raw[0], len(raw)))
	return nil
}

// alone reports whether the div declares its namespace itself and uses no prefix.
func alone(e *xmlread.Element) bool {
	declared := false
	for _, a := range e.Attrs {
		declared = declared || a.Space == xmlread.XMLNS && a.Local == "" && a.Value == XHTML
	}
	return declared && plain(e)
}

func plain(e *xmlread.Element) bool {
	if e.Name.Prefix != "" {
		return false
	}
	for _, a := range e.Attrs {
		if a.Prefix != "" && a.Prefix != "xml" && !(a.Space == xmlread.XMLNS && a.Local == "") {
			return false
		}
	}
	for _, c := range e.Children {
		if !plain(c) {
			return false
		}
	}
	return true
}

// restate writes a div that leans on namespaces from outside anew, with the XHTML
// namespace as its default and no prefixes.
func restate(e *xmlread.Element) ([]byte, error) {
	limits := xmlread.Default()
	limits.Charset = "utf-8"
	r, err := xmlread.New(e.Source(), limits)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for {
		t, err := r.Next()
		if err != nil {
			return nil, err
		}
		if t.Start < e.Start || b.Len() == 0 && t.Kind != xmlread.Start {
			continue
		}
		if t.Start >= e.End && t.Kind != xmlread.End || t.Kind == xmlread.EOF {
			return b.Bytes(), nil
		}
		restateToken(&b, t, t.Start == e.Start)
		if t.Kind == xmlread.End && t.End >= e.End {
			return b.Bytes(), nil
		}
	}
}

func restateToken(b *bytes.Buffer, t xmlread.Token, root bool) {
	switch t.Kind {
	case xmlread.Start:
		b.WriteString("<" + t.Name.Local)
		if root {
			b.WriteString(` xmlns="` + XHTML + `"`)
		}
		for _, a := range t.Attrs {
			if a.Space == xmlread.XMLNS {
				continue
			}
			b.WriteByte(' ')
			if a.Prefix == "xml" {
				b.WriteString("xml:")
			}
			b.WriteString(a.Local + `="`)
			b.Write(appendEscaped(nil, a.Value))
			b.WriteByte('"')
		}
		b.WriteByte('>')
	case xmlread.End:
		b.WriteString("</" + t.Name.Local + ">")
	case xmlread.Text:
		b.Write(appendEscaped(nil, t.Text))
	}
}

// clip keeps a name from the input fit for a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
