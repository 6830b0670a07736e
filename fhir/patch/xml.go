package patch

import (
	"bytes"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// maxVisits bounds the pieces of a document that the selectors of one XML Patch
// look at.
const maxVisits = 10_000_000

// XML applies an XML Patch (RFC 5261) to the XML form of a JSON resource and
// returns JSON. Selectors are the subset of XPath of that RFC, without id() and
// processing instructions. All operations apply or none does. Errors are
// fault.Invalid with the place, in the resource and in the patch, or
// fault.TooCostly.
func XML(m *definitions.Model, resource, patch []byte) ([]byte, error) {
	form, err := xml.FromJSON(m, resource)
	if err != nil {
		return nil, err
	}
	patched, err := xmlPatch(form, patch)
	if err != nil {
		return nil, err
	}
	out, err := xml.ToJSON(m, patched)
	if err != nil {
		return nil, unplaced(err)
	}
	return out, nil
}

// unplaced drops lines and columns: they are those of a text nobody saw.
func unplaced(err error) error {
	issues := slices.Clone(fault.IssuesOf(err))
	for i := range issues {
		issues[i].Line, issues[i].Col = 0, 0
	}
	return fault.New(fault.KindOf(err), "the patched resource: %w", err).With(issues...)
}

// xmlPatch applies a patch to a document.
func xmlPatch(document, patch []byte) ([]byte, error) {
	doc, _, err := readTree(document)
	if err != nil {
		return nil, err
	}
	ops, source, err := readTree(patch)
	if err != nil {
		return nil, err
	}
	n, visits := 0, 0
	for _, op := range ops.kids[len(ops.kids)-1].kids {
		if op.kind != xmlread.Start {
			continue
		}
		o := &xmlOperation{doc: doc, op: op, source: source, i: n, visits: &visits}
		if err := o.run(); err != nil {
			return nil, err
		}
		if n++; n > maxChanges {
			return nil, fault.New(fault.TooCostly, "XML patch of more than %d operations", maxChanges)
		}
	}
	if n == 0 {
		return nil, refuse(0, "", "patch-form", "XML Patch 中没有操作（add、replace、remove）", "the XML Patch has no operations (add, replace, remove)")
	}
	var b bytes.Buffer
	doc.write(&b, "")
	return b.Bytes(), nil
}

// xmlOperation is one add, replace or remove.
type xmlOperation struct {
	doc    *node
	op     *node
	source *xmlread.Reader
	i      int
	steps  []xstep
	visits *int
}

// refuse is an error at the operation's place in the patch and in the resource.
func (o *xmlOperation) refuse(key, zh, en string) error {
	about := " (" + o.op.name.Local + " sel=" + clip(o.op.value("sel")) + ")"
	line, col := o.source.Position(o.op.at)
	return fault.New(fault.Invalid, "patch operation %d", o.i).With(fault.Issue{Severity: "error", Code: "processing", Key: key,
		Text: zh + about, TextEN: en + about, Expression: place(o.steps), Line: line, Col: col})
}

func (o *xmlOperation) run() error {
	var ok bool
	if o.steps, ok = parseSelector(o.op, o.op.value("sel")); !ok {
		return o.refuse("patch-path", "sel 不是 RFC 5261 的路径，例如 f:Patient/f:name[1]/f:family/@value", "sel is no path of RFC 5261, e.g. f:Patient/f:name[1]/f:family/@value")
	}
	found := sel(o.doc, o.steps, func() bool { *o.visits++; return *o.visits <= maxVisits })
	switch {
	case *o.visits > maxVisits:
		return fault.New(fault.TooCostly, "the XML patch looks at more than %d elements", maxVisits)
	case len(found) == 0:
		return o.refuse("patch-target", "路径没有选中任何内容", "the path selects nothing")
	case len(found) > 1:
		return o.refuse("patch-target", "路径选中了多处，应只选中一处", "the path selects several places: it must select one")
	}
	switch t := found[0]; o.op.name.Local {
	case "add":
		return o.add(t)
	case "replace":
		return o.replace(t)
	case "remove":
		return o.remove(t)
	}
	return o.refuse("patch-op", "未知的操作", "unknown operation")
}

func (o *xmlOperation) add(t target) error {
	typ, pos := o.op.value("type"), o.op.value("pos")
	if name, ok := strings.CutPrefix(typ, "@"); ok {
		return o.addAttr(t, xmlread.Name{Local: name})
	}
	if prefix, ok := strings.CutPrefix(typ, "namespace::"); ok {
		return o.addAttr(t, xmlread.Name{Space: xmlread.XMLNS, Local: prefix})
	}
	if t.attr >= 0 || typ != "" {
		return o.refuse("patch-form", "add 的 type 应为 @属性名，sel 应选中元素", "the type of add is @name, and sel selects an element")
	}
	switch pos {
	case "", "prepend":
		if t.n.kind != xmlread.Start {
			return o.refuse("patch-target", "只能加在元素之内", "only an element takes content")
		}
		at := 0
		if pos == "" {
			at = len(t.n.kids)
		}
		t.n.put(at, at, o.op.content())
		return nil
	case "before", "after":
		at := slices.Index(t.n.up.kids, t.n)
		if t.n.up.kind != xmlread.Start {
			return o.refuse("patch-root", "资源之外不能有内容", "nothing stands beside the resource")
		}
		if pos == "after" {
			at++
		}
		t.n.up.put(at, at, o.op.content())
		return nil
	}
	return o.refuse("patch-form", "pos 应为 before、after 或 prepend", "pos is before, after or prepend")
}

func (o *xmlOperation) addAttr(t target, name xmlread.Name) error {
	switch {
	case t.attr >= 0 || t.n.kind != xmlread.Start:
		return o.refuse("patch-target", "只有元素有属性", "only elements have attributes")
	case t.n.attr(name.Space, name.Local) >= 0:
		return o.refuse("patch-exists", "属性已存在，应使用 replace", "the attribute is there already: use replace")
	}
	t.n.attrs = append(t.n.attrs, xmlread.Attr{Name: name, Value: o.op.inner()})
	return nil
}

func (o *xmlOperation) replace(t target) error {
	if t.attr >= 0 {
		t.n.attrs[t.attr].Value = o.op.inner()
		return nil
	}
	with := o.op.content()
	if t.n.kind != xmlread.Text && (len(with) != 1 || with[0].kind != t.n.kind) {
		return o.refuse("patch-value", "replace 的内容应是一个同类的节点", "replace takes one node of the same kind")
	}
	at := slices.Index(t.n.up.kids, t.n)
	t.n.up.put(at, at+1, with)
	return nil
}

func (o *xmlOperation) remove(t target) error {
	switch {
	case t.attr >= 0:
		t.n.attrs = slices.Delete(t.n.attrs, t.attr, t.attr+1)
	case t.n.up.kind != xmlread.Start:
		return o.refuse("patch-root", "不能移除整个资源，应使用 DELETE", "the resource itself cannot be removed: use DELETE")
	default:
		at := slices.Index(t.n.up.kids, t.n)
		t.n.up.put(at, at+1, nil)
	}
	return nil
}

// put puts pieces in the place of kids[from:to]. Elements without a namespace
// are FHIR's, for a patch need not declare it.
func (n *node) put(from, to int, pieces []*node) {
	for _, p := range pieces {
		p.adopt(n)
	}
	n.kids = slices.Replace(n.kids, from, to, pieces...)
}

func (n *node) adopt(up *node) {
	n.up = up
	if n.kind == xmlread.Start && n.name.Space == "" {
		n.name.Space = fhirSpace
	}
	for _, k := range n.kids {
		k.adopt(n)
	}
}
