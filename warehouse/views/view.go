package views

import (
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// View is a compiled ViewDefinition, immutable and safe for concurrent use.
type View struct {
	Name     string   // of the definition; "" if it has none
	URL      string   // canonical, "" if none
	Title    string   // for people
	Resource string   // the type of resource it reads
	Warnings []string // paths that R4 does not know, so that they are always empty

	columns   []Column
	where     []*fhirpath.Expression
	root      *selection
	constants map[string]fhirpath.Collection
	eng       *fhirpath.Engine
	runs      sync.Pool
}

// Column is one column of the result.
type Column struct {
	Name        string
	Path        string // FHIRPath
	Type        string // FHIR primitive type: as declared, else inferred, else "string"
	Collection  bool   // a cell holds a list
	Description string
	Tags        []Tag
}

// Tag is a hint of the definition on a column, e.g. ansi/type.
type Tag struct{ Name, Value string }

// selection is a select of the definition. One without iteration is a part of
// the one around it.
type selection struct {
	each   *fhirpath.Expression   // forEach, forEachOrNull; nil = the focus itself
	repeat []*fhirpath.Expression // repeat
	orNull bool
	cols   []column
	parts  []*selection // nested selects, then unions, in order of columns
	union  []*selection // branches; then cols, parts, each are empty
}

type column struct {
	index int // in the row
	expr  *fhirpath.Expression
	many  bool
}

// Columns returns the columns in order. The slice is shared: do not change it.
func (v *View) Columns() []Column { return v.columns }

// Column returns the index of a column, -1 if there is none of the name.
func (v *View) Column(name string) int {
	for i := range v.columns {
		if v.columns[i].Name == name {
			return i
		}
	}
	return -1
}

// Takes reports whether the view reads the resource.
func (v *View) Takes(res fhir.Node) bool { return res.ResourceType() == v.Resource }
