package main

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

const (
	sdBase     = "http://hl7.org/fhir/StructureDefinition/"
	systemBase = "http://hl7.org/fhirpath/System."
)

// builder collects the model from StructureDefinitions.
type builder struct {
	types       []*definitions.Type
	bases       map[*definitions.Type]string
	contents    map[*definitions.Element]string // path of the backbone
	constraints []definitions.Constraint
	number      map[definitions.Constraint]int
}

func newBuilder() *builder {
	return &builder{bases: map[*definitions.Type]string{}, contents: map[*definitions.Element]string{},
		number: map[definitions.Constraint]int{}}
}

// add adds the type of a StructureDefinition and its backbone types.
func (b *builder) add(sd fhir.Node) {
	t := &definitions.Type{Name: sd.Get("name").Str(), URL: sd.Get("url").Str(), Abstract: sd.Get("abstract").Str() == "true"}
	switch sd.Get("kind").Str() {
	case "primitive-type":
		t.Kind = definitions.Primitive
	case "complex-type":
		t.Kind = definitions.Complex
	case "resource":
		t.Kind = definitions.Resource
	}
	b.bases[t] = strings.TrimPrefix(sd.Get("baseDefinition").Str(), sdBase)
	elements := slices.Collect(sd.Path("snapshot", "element").Children())
	b.fill(t, t.Name, elements)
}

// fill reads the elements directly below path into t, and makes backbone types
// of those that have children.
func (b *builder) fill(t *definitions.Type, path string, elements []fhir.Node) {
	b.types = append(b.types, t)
	for i, e := range elements {
		p := e.Get("path").Str()
		if p == path {
			t.Constraints, t.Short = constraints(e), e.Get("short").Str()
		}
		rest, below := strings.CutPrefix(p, path+".")
		if !below || strings.Contains(rest, ".") {
			continue
		}
		if t.Kind == definitions.Primitive && rest == "value" {
			code, regex := systemType(e)
			t.System, t.Regex = strings.TrimPrefix(code, systemBase), regex
			continue
		}
		el := element(e, t)
		t.Elements = append(t.Elements, el)
		if ref := e.Get("contentReference").Str(); ref != "" {
			b.contents[el], el.Reference = strings.TrimPrefix(ref, "#"), true
			continue
		}
		if i+1 < len(elements) && strings.HasPrefix(elements[i+1].Get("path").Str(), p+".") {
			b.contents[el] = p
			child := &definitions.Type{Name: p, Kind: definitions.Backbone}
			b.bases[child] = el.Types[0].Code
			b.fill(child, p, elements)
		}
	}
}

func element(e fhir.Node, t *definitions.Type) *definitions.Element {
	path := e.Get("path").Str()
	name := path[strings.LastIndexByte(path, '.')+1:]
	el := &definitions.Element{Path: path, Short: e.Get("short").Str(), Constraints: constraints(e),
		Summary: e.Get("isSummary").Str() == "true", Modifier: e.Get("isModifier").Str() == "true"}
	el.Name, el.Choice = strings.CutSuffix(name, "[x]")
	min, _ := e.Get("min").Int()
	el.Min, el.Max = int(min), -1
	if m := e.Get("max").Str(); m != "*" {
		el.Max = int(m[0] - '0')
	}
	for rep := range e.Get("representation").Each() {
		el.Attribute = el.Attribute || rep.Str() == "xmlAttr"
	}
	for ty := range e.Get("type").Each() {
		code := typeCode(ty)
		if t.Kind == definitions.Resource && el.Name == "id" {
			code = "id" // the page says id; the package's extension says string
		}
		el.Types = append(el.Types, definitions.TypeRef{Code: code, Profiles: strs(ty.Get("profile")), Targets: strs(ty.Get("targetProfile"))})
	}
	if bind := e.Get("binding"); bind.Get("valueSet").Exists() {
		el.Binding = &definitions.Binding{Strength: bind.Get("strength").Str(), ValueSet: bind.Get("valueSet").Str()}
		for x := range bind.Get("extension").Each() {
			if x.Get("url").Str() == sdBase+"elementdefinition-maxValueSet" {
				el.Binding.MaxValueSet = x.Get("valueCanonical").Str()
			}
		}
	}
	for m := range e.Children() {
		switch k := m.Key(); {
		case strings.HasPrefix(k, "fixed"):
			el.Fixed = m.Raw()
		case strings.HasPrefix(k, "pattern"):
			el.Pattern = m.Raw()
		}
	}
	return el
}

