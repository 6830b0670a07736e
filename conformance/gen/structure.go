package main

import (
	"os"
	"path/filepath"
	"strings"
)

// structure is a StructureDefinition with a differential.
type structure struct {
	ResourceType   string       `json:"resourceType"`
	ID             string       `json:"id"`
	Language       string       `json:"language"`
	URL            string       `json:"url"`
	Version        string       `json:"version"`
	Name           string       `json:"name"`
	Title          string       `json:"title"`
	Status         string       `json:"status"`
	Publisher      string       `json:"publisher"`
	Description    string       `json:"description,omitempty"`
	FHIRVersion    string       `json:"fhirVersion"`
	Kind           string       `json:"kind"`
	Abstract       bool         `json:"abstract"`
	Context        []sdContext  `json:"context,omitempty"`
	Type           string       `json:"type"`
	BaseDefinition string       `json:"baseDefinition"`
	Derivation     string       `json:"derivation"`
	Differential   differential `json:"differential"`
}

type sdContext struct {
	Type       string `json:"type"`
	Expression string `json:"expression"`
}

type differential struct {
	Element []element `json:"element"`
}

type typeRef struct {
	Code          string   `json:"code"`
	Profile       []string `json:"profile,omitempty"`
	TargetProfile []string `json:"targetProfile,omitempty"`
}

type discriminator struct {
	Type string `json:"type"`
	Path string `json:"path"`
}

type slicing struct {
	Discriminator []discriminator `json:"discriminator"`
	Rules         string          `json:"rules"`
}

type binding struct {
	Strength string `json:"strength"`
	ValueSet string `json:"valueSet"`
}

type constraint struct {
	Key        string `json:"key"`
	Severity   string `json:"severity"`
	Human      string `json:"human"`
	Expression string `json:"expression"`
}

// element is an ElementDefinition with the members the guide uses.
type element struct {
	ID             string       `json:"id"`
	Path           string       `json:"path"`
	SliceName      string       `json:"sliceName,omitempty"`
	Slicing        *slicing     `json:"slicing,omitempty"`
	Short          string       `json:"short,omitempty"`
	Definition     string       `json:"definition,omitempty"`
	Min            *int         `json:"min,omitempty"`
	Max            string       `json:"max,omitempty"`
	Type           []typeRef    `json:"type,omitempty"`
	FixedURI       string       `json:"fixedUri,omitempty"`
	FixedCode      string       `json:"fixedCode,omitempty"`
	PatternConcept any          `json:"patternCodeableConcept,omitempty"`
	PatternString  string       `json:"patternString,omitempty"`
	Constraint     []constraint `json:"constraint,omitempty"`
	MustSupport    bool         `json:"mustSupport,omitempty"`
	Binding        *binding     `json:"binding,omitempty"`
}

// profile collects the differential of one profile; paths are relative to the
// resource type.
type profile struct {
	sd structure
}

func newProfile(id, typ, title, description string) *profile {
	p := &profile{structure{ID: id, Type: typ, Title: title, Description: description, Kind: "resource",
		BaseDefinition: "http://hl7.org/fhir/StructureDefinition/" + typ, Derivation: "constraint"}}
	p.sd.Differential.Element = []element{{ID: typ, Path: typ, Short: title}}
	return p
}

// option changes an element.
type option func(*element)

// el adds an element with its cardinality; id may carry slice names (a:b).
func (p *profile) el(id string, min int, max, short string, opts ...option) *profile {
	var path []string
	slice := ""
	for part := range strings.SplitSeq(id, ".") {
		name, s, _ := strings.Cut(part, ":")
		path = append(path, name)
		slice = s
	}
	e := element{ID: p.sd.Type + "." + id, Path: p.sd.Type + "." + strings.Join(path, "."), SliceName: slice, Short: short, Min: &min, Max: max, MustSupport: true}
	for _, o := range opts {
		o(&e)
	}
	p.sd.Differential.Element = append(p.sd.Differential.Element, e)
	return p
}

