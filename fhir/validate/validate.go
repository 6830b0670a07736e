package validate

import (
	"context"
	"strconv"
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Level is how much is checked.
type Level uint8

// The levels, from nothing to everything.
const (
	Off       Level = iota // nothing
	Structure              // types, required elements, cardinality, formats
	Full                   // and terminology, invariants, references, narrative, profiles
)

var levelNames = [...]string{"off", "structure", "full"}

// String returns off, structure or full.
func (l Level) String() string { return levelNames[min(int(l), len(levelNames)-1)] }

// ParseLevel reads off, structure or full.
func ParseLevel(s string) (Level, error) {
	for i, n := range levelNames {
		if n == s {
			return Level(i), nil
		}
	}
	return Off, fault.New(fault.Invalid, "validation level %q: use off, structure or full", s)
}

// DefaultMaxIssues is how many findings one validation lists at most.
const DefaultMaxIssues = 200

// Options say how to validate. The zero value checks nothing.
type Options struct {
	Level     Level
	Profiles  []string // canonicals the resource must conform to, beside meta.profile (Full)
	MaxIssues int      // 0 = DefaultMaxIssues
}

// Validator validates resources of one model. It is safe for concurrent use.
type Validator struct {
	model     *definitions.Model
	fp        *fhirpath.Engine
	terms     *terminology.Service
	schemas   map[string]*schema
	element   *schema // of the `_name` of a primitive
	profiles  *profiles
	paths     expressions // of discriminators
	tx        fhirpath.Terminology
	resources Resources
	refresh   func(context.Context) error // before operations; may be nil
	walks     sync.Pool
}

// Option changes a validator at its making.
type Option func(*Validator)

// WithResources lets the validator find stored Questionnaires.
func WithResources(r Resources) Option { return func(v *Validator) { v.resources = r } }

// Follow makes $validate call refresh first, which brings terminology and
// profiles up to what is stored. It is called once, before the validator is used
// by several goroutines.
func (v *Validator) Follow(refresh func(context.Context) error) { v.refresh = refresh }

// New compiles the model's types. fp evaluates invariants and terms answers
// bindings; either may be nil, which leaves its checks out.
func New(m *definitions.Model, fp *fhirpath.Engine, terms *terminology.Service, opts ...Option) *Validator {
	v := &Validator{model: m, fp: fp, terms: terms, schemas: schemas(m)}
	compileRules(v.schemas)
	v.element = v.schemas["Element"]
	v.profiles = newProfiles(v)
	if terms != nil {
		v.tx = terms.FHIRPath()
	}
	for _, o := range opts {
		o(v)
	}
	v.walks.New = func() any { return &walk{v: v} }
	return v
}

// Validate checks a resource and returns what it found, errors and warnings in
// document order; nil if nothing. The tree must be of raw JSON text as
// [fhir.Parse] gives it.
func (v *Validator) Validate(ctx context.Context, n fhir.Node, o Options) []fault.Issue {
	if o.Level == Off {
		return nil
	}
	w := v.walks.Get().(*walk)
	w.begin(ctx, n, &o)
	w.run(n)
	issues := w.end()
	v.walks.Put(w)
	return issues
}

func (w *walk) begin(ctx context.Context, n fhir.Node, o *Options) {
	w.ctx, w.opts, w.root, w.full = ctx, o, n, o.Level >= Full
	if w.max = o.MaxIssues; w.max <= 0 {
		w.max = DefaultMaxIssues
	}
	name := n.ResourceType()
	if name == "" {
		name = "Resource"
	}
	w.path = append(w.path[:0], step{name, -1})
	w.scope = scope{resource: n, root: n}
	w.issues, w.dropped = nil, 0
}

func (w *walk) run(n fhir.Node) {
	s := w.resource(n)
	if s == nil || !w.full {
		return
	}
	w.resourceRules(n, s)
	w.declaredProfiles(n, s)
}

// end returns the findings and drops every reference to the caller's data.
func (w *walk) end() []fault.Issue {
	issues := w.issues
	if w.dropped > 0 {
		n := strconv.Itoa(w.dropped)
		issues = append(issues, fault.Issue{Severity: "warning", Code: "too-long", Key: "too-many-issues",
			Text: "另有 " + n + " 个问题未列出", TextEN: n + " more issues are not listed"})
	}
	clear(w.results[:cap(w.results)])
	clear(w.owners[:cap(w.owners)])
	*w = walk{v: w.v, path: w.path[:0], owners: w.owners[:0], results: w.results[:0]}
	return issues
}

// Conforms reports whether a resource is valid against a profile; an unknown
// profile is a fault.NotFound. It serves FHIRPath's conformsTo().
func (v *Validator) Conforms(ctx context.Context, n fhir.Node, profile string) (bool, error) {
	s := v.schemas[n.ResourceType()]
	if s == nil {
		return false, nil
	}
	depth, _ := ctx.Value(conformsDepth{}).(int)
	if depth >= maxNesting {
		return false, fault.New(fault.TooCostly, "conformsTo(%s) nested deeper than %d", profile, maxNesting)
	}
	ctx = context.WithValue(ctx, conformsDepth{}, depth+1)
	o := Options{Level: Full}
	if s.typ.URL != profile {
		p, err := v.profiles.profile(profile)
		if err != nil {
			return false, err
		}
		if p == nil {
			return false, fault.New(fault.NotFound, "profile %s is not known", profile)
		}
		o.Profiles = []string{profile}
	}
	return Valid(v.Validate(ctx, n, o)), nil
}

// conformsDepth is the context key that counts conformsTo within conformsTo.
type conformsDepth struct{}

// Valid reports whether no finding is an error.
func Valid(issues []fault.Issue) bool {
	for i := range issues {
		if s := issues[i].Severity; s == "error" || s == "fatal" {
			return false
		}
	}
	return true
}

// Policy is a validator with its options: what a door that takes resources in
// applies to each.
type Policy struct {
	Validator *Validator
	Options   Options
}

// Check returns the findings on one resource.
func (p Policy) Check(ctx context.Context, res fhir.Node) []fault.Issue {
	return p.Validator.Validate(ctx, res, p.Options)
}
