// Package lab serves FHIRPath to people and tools: batches of lines for tests
// and scripts ([Lab.Batch]), and the operation that the FHIRPath Lab
// (https://fhirpath-lab.com) calls on servers ([Lab.Evaluate]).
package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	fhirxml "github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Lab evaluates expressions given as data. It is safe for concurrent use; the
// services may be nil.
type Lab struct {
	Engine      *fhirpath.Engine
	Name        string // how the evaluator calls itself, e.g. "qihuang 1.2"
	Terminology fhirpath.Terminology
	Resolver    fhirpath.Resolver
	Conformance fhirpath.Conformance
}

// Job is one expression on one resource.
type Job struct {
	Resource  fhir.Node // absent: the expression has no input
	Expr      string
	Context   string // evaluated first; the expression then runs on each of its items
	Variables map[string]fhirpath.Collection
	Strict    bool // static type check: unknown paths and the like are errors
}

// Group is the result for one item of the context.
type Group struct {
	Context string // "name[0]"; "" without a context expression
	Items   fhirpath.Collection
	Traces  []Trace
}

// Trace is what one call of trace() saw.
type Trace struct {
	Name  string
	Items fhirpath.Collection
}

// Run evaluates a job.
func (l *Lab) Run(ctx context.Context, job Job) ([]Group, *fhirpath.Expression, error) {
	ec := &fhirpath.Context{Ctx: ctx, Resource: job.Resource, Variables: job.Variables,
		Resolver: l.Resolver, Terminology: l.Terminology, Conformance: l.Conformance}
	root := l.Engine.Item(job.Resource)
	items := fhirpath.Collection{root}
	focus := root.Type()
	if job.Context != "" {
		x, err := l.compile(job.Context, focus, job)
		if err != nil {
			return nil, nil, fmt.Errorf("context: %w", err)
		}
		if items, err = x.EvalItem(ec, root); err != nil {
			return nil, nil, fmt.Errorf("context: %w", err)
		}
		types, _, err := x.ResultTypes(focus)
		if focus = ""; err == nil && len(types) == 1 {
			focus = types[0]
		}
	}
	x, err := l.compile(job.Expr, focus, job)
	if err != nil {
		return nil, nil, err
	}
	groups := make([]Group, 0, len(items))
	for i, it := range items {
		g := Group{}
		if job.Context != "" {
			g.Context = fmt.Sprintf("%s[%d]", job.Context, i)
		}
		ec.Trace = func(name string, seen fhirpath.Collection) { g.Traces = append(g.Traces, Trace{name, seen}) }
		if g.Items, err = x.EvalItem(ec, it); err != nil {
			return nil, x, err
		}
		groups = append(groups, g)
	}
	return groups, x, nil
}

func (l *Lab) compile(src, focus string, job Job) (*fhirpath.Expression, error) {
	if !job.Strict {
		return l.Engine.Compile(src)
	}
	if l.Engine.Model().Type(focus) == nil {
		focus = ""
	}
	names := make([]string, 0, len(job.Variables))
	for name := range job.Variables {
		names = append(names, name)
	}
	return l.Engine.Compile(src, fhirpath.Strict(focus), fhirpath.Declare(names...))
}

// Read parses a resource from JSON or XML text.
func (l *Lab) Read(text []byte) (fhir.Node, error) {
	if strings.HasPrefix(strings.TrimLeft(string(text[:min(len(text), 512)]), " \t\r\n\ufeff"), "<") {
		json, err := fhirxml.ToJSONAnyOrder(l.Engine.Model(), text)
		if err != nil {
			return fhir.Node{}, err
		}
		text = json
	}
	tree, err := fhir.Parse(text)
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}

// Variable makes a collection of a JSON value: an array gives its items, null
// none.
func (l *Lab) Variable(n fhir.Node) fhirpath.Collection {
	var c fhirpath.Collection
	for v := range n.Each() {
		if v.Kind() != fhir.Null {
			it := l.Engine.Item(v)
			if val, ok := it.Value(); ok {
				it = fhirpath.ValueItem(val)
			}
			c = append(c, it)
		}
	}
	return c
}

// message is an error as a sentence for the caller.
func message(err error) string {
	if issues := fault.IssuesOf(err); len(issues) > 0 && issues[0].TextEN != "" {
		return err.Error() + " (" + issues[0].TextEN + ")"
	}
	return err.Error()
}

// typeName is the FHIR or System type of an item; "object" for plain JSON.
func typeName(it fhirpath.Item) string {
	if t := it.Type(); t != "" {
		return t
	}
	return "object"
}
