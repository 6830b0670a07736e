// Package subset cuts resources down to what _summary and _elements ask for
// (https://hl7.org/fhir/R4/search.html#summary), with the tag that says so. The
// members kept stay byte for byte.
package subset

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// subsetted is the tag of an incomplete resource (search.html#summary).
const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

// Elements keeps the elements named, comma-separated ("name", "Patient.name"), and
// those that may not be left out. typ is the resource's type.
func Elements(root fhir.Node, typ *definitions.Type, elements string) []byte {
	names := wanted(elements, root.ResourceType())
	return subset(root, func(n fhir.Node, e *definitions.Element) bool {
		return e != nil && (slices.Contains(names, e.Name) || slices.Contains(names, n.Key()) || mandatory(e))
	}, typ, false)
}

// Unknown returns the first element named that the type does not have, "" if it
// has all of them.
func Unknown(typ *definitions.Type, elements string) string {
	for _, name := range wanted(elements, typ.Name) {
		if el, _ := typ.JSONElement(name); el == nil && typ.Element(name) == nil && name != "" && name != "resourceType" {
			return name
		}
	}
	return ""
}

// Summary keeps what a form of _summary shows: true (the elements of the summary),
// text (the narrative and what is required) or data (all but the narrative).
func Summary(root fhir.Node, typ *definitions.Type, form string) []byte {
	switch form {
	case "text":
		return subset(root, func(n fhir.Node, e *definitions.Element) bool { return n.Key() == "text" || e != nil && mandatory(e) }, typ, false)
	case "data":
		return subset(root, func(n fhir.Node, _ *definitions.Element) bool { return n.Key() != "text" }, typ, false)
	}
	return subset(root, func(_ fhir.Node, e *definitions.Element) bool { return e != nil && (e.Summary || mandatory(e)) }, typ, true)
}

// mandatory reports whether an element may not be left out: required, or one
// that changes the meaning of others.
func mandatory(e *definitions.Element) bool { return e.Min > 0 || e.Modifier }

// wanted returns the element names of _elements for a type: "name",
// "Patient.name" and "Patient.name.given" all ask for name.
func wanted(elements, typ string) []string {
	var names []string
	for name := range strings.SplitSeq(elements, ",") {
		name = strings.TrimSpace(name)
		head, rest, dotted := strings.Cut(name, ".")
		switch {
		case dotted && head != "" && head[0] >= 'A' && head[0] <= 'Z':
			if head != typ && head != "*" {
				continue
			}
			name, _, _ = strings.Cut(rest, ".")
		case dotted:
			name = head
		}
		names = append(names, name)
	}
	return names
}

// subset writes the members of a resource that keep says, always with its type,
// id and meta, tagged SUBSETTED. With deep the same choice is made inside
// backbone elements.
func subset(root fhir.Node, keep func(fhir.Node, *definitions.Element) bool, typ *definitions.Type, deep bool) []byte {
	out := append(make([]byte, 0, len(root.Raw())+128), '{')
	tagged := false
	for n := range root.Children() {
		switch key := n.Key(); key {
		case "meta":
			out = comma(out, '{')
			out = append(out, `"meta":`...)
			out = append(out, tag(n)...)
			tagged = true
			continue
		case "resourceType", "id":
			out = member(out, n)
			continue
		}
		e, _ := typ.JSONElement(n.Key())
		if !keep(n, e) {
			continue
		}
		if deep && e != nil && e.Content != nil && e.Content.Kind == definitions.Backbone {
			out = comma(out, '{')
			out = append(fhir.AppendString(out, n.Key()), ':')
			out = inner(out, n, keep, e.Content)
			continue
		}
		out = member(out, n)
	}
	if !tagged {
		out = append(comma(out, '{'), `"meta":{"tag":[`+subsetted+`]}`...)
	}
	return append(out, '}')
}

// inner writes a backbone element, or a list of them, with the members kept.
func inner(out []byte, n fhir.Node, keep func(fhir.Node, *definitions.Element) bool, typ *definitions.Type) []byte {
	if n.Kind() == fhir.Array {
		out = append(out, '[')
		for c := range n.Children() {
			out = inner(comma(out, '['), c, keep, typ)
		}
		return append(out, ']')
	}
	if n.Kind() != fhir.Object {
		return append(out, n.Raw()...)
	}
	out = append(out, '{')
	for c := range n.Children() {
		e, _ := typ.JSONElement(c.Key())
		if !keep(c, e) {
			continue
		}
		out = comma(out, '{')
		out = append(fhir.AppendString(out, c.Key()), ':')
		if e.Content != nil && e.Content.Kind == definitions.Backbone {
			out = inner(out, c, keep, e.Content)
		} else {
			out = append(out, c.Raw()...)
		}
	}
	return append(out, '}')
}

func member(out []byte, n fhir.Node) []byte {
	out = append(fhir.AppendString(comma(out, '{'), n.Key()), ':')
	return append(out, n.Raw()...)
}

// comma separates unless out ends with the opening bracket.
func comma(out []byte, opening byte) []byte {
	if out[len(out)-1] == opening {
		return out
	}
	return append(out, ',')
}

// tag returns meta with the SUBSETTED tag added.
func tag(meta fhir.Node) []byte {
	src := meta.Raw()
	tree, err := fhir.Parse(src)
	if err != nil || tree.Root().Kind() != fhir.Object {
		return src
	}
	m := tree.Root()
	if t := m.Get("tag"); t.Kind() == fhir.Array {
		return fhir.Splice(src, fhir.InsertItem(t, t.Len(), []byte(subsetted)))
	}
	return fhir.Splice(src, fhir.SetMember(m, "tag", []byte("["+subsetted+"]")))
}
