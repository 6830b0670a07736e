package fhirpath

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
)

// Context is what an evaluation may see beside its input. The zero value, and
// nil, are good: the input is then its own %context and %resource. A Context
// may be reused, and shared by concurrent evaluations that do not change it.
type Context struct {
	Ctx          context.Context // ends the evaluation; nil = never
	Resource     fhir.Node       // %resource; absent = the input, if it is a resource
	RootResource fhir.Node       // %rootResource: what contains %resource; absent = %resource
	Now          time.Time       // now(), today(), timeOfDay(); zero = the engine's clock
	Variables    map[string]Collection
	Resolver     Resolver
	Terminology  Terminology
	Conformance  Conformance
	Trace        func(name string, items Collection) // receives trace(); may be nil
	Limits       Limits                              // zero fields = the engine's
}

// Limits bound one evaluation.
type Limits struct {
	Steps int // items visited
	Items int // size of a collection
	Depth int // nesting of an expression's evaluation
}

// DefaultLimits suit trusted and untrusted expressions alike: a few seconds of
// work at most.
func DefaultLimits() Limits { return Limits{Steps: 20_000_000, Items: 1_000_000, Depth: 2_000} }

// Resolver finds what a reference points to.
type Resolver interface {
	// Resolve returns the resource for a literal reference ("Patient/1", an
	// absolute URL, "urn:uuid:…"), absent if unknown. base is the resource
	// that holds the reference. References to contained resources ("#x") and
	// inside a Bundle are resolved before it is asked.
	Resolve(ctx context.Context, reference string, base fhir.Node) (fhir.Node, error)
}

// Terminology answers questions on codes; package terminology implements it.
type Terminology interface {
	// MemberOf reports whether a Coding is in the value set. An empty system
	// means any. An unknown value set is an error.
	MemberOf(ctx context.Context, valueSet, system, version, code string) (bool, error)
	// Subsumes reports whether code a of the system equals b or is above it.
	Subsumes(ctx context.Context, system, a, b string) (bool, error)
}

// Operations is optionally implemented by a Terminology: it serves the
// functions of %terminologies (expand, lookup, validateVS, validateCS,
// subsumes, translate). params is a URL-encoded list of further parameters.
type Operations interface {
	Operation(ctx context.Context, name string, args []Item, params string) (fhir.Node, error)
}

// Conformance answers conformsTo().
type Conformance interface {
	// Conforms reports whether the node is valid against the profile; an
	// unknown profile is an error.
	Conforms(ctx context.Context, node fhir.Node, profile string) (bool, error)
}

func (c *Context) context() context.Context {
	if c.Ctx != nil {
		return c.Ctx
	}
	return context.Background()
}
