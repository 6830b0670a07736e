package tcm

import (
	"encoding/json"
	"strings"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

// Resource is one built resource, ready for a model.Encoder.
type Resource struct {
	Type, ID string
	Model    any // a struct of package fhir-models
}

// Coding is a code with its system; the zero value is no code.
type Coding struct{ System, Code, Display string }

// Visit says what a part of a visit hangs on. The ids are those of resources,
// without their type.
type Visit struct {
	OrgCode     string // organisation code, kept beside references for analysts
	EncounterID string
	PatientID   string
	DoctorID    string // "" = unknown
	Time        string // FHIR dateTime
}

func ptr[T any](v T) *T { return &v }

// str is nil for "".
func str(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func ref(typ, id, display string) *r4.Reference {
	if id == "" {
		return nil
	}
	return &r4.Reference{Reference: ptr(typ + "/" + id), Display: str(display)}
}

func must(r *r4.Reference) r4.Reference {
	if r == nil {
		return r4.Reference{}
	}
	return *r
}

// orgRef refers to an organisation by id and by code, so that a view finds the
// code without a join.
func orgRef(code, name string) *r4.Reference {
	if code == "" {
		return nil
	}
	return &r4.Reference{Reference: ptr("Organization/" + OrganizationID(code)),
		Identifier: &r4.Identifier{System: ptr(SystemOrg), Value: &code}, Display: str(name)}
}

func (c Coding) model() r4.Coding {
	return r4.Coding{System: str(c.System), Code: str(c.Code), Display: str(c.Display)}
}

// concept is nil when it would be empty.
func concept(text string, codings ...Coding) *r4.CodeableConcept {
	out := &r4.CodeableConcept{Text: str(text)}
	for _, c := range codings {
		if c.Code != "" {
			out.Coding = append(out.Coding, c.model())
		}
	}
	if out.Text == nil && out.Coding == nil {
		return nil
	}
	return out
}

func conceptValue(text string, codings ...Coding) r4.CodeableConcept {
	if c := concept(text, codings...); c != nil {
		return *c
	}
	return r4.CodeableConcept{}
}

func num(s string) *json.Number {
	if s == "" {
		return nil
	}
	return ptr(json.Number(s))
}

func money(s string) *r4.Money {
	if s == "" {
		return nil
	}
	return &r4.Money{Value: num(s), Currency: ptr("CNY")}
}

// quantity gives grams, milligrams … their UCUM code; other units stay words.
func quantity(value, unit string) *r4.Quantity {
	if value == "" {
		return nil
	}
	q := &r4.Quantity{Value: num(value), Unit: str(unit)}
	switch unit {
	case "g", "mg", "kg":
		q.System, q.Code = ptr(SystemUCUM), &unit
	case "ml":
		q.System, q.Code = ptr(SystemUCUM), ptr("mL")
	}
	return q
}

func moneyExt(url, value string) []r4.Extension {
	if value == "" {
		return nil
	}
	return []r4.Extension{{Url: url, ValueMoney: money(value)}}
}

func identifier(kind, system, value string) []r4.Identifier {
	if value == "" {
		return nil
	}
	id := r4.Identifier{System: &system, Value: &value}
	if kind != "" {
		id.Type = concept("", Coding{System: SystemIDType, Code: kind})
	}
	return []r4.Identifier{id}
}

var xmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\n", "<br/>", "\r", "")

// narrative wraps plain text as XHTML; nil for "".
func narrative(text string) *r4.Narrative {
	if text == "" {
		return nil
	}
	return &r4.Narrative{Status: r4.NarrativeStatusGenerated,
		Div: `<div xmlns="http://www.w3.org/1999/xhtml">` + xmlEscape.Replace(text) + `</div>`}
}
