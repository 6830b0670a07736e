package console

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// branch is one element of a resource as the tree shows it.
type branch struct {
	Name, Value, Hint string
	Link              string // where a reference leads
	Kids              []branch
	Open              bool
}

// openTo is how deep the tree is open at first.
const openTo = 2

// branches makes the tree of an object; t gives the elements' short
// descriptions and may be nil.
func (r *Repository) branches(n fhir.Node, t *definitions.Type) []branch { return r.grow(n, t, 0) }

func (r *Repository) grow(n fhir.Node, t *definitions.Type, depth int) (out []branch) {
	for m := range n.Children() {
		if m.Key() == "resourceType" && depth == 0 {
			continue
		}
		var e *definitions.Element
		var ref *definitions.TypeRef
		if t != nil {
			e, ref = t.JSONElement(m.Key())
		}
		if m.Kind() != fhir.Array {
			out = append(out, r.twig(m, m.Key(), e, ref, depth))
			continue
		}
		for i := range m.Children() {
			out = append(out, r.twig(i, m.Key(), e, ref, depth))
		}
	}
	return out
}

func (r *Repository) twig(n fhir.Node, name string, e *definitions.Element, ref *definitions.TypeRef, depth int) branch {
	b := branch{Name: name, Open: depth < openTo}
	if e != nil {
		b.Hint = e.Short
	}
	if n.Kind() != fhir.Object {
		b.Value = text(n)
		if name == "reference" {
			if to := fhir.ParseReference(b.Value); to.Type != "" && r.Model.IsResource(to.Type) {
				b.Link = resources + "/" + to.Type + "/" + to.ID
			}
		}
		if name == "div" {
			b.Value = "（叙述文本，见 JSON）"
		}
		return b
	}
	var t *definitions.Type
	switch {
	case e != nil && e.Content != nil:
		t = e.Content
	case ref != nil:
		t = ref.Type
	}
	if typ := n.ResourceType(); typ != "" {
		t = r.Model.Type(typ)
	}
	b.Value, b.Kids = headline(n), r.grow(n, t, depth+1)
	return b
}

// text is a value as people read it.
func text(n fhir.Node) string {
	if n.Kind() == fhir.String {
		return n.Str()
	}
	return string(n.Raw())
}

// headline says in a few words what an object is about.
func headline(n fhir.Node) string {
	var parts []string
	add := func(s string) {
		if s != "" && len(parts) < 4 {
			parts = append(parts, s)
		}
	}
	add(label(n.Get("name")))
	add(label(n.Get("title")))
	add(label(n.Get("code")))
	for _, key := range []string{"medicationReference", "medicationCodeableConcept", "text", "display", "type"} {
		if v := n.Get(key); v.Exists() && (key != "text" || v.Kind() == fhir.String) {
			add(label(v))
		}
	}
	add(label(n.Get("subject")))
	add(label(n.Get("patient")))
	if v := n.Get("value"); v.Exists() {
		add(strings.TrimSpace(text(v) + " " + n.Get("unit").Str() + n.Get("currency").Str()))
	}
	for _, key := range []string{"valueString", "birthDate", "start", "effectiveDateTime", "authoredOn", "recordedDate", "date", "reference", "criteria", "url"} {
		add(label(n.Get(key)))
	}
	add(label(n.Path("period", "start")))
	add(label(n.Get("status")))
	return clip(strings.Join(parts, " · "), 90)
}

// label is the name of a coding, concept, human name, reference or primitive.
func label(n fhir.Node) string {
	switch n.Kind() {
	case fhir.String:
		return n.Str()
	case fhir.Array:
		return label(n.First())
	case fhir.Object:
		for _, key := range []string{"text", "display"} {
			if s := n.Get(key); s.Kind() == fhir.String && s.Str() != "" {
				return s.Str()
			}
		}
		if c := n.Get("coding"); c.Exists() {
			return label(c.First())
		}
		if f := n.Get("family"); f.Exists() {
			return strings.TrimSpace(f.Str() + " " + n.Get("given").First().Str())
		}
		for _, key := range []string{"code", "reference", "value"} {
			if s := n.Get(key); s.Kind() == fhir.String {
				return s.Str()
			}
		}
	}
	return ""
}

// clip shortens a text to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
