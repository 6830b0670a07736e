// Package graphql answers GraphQL queries over FHIR resources
// (https://hl7.org/fhir/R4/graphql.html; https://spec.graphql.org/October2021/).
//
// A query asks the system (Patient(id:), PatientList, PatientConnection) or one
// resource. Every type, element and search parameter of R4 is in the schema,
// which is made from the definitions and can be introspected; queries are
// validated against it before they run. There are no mutations.
//
// GraphQL names have no dots and hyphens: the type of Patient.contact is
// Patient_contact, the parameter clinical-status the argument clinical_status.
package graphql

import (
	"context"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// Limits bound the work of one query.
type Limits struct {
	Tokens    int // of the query's text
	Depth     int // of nested selections
	Resources int // read or found
	Bytes     int // of the answer
}

// DefaultLimits suit a hub that anybody may ask.
func DefaultLimits() Limits {
	return Limits{Tokens: 10_000, Depth: 24, Resources: 20_000, Bytes: 64 << 20}
}

// Source is what queries read. It shows one state of the repository.
type Source interface {
	// Read returns the current version of a resource as JSON. Errors:
	// NotFound, Gone.
	Read(ctx context.Context, typ, id string) ([]byte, error)
	// Search returns a page of the resources of a type that match query (a
	// search query without '?'). cursor is a page's Next or Prev, "" for the
	// first. Errors: Invalid for wrong parameters.
	Search(ctx context.Context, typ, query, cursor string) (*Page, error)
}

// Page is a page of matches.
type Page struct {
	Matches    []Match
	Total      *int   // nil if not known
	Count      int    // matches asked for on a page
	Next, Prev string // cursors, "" where there is none
}

// Match is a resource found.
type Match struct {
	Type, ID string
	Mode     string  // match | include | outcome
	Score    float64 // 0 = none
}

// Service runs queries. It is safe for concurrent use.
type Service struct {
	model  *definitions.Model
	paths  *fhirpath.Engine
	limits Limits
	schema func() *schema
}

// New returns a service over the R4 definitions. The schema is made when the
// first query comes.
func New(m *definitions.Model, paths *fhirpath.Engine, limits Limits) *Service {
	return &Service{model: m, paths: paths, limits: limits, schema: sync.OnceValue(func() *schema { return newSchema(m) })}
}

// Request is a query.
type Request struct {
	Query     string
	Operation string         // which of several operations; "" if there is one
	Variables map[string]any // as encoding/json decodes them
	// Type and ID name the resource a query at an instance starts from; empty
	// at the system.
	Type, ID string
}

// Run answers a query as GraphQL's JSON: data, and errors where a part of it
// could not be had. Errors: Invalid with the place for a query that is not
// valid, TooCostly over a limit, NotFound or Gone for the instance asked.
func (s *Service) Run(ctx context.Context, src Source, r Request) ([]byte, error) {
	sch := s.schema()
	op, doc, err := s.parse(sch, &r)
	if err != nil {
		return nil, err
	}
	x := &execution{Service: s, schema: sch, ctx: ctx, src: src, vars: r.Variables, doc: doc}
	var data object
	if r.Type == "" {
		data, err = x.root(op.SelectionSet)
	} else {
		data, err = x.instance(op.SelectionSet, r.Type, r.ID)
	}
	if err != nil {
		return nil, err
	}
	return x.answer(data)
}

// operationOf returns the operation to run, nil if that is not clear.
func operationOf(doc *ast.QueryDocument, name string) *ast.OperationDefinition {
	if name == "" && len(doc.Operations) == 1 {
		return doc.Operations[0]
	}
	return doc.Operations.ForName(name)
}