// sliced opens slicing of a repeating element.
func (p *profile) sliced(path, kind, by string) *profile {
	p.sd.Differential.Element = append(p.sd.Differential.Element, element{ID: p.sd.Type + "." + path, Path: p.sd.Type + "." + path,
		Slicing: &slicing{[]discriminator{{kind, by}}, "open"}})
	return p
}

// extensions opens a group of extension slices under path ("" = the resource).
func (p *profile) extensions(path string, list ...extensionUse) *profile {
	at := "extension"
	if path != "" {
		at = path + ".extension"
	}
	p.sliced(at, "value", "url")
	for _, x := range list {
		name := x.name
		p.el(at+":"+name, x.min, x.max, x.short, func(e *element) {
			e.Type = []typeRef{{Code: "Extension", Profile: []string{Base + "/StructureDefinition/" + name}}}
		})
	}
	return p
}

type extensionUse struct {
	name  string
	min   int
	max   string
	short string
}

func bound(strength, valueSet string) option {
	return func(e *element) { e.Binding = &binding{strength, valueSet} }
}

func local(strength, id string) option { return bound(strength, Base+"/ValueSet/"+id) }

func types(codes ...string) option {
	return func(e *element) {
		for _, c := range codes {
			e.Type = append(e.Type, typeRef{Code: c})
		}
	}
}

func refs(targets ...string) option {
	return func(e *element) {
		t := typeRef{Code: "Reference"}
		for _, x := range targets {
			if !strings.Contains(x, "/") {
				x = "http://hl7.org/fhir/StructureDefinition/" + x
			}
			t.TargetProfile = append(t.TargetProfile, x)
		}
		e.Type = []typeRef{t}
	}
}

func patternCoding(system, code string) option {
	return func(e *element) {
		e.PatternConcept = map[string]any{"coding": []any{map[string]any{"system": system, "code": code}}}
	}
}

// extensionDef writes the definition of a simple extension.
func extensionDef(id, title, valueType string, contexts []string, opts ...option) *structure {
	zero, one := 0, 1
	value := element{ID: "Extension.value[x]", Path: "Extension.value[x]", Min: &one, Max: "1", Type: []typeRef{{Code: valueType}}}
	for _, o := range opts {
		o(&value)
	}
	sd := &structure{ID: id, Type: "Extension", Title: title, Kind: "complex-type", BaseDefinition: "http://hl7.org/fhir/StructureDefinition/Extension", Derivation: "constraint"}
	for _, c := range contexts {
		sd.Context = append(sd.Context, sdContext{"element", c})
	}
	sd.Differential.Element = []element{{ID: "Extension", Path: "Extension", Short: title, Min: &zero, Max: "1"},
		{ID: "Extension.extension", Path: "Extension.extension", Min: &zero, Max: "0"},
		{ID: "Extension.url", Path: "Extension.url", FixedURI: Base + "/StructureDefinition/" + id}, value}
	return sd
}

func (sd *structure) write(dir string) error {
	sd.ResourceType, sd.Language, sd.Version, sd.Status, sd.Publisher, sd.FHIRVersion = "StructureDefinition", "zh-CN", "0.1.0", "draft", "岐黄", "4.0.1"
	sd.URL = Base + "/StructureDefinition/" + sd.ID
	for part := range strings.SplitSeq(sd.ID, "-") {
		sd.Name += strings.ToUpper(part[:1]) + part[1:]
	}
	b, err := encode(sd)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(b), `},{"id":"`, "},\n{\"id\":\"")
	return os.WriteFile(filepath.Join(dir, "StructureDefinition-"+sd.ID+".json"), []byte(text+"\n"), 0o644)
}

// invariant is a constraint whose breach is an error; human says what to mend.
func invariant(key, human, expr string) option { return constrained(key, "error", human, expr) }

// advice is an invariant that only warns.
func advice(key, human, expr string) option { return constrained(key, "warning", human, expr) }

func constrained(key, severity, human, expr string) option {
	return func(e *element) { e.Constraint = append(e.Constraint, constraint{key, severity, human, expr}) }
}
