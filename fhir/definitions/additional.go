package definitions

import (
	"slices"
	"strings"
)

// ViewDefinition of SQL on FHIR v2 is an additional resource: it is no part of
// R4, but a repository that makes tables of it must store it.
// https://build.fhir.org/ig/HL7/sql-on-fhir/StructureDefinition-ViewDefinition.html

// viewElements are the elements of ViewDefinition by type: name, type, least,
// most (-1 = any). "#" refers to a type of this list.
var viewElements = []struct {
	typ      string
	elements [][4]string
}{
	{"ViewDefinition", [][4]string{{"url", "uri", "0", "1"}, {"identifier", "Identifier", "0", "*"}, {"version", "string", "0", "1"}, {"name", "string", "0", "1"}, {"title", "string", "0", "1"},
		{"status", "code", "0", "1"}, {"experimental", "boolean", "0", "1"}, {"date", "dateTime", "0", "1"}, {"publisher", "string", "0", "1"}, {"contact", "ContactDetail", "0", "*"},
		{"description", "markdown", "0", "1"}, {"useContext", "UsageContext", "0", "*"}, {"jurisdiction", "CodeableConcept", "0", "*"}, {"purpose", "markdown", "0", "1"}, {"copyright", "markdown", "0", "1"},
		{"copyrightLabel", "string", "0", "1"}, {"resource", "code", "1", "1"}, {"resourceVersion", "code", "0", "*"}, {"profile", "canonical", "0", "*"}, {"fhirVersion", "code", "0", "*"},
		{"constant", "#ViewDefinition.constant", "0", "*"}, {"select", "#ViewDefinition.select", "1", "*"}, {"where", "#ViewDefinition.where", "0", "*"}}},
	{"ViewDefinition.constant", [][4]string{{"name", "string", "1", "1"}, {"value[x]", "base64Binary boolean canonical code date dateTime decimal id instant integer oid string positiveInt time unsignedInt uri url uuid", "1", "1"}}},
	{"ViewDefinition.where", [][4]string{{"path", "string", "1", "1"}, {"description", "string", "0", "1"}}},
	{"ViewDefinition.select", [][4]string{{"column", "#ViewDefinition.select.column", "0", "*"}, {"select", "#ViewDefinition.select", "0", "*"}, {"forEach", "string", "0", "1"}, {"forEachOrNull", "string", "0", "1"},
		{"repeat", "string", "0", "*"}, {"unionAll", "#ViewDefinition.select", "0", "*"}}},
	{"ViewDefinition.select.column", [][4]string{{"path", "string", "1", "1"}, {"name", "string", "1", "1"}, {"description", "markdown", "0", "1"}, {"collection", "boolean", "0", "1"}, {"type", "uri", "0", "1"},
		{"tag", "#ViewDefinition.select.column.tag", "0", "*"}}},
	{"ViewDefinition.select.column.tag", [][4]string{{"name", "string", "1", "1"}, {"value", "string", "1", "1"}}},
}

// AddViewDefinition makes ViewDefinition a resource type of the model, with the
// usual search parameters of conformance resources. Call it before the model is
// shared.
func (m *Model) AddViewDefinition() {
	made := map[string]*Type{}
	for _, d := range viewElements {
		t := &Type{Name: d.typ, Kind: Backbone, Base: m.types["BackboneElement"], elements: map[string]*Element{}, json: map[string]jsonName{}, Short: "SQL on FHIR"}
		if !strings.Contains(d.typ, ".") {
			t.Kind, t.Base, t.URL = Resource, m.types["DomainResource"], "https://sql-on-fhir.org/ig/StructureDefinition/ViewDefinition"
		}
		made[d.typ], m.types[d.typ] = t, t
	}
	for _, d := range viewElements {
		t := made[d.typ]
		for _, e := range t.Base.Elements {
			t.add(*e)
		}
		for _, e := range d.elements {
			t.add(m.element(d.typ, e, made))
		}
	}
	for _, t := range made {
		t.names()
	}
	at, _ := slices.BinarySearch(m.resources, "ViewDefinition")
	m.resources = slices.Insert(slices.Clone(m.resources), at, "ViewDefinition")
	m.addViewParameters()
}

func (t *Type) add(e Element) {
	e.Order = len(t.Elements)
	t.Elements = append(t.Elements, &e)
	t.elements[e.Name] = &e
}

func (m *Model) element(of string, d [4]string, made map[string]*Type) Element {
	e := Element{Name: strings.TrimSuffix(d[0], "[x]"), Path: of + "." + d[0], Choice: strings.HasSuffix(d[0], "[x]"), Max: 1}
	if d[2] == "1" {
		e.Min = 1
	}
	if d[3] == "*" {
		e.Max = -1
	}
	if name, ok := strings.CutPrefix(d[1], "#"); ok {
		e.Content = made[name]
		e.Types = []TypeRef{{Code: "BackboneElement", Type: m.types["BackboneElement"]}}
		return e
	}
	for code := range strings.FieldsSeq(d[1]) {
		e.Types = append(e.Types, TypeRef{Code: code, Type: m.types[code]})
	}
	return e
}

// addViewParameters gives the type what every resource has and what is usual
// for those with a url.
func (m *Model) addViewParameters() {
	for _, p := range [][3]string{{"url", "uri", "url"}, {"name", "string", "name"}, {"title", "string", "title"}, {"status", "token", "status"}, {"version", "token", "version"},
		{"identifier", "token", "identifier"}, {"resource", "token", "resource"}, {"date", "date", "date"}, {"publisher", "string", "publisher"}, {"description", "string", "description"}} {
		m.allParams = append(m.allParams, &SearchParameter{URL: "https://qihuang.health/fhir/SearchParameter/ViewDefinition-" + p[0], Code: p[0], Name: p[0], Type: p[1], Expression: "ViewDefinition." + p[2],
			Description: "ViewDefinition." + p[2], Base: []string{"ViewDefinition"}, MultipleOr: true, MultipleAnd: true})
	}
	m.shareParams()
}