// typeCode is the FHIR type of an element: system types are replaced by what the
// extension structuredefinition-fhir-type says.
func typeCode(ty fhir.Node) string {
	code := ty.Get("code").Str()
	if !strings.HasPrefix(code, systemBase) {
		return code
	}
	for x := range ty.Get("extension").Each() {
		if x.Get("url").Str() == sdBase+"structuredefinition-fhir-type" {
			return x.Get("valueUrl").Str()
		}
	}
	return "string"
}

func systemType(e fhir.Node) (code, regex string) {
	ty := e.Get("type").First()
	for x := range ty.Get("extension").Each() {
		if x.Get("url").Str() == sdBase+"regex" {
			regex = x.Get("valueString").Str()
		}
	}
	return ty.Get("code").Str(), regex
}

func constraints(e fhir.Node) []definitions.Constraint {
	var out []definitions.Constraint
	for c := range e.Get("constraint").Each() {
		out = append(out, definitions.Constraint{Key: c.Get("key").Str(), Severity: c.Get("severity").Str(),
			Human: c.Get("human").Str(), Expression: c.Get("expression").Str()})
	}
	return out
}

func strs(n fhir.Node) []string {
	var out []string
	for s := range n.Each() {
		out = append(out, s.Str())
	}
	return out
}

// inheritSystem gives derived primitives the system type of their base: the
// package says System.String for positiveInt and unsignedInt, which are integers.
func (b *builder) inheritSystem() {
	system := map[string]string{}
	for _, t := range b.types {
		system[t.Name] = t.System
	}
	for _, t := range b.types {
		if s := system[b.bases[t]]; s != "" {
			t.System = s
		}
	}
}

// intern numbers all constraints of all types.
func (b *builder) intern() {
	note := func(cs []definitions.Constraint) {
		for _, c := range cs {
			if _, ok := b.number[c]; !ok {
				b.number[c] = len(b.constraints)
				b.constraints = append(b.constraints, c)
			}
		}
	}
	for _, t := range b.types {
		note(t.Constraints)
		for _, e := range t.Elements {
			note(e.Constraints)
		}
	}
}

func (b *builder) writeConstraints(w *writer, cs []definitions.Constraint) {
	w.uint(len(cs))
	for _, c := range cs {
		w.uint(b.number[c])
	}
}

// write encodes the constraint table and the types, sorted by name.
func (b *builder) write(w *writer) {
	slices.SortFunc(b.types, func(x, y *definitions.Type) int { return strings.Compare(x.Name, y.Name) })
	b.inheritSystem()
	b.intern()
	w.uint(len(b.constraints))
	for _, c := range b.constraints {
		w.str(c.Key, c.Severity, c.Human, c.Expression)
	}
	w.uint(len(b.types))
	for _, t := range b.types {
		w.str(t.Name)
	}
	for _, t := range b.types {
		w.str(t.URL, b.bases[t])
		w.uint(int(t.Kind))
		w.bool(t.Abstract)
		w.str(t.Regex, t.System, t.Short)
		b.writeConstraints(w, t.Constraints)
		w.uint(len(t.Elements))
		for _, e := range t.Elements {
			b.writeElement(w, e)
		}
	}
}

// flags packs an element's booleans; the order is definitions' flag constants.
func flags(e *definitions.Element) int {
	v := 0
	for i, f := range []bool{e.Choice, e.Reference, e.Summary, e.Modifier, e.Attribute, e.Binding != nil} {
		if f {
			v |= 1 << i
		}
	}
	return v
}

func (b *builder) writeElement(w *writer, e *definitions.Element) {
	w.str(e.Name, e.Path, e.Short)
	w.uint(e.Min)
	w.uint(e.Max + 1)
	w.uint(flags(e))
	w.str(b.contents[e])
	w.uint(len(e.Types))
	for _, t := range e.Types {
		w.str(t.Code)
		w.strs(t.Profiles)
		w.strs(t.Targets)
	}
	if e.Binding != nil {
		w.str(e.Binding.Strength, e.Binding.ValueSet, e.Binding.MaxValueSet)
	}
	b.writeConstraints(w, e.Constraints)
	w.str(string(e.Fixed), string(e.Pattern))
}
