package cda

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
)

//go:embed data/templates.json
var templatesJSON []byte

// Catalogue is what is known of the shared documents: templates, the data sets
// they draw on, value tables and identifier roots. It is read-only after [Load].
type Catalogue struct {
	Meta      map[string]string `json:"_meta"` // source, status
	Roots     map[string]string `json:"roots"`
	Tables    []Table           `json:"tables"`
	Datasets  []Dataset         `json:"datasets"`
	Templates []Template        `json:"templates"`

	tables map[string]*Table
	codes  map[string]*Template
	oids   map[string]*Template
}

// Table is a value table. Codes is nil where only its name is known.
type Table struct {
	OID    string            `json:"oid"`
	Name   string            `json:"name"`
	Status string            `json:"status"` // review state of the facts
	Codes  map[string]string `json:"codes"`
}

// Dataset is one data set of WS 445.
type Dataset struct {
	Name     string        `json:"name"`
	Elements []DataElement `json:"elements"`
}

// DataElement is one element of a data set.
type DataElement struct {
	ID     string `json:"id"`
	DE     string `json:"de"`
	Name   string `json:"name"`
	Type   string `json:"type"`   // S1 text, S2 S3 coded, N number, L flag, D DT dates
	Format string `json:"format"` // AN..18
}

// Template is one of the 53 documents.
type Template struct {
	Code     string            `json:"code"` // C0002
	Title    string            `json:"title"`
	OID      string            `json:"template"`
	Part     string            `json:"part"`    // WS/T 500.2-2016
	Dataset  string            `json:"dataset"` // of WS 445; "" = none fits
	Sections []SectionTemplate `json:"sections"`
}

// SectionTemplate is one section of a template, with what belongs into it.
type SectionTemplate struct {
	Code     string            `json:"code"` // LOINC; "" where the section has only a heading
	Display  string            `json:"display"`
	Title    string            `json:"title"`
	Elements []ElementTemplate `json:"elements"`
}

// ElementTemplate is one data element of a template.
type ElementTemplate struct {
	DE     string `json:"de"`
	Name   string `json:"name"`
	Type   string `json:"type"` // CDA type of its value
	Format string `json:"format"`
	Table  string `json:"table"` // OID of its code system
	Unit   string `json:"unit"`
}

// Load reads the embedded catalogue.
func Load() (*Catalogue, error) {
	c := &Catalogue{tables: map[string]*Table{}, codes: map[string]*Template{}, oids: map[string]*Template{}}
	if err := json.Unmarshal(templatesJSON, c); err != nil {
		return nil, err
	}
	for i := range c.Tables {
		c.tables[c.Tables[i].OID] = &c.Tables[i]
	}
	for i := range c.Templates {
		t := &c.Templates[i]
		c.codes[t.Code], c.oids[t.OID] = t, t
	}
	return c, nil
}

// Template finds a template by its document code; nil if there is none.
func (c *Catalogue) Template(code string) *Template { return c.codes[strings.ToUpper(code)] }

// TemplateOf finds a template by the OID of its templateId; nil if there is none.
func (c *Catalogue) TemplateOf(oid string) *Template { return c.oids[oid] }

// Table finds a value table by OID; nil if it is unknown.
func (c *Catalogue) Table(oid string) *Table { return c.tables[oid] }

// Dataset finds a data set of WS 445 by name; nil if there is none.
func (c *Catalogue) Dataset(name string) *Dataset {
	for i := range c.Datasets {
		if c.Datasets[i].Name == name {
			return &c.Datasets[i]
		}
	}
	return nil
}

// Elements lists the template's data elements in order, each with the index of
// its section.
func (t *Template) Elements() func(yield func(section int, e *ElementTemplate) bool) {
	return func(yield func(int, *ElementTemplate) bool) {
		for i := range t.Sections {
			for j := range t.Sections[i].Elements {
				if !yield(i, &t.Sections[i].Elements[j]) {
					return
				}
			}
		}
	}
}

// Element finds a data element by number, and by name where the number stands
// more than once; section is -1 if the template has no place for it.
func (t *Template) Element(de, name string) (section int, e *ElementTemplate) {
	section = -1
	for i, x := range t.Elements() {
		if x.DE != de {
			continue
		}
		if x.Name == name {
			return i, x
		}
		if e == nil {
			section, e = i, x
		}
	}
	return section, e
}

// Twice reports whether the template has several elements of that number, so
// that a qualifier must tell them apart.
func (t *Template) Twice(de string) bool {
	n := 0
	for _, x := range t.Elements() {
		if x.DE == de {
			n++
		}
	}
	return n > 1
}

// Section finds a section by its LOINC code, or by its heading where it has none;
// -1 if there is none.
func (t *Template) Section(code, title string) int {
	return slices.IndexFunc(t.Sections, func(s SectionTemplate) bool {
		if code != "" || s.Code != "" {
			return s.Code == code && code != ""
		}
		return s.Title == title || s.Display == title
	})
}
