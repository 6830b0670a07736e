package sink

import (
	"slices"
	"strings"
)

// Table is an entry of the data dictionary.
type Table struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Resource string   `json:"resource,omitempty"` // FHIR type its rows come from
	Views    []string `json:"views,omitempty"`    // ViewDefinitions that fill it, by name
	Stored   bool     `json:"stored,omitempty"`   // by a ViewDefinition that a client stored
	Columns  []Column `json:"columns"`
}

// Column is a column of the data dictionary.
type Column struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`          // ClickHouse
	FHIRType   string   `json:"fhirType"`      // "" where it is none
	Paths      []string `json:"fhirPath"`      // by view
	Definition string   `json:"definition"`    // for people
	Identity   bool     `json:"identity"`      // identifies a person: needs the role
	Key        bool     `json:"key,omitempty"` // kept by the warehouse, not by the view
}

// sensitive is the word of a definition that marks a column as identifying.
const sensitive = "敏感"

// titles are of the tables that no view fills.
var titles = map[string]string{landingTable: "全部资源的全部版本（原文，需要看身份的权限）", "prescription": "处方（每个处方号一行，由 prescription_request 汇总）", dlq: "视图不能取得的行（毒数据）"}

// Dictionary describes every table that analysts may meet, by name.
func (s *Sink) Dictionary() []Table {
	sh := s.shape.Load()
	var out []Table
	for _, t := range sh.tables {
		entry := Table{Name: t.name, Stored: !s.shipped[t.name]}
		for _, typ := range sh.typesOf(t) {
			for _, f := range sh.byType[typ] {
				if f.table == t {
					entry.add(t, f)
				}
			}
		}
		for _, k := range keys {
			entry.Columns = append(entry.Columns, Column{Name: k.name, Type: k.typ, Definition: k.comment, Paths: []string{}, Key: true})
		}
		out = append(out, entry)
	}
	land := Table{Name: landingTable, Title: titles[landingTable]}
	for _, c := range s.landing.columns {
		land.Columns = append(land.Columns, Column{Name: c.name, Type: c.typ, Definition: c.comment, Paths: []string{}, Identity: c.name == "resource"})
	}
	roll := Table{Name: "prescription", Title: titles["prescription"]}
	for _, c := range rollupColumns {
		roll.Columns = append(roll.Columns, Column{Name: c.name, Type: c.typ, Definition: c.comment, Paths: []string{}})
	}
	out = append(out, land, roll)
	slices.SortFunc(out, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// add describes what a view gives to a table.
func (e *Table) add(t *table, f *feed) {
	e.Views = append(e.Views, f.view.Name)
	if e.Title == "" {
		e.Title, e.Resource = f.view.Title, f.view.Resource
	} else {
		e.Resource += "、" + f.view.Resource
	}
	for i, c := range f.view.Columns() {
		if i == len(e.Columns) {
			e.Columns = append(e.Columns, Column{Name: c.Name, Type: t.columns[i].typ, FHIRType: c.Type, Definition: t.columns[i].comment, Identity: strings.Contains(t.columns[i].comment, sensitive), Paths: []string{}})
		}
		e.Columns[i].Paths = append(e.Columns[i].Paths, c.Path)
	}
}
