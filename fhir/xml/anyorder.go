package xml

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// ToJSONAnyOrder is ToJSON for documents whose elements may stand in any order,
// as some test suites have them. Those that may repeat need not be neighbours.
// Errors beyond the order carry no line.
func ToJSONAnyOrder(m *definitions.Model, data []byte) ([]byte, error) {
	out, err := ToJSON(m, data)
	if !slices.ContainsFunc(fault.IssuesOf(err), func(is fault.Issue) bool { return is.Key == "xml-order" }) {
		return out, err
	}
	doc, err := xmlread.Parse(data, xmlread.Default())
	if err != nil {
		return nil, err
	}
	a := &arranger{m: m}
	if err := a.element(doc.Root, m.Type(doc.Root.Name.Local)); err != nil {
		return nil, err
	}
	out, err = ToJSON(m, a.out)
	for i := range fault.IssuesOf(err) {
		fault.IssuesOf(err)[i].Line, fault.IssuesOf(err)[i].Col = 0, 0 // of the arranged text
	}
	return out, err
}

// arranger writes a document again with elements in the order of the definitions.
type arranger struct {
	m   *definitions.Model
	out []byte
}

func (a *arranger) element(e *xmlread.Element, t *definitions.Type) error {
	if e.Name.Space == XHTML {
		raw, err := restate(e.Source(), e.Start, e.End)
		a.out = append(a.out, raw...)
		return err
	}
	a.out = append(append(a.out, '<'), e.Name.Local...)
	a.out = append(appendEscaped(append(a.out, ` xmlns="`...), e.Name.Space), '"')
	for _, at := range e.Attrs {
		if !ignorable(at) {
			a.out = append(append(append(a.out, ' '), at.Local...), `="`...)
			a.out = append(appendEscaped(a.out, at.Value), '"')
		}
	}
	a.out = append(a.out, '>')
	if strings.TrimSpace(e.Text) != "" {
		a.out = appendEscaped(a.out, e.Text)
	}
	slices.SortStableFunc(e.Children, func(x, y *xmlread.Element) int {
		i, _ := t.JSONElement(x.Name.Local)
		k, _ := t.JSONElement(y.Name.Local)
		if i == nil || k == nil {
			return 0
		}
		return i.Order - k.Order
	})
	for _, c := range e.Children {
		if err := a.element(c, a.inside(t, c.Name.Local)); err != nil {
			return err
		}
	}
	a.out = append(append(append(a.out, "</"...), e.Name.Local...), '>')
	return nil
}

// inside is the type of a child; the child of an element that holds a resource is
// that resource.
func (a *arranger) inside(t *definitions.Type, name string) *definitions.Type {
	el, ref := t.JSONElement(name)
	switch {
	case el == nil:
		return a.m.Type(name)
	case el.Content != nil:
		return el.Content
	case ref.Type.Kind == definitions.Resource:
		return nil
	}
	return ref.Type
}
