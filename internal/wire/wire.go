// Package wire has the FHIR R4 data types that hand-written resources share, as
// JSON writes them. The generated model serves everywhere else; it cannot write
// Task.input and Task.output, where every kind of value[x] would stand in each.
package wire

import "time"

// Coding is a code of a system.
type Coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

// Concept is a CodeableConcept.
type Concept struct {
	Coding []Coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

// Code returns a concept of one code; display may be "".
func Code(system, code, display string) Concept {
	return Concept{Coding: []Coding{{system, code, display}}}
}

// Text returns a concept in words.
func Text(s string) Concept { return Concept{Text: s} }

// Worded returns c with words beside its codes.
func (c Concept) Worded(text string) Concept {
	c.Text = text
	return c
}

// First is the code of the first coding, "" where there is none.
func (c Concept) First() string {
	if len(c.Coding) == 0 {
		return ""
	}
	return c.Coding[0].Code
}

// Identifier is a business identifier.
type Identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// Reference points at a resource by its address or an identifier.
type Reference struct {
	Reference  string      `json:"reference,omitempty"`
	Identifier *Identifier `json:"identifier,omitempty"`
	Display    string      `json:"display,omitempty"`
}

// To returns a reference to an address, such as Encounter/1.
func To(address string) Reference { return Reference{Reference: address} }

// Called returns a reference to what has an identifier; display may be "".
func Called(system, value, display string) Reference {
	return Reference{Identifier: &Identifier{system, value}, Display: display}
}

// Period is a span of days or moments.
type Period struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// Days returns the days of zone from from up to before to.
func Days(from, to time.Time, zone *time.Location) Period {
	return Period{from.In(zone).Format(time.DateOnly), to.Add(-time.Second).In(zone).Format(time.DateOnly)}
}

// Annotation is a note of someone.
type Annotation struct {
	Author string `json:"authorString,omitempty"`
	Time   string `json:"time,omitempty"`
	Text   string `json:"text"`
}

// Instant writes a moment.
func Instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// When reads what [Instant] wrote; zero for anything else.
func When(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
