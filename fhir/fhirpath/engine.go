package fhirpath

import (
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Engine compiles expressions against a model. It is immutable and safe for
// concurrent use; one serves the whole process.
type Engine struct {
	model  *definitions.Model
	clock  clock.Clock
	limits Limits
	frames sync.Pool

	functions map[string]function
}

// Option changes an Engine.
type Option func(*Engine)

// WithClock sets the clock of now() for contexts that state no time.
func WithClock(c clock.Clock) Option { return func(e *Engine) { e.clock = c } }

// WithLimits sets the limits of evaluations; zero fields keep the default.
func WithLimits(l Limits) Option {
	return func(e *Engine) { e.limits = l.or(e.limits) }
}

func (l Limits) or(other Limits) Limits {
	if l.Steps == 0 {
		l.Steps = other.Steps
	}
	if l.Items == 0 {
		l.Items = other.Items
	}
	if l.Depth == 0 {
		l.Depth = other.Depth
	}
	return l
}

// NewEngine returns an engine over the R4 model.
func NewEngine(m *definitions.Model, opts ...Option) *Engine {
	e := &Engine{model: m, clock: clock.System{}, limits: DefaultLimits(), functions: table()}
	for _, o := range opts {
		o(e)
	}
	e.frames.New = func() any { return new(frame) }
	return e
}

// Model returns the model the engine compiles against.
func (e *Engine) Model() *definitions.Model { return e.model }

// Item makes an item of a node: a resource of R4 gets its type by resourceType,
// anything else is untyped JSON.
func (e *Engine) Item(n fhir.Node) Item {
	it := Item{node: n}
	if n.Kind() == fhir.Object {
		if rt := n.Get("resourceType"); rt.Kind() == fhir.String && e.model.IsResource(rt.Str()) {
			it.typ = e.model.Type(rt.Str())
		}
	}
	return it
}

// ItemOf makes an item of a node that is known to be of the named FHIR type
// ("HumanName", "Patient.contact", "date"); untyped if there is no such type.
// ext is the `_name` member of a primitive.
func (e *Engine) ItemOf(n, ext fhir.Node, typ string) Item {
	return Item{node: n, ext: ext, typ: e.model.Type(typ)}
}

// CompileOption changes how an expression is compiled.
type CompileOption func(*compiler)

// Strict checks the expression statically for input of the named FHIR type
// ("Patient", "HumanName", "Patient.contact"; "" if it may be anything): unknown
// paths, wrong operand types and ordered functions on unordered collections
// are errors.
func Strict(typeName string) CompileOption {
	return func(c *compiler) { c.strict, c.root = true, typeName }
}

// Declare names the variables that the context will carry: others are errors
// when compiling then.
func Declare(names ...string) CompileOption {
	return func(c *compiler) { c.declares, c.declared = true, append(c.declared, names...) }
}

// ForViews compiles for SQL on FHIR, where join() of nothing is an empty string.
func ForViews() CompileOption { return func(c *compiler) { c.views = true } }

// Expression is a compiled expression, immutable and safe for concurrent use.
type Expression struct {
	eng  *Engine
	src  string
	root op
	ast  *expr
}

// Compile parses and compiles an expression. Errors are fault.Invalid: bad
// syntax, unknown functions or types and, with [Strict], semantic errors.
func (e *Engine) Compile(src string, opts ...CompileOption) (*Expression, error) {
	c := &compiler{eng: e}
	for _, o := range opts {
		o(c)
	}
	x, err := parse(src)
	if err != nil {
		return nil, err
	}
	root, err := c.compile(x)
	if err != nil {
		return nil, err
	}
	if c.strict {
		if _, err := e.shape(x, c.root, c.declared); err != nil {
			return nil, err
		}
	}
	return &Expression{eng: e, src: src, root: root, ast: x}, nil
}

// String returns the source of the expression.
func (x *Expression) String() string { return x.src }

// Tree returns the parse tree.
func (x *Expression) Tree() Tree { return x.ast.tree() }

// ResultTypes says what the static check knows of the result for input of the
// named FHIR type: its FHIR and System types, and whether there may be several
// items. No types mean that it may be anything. The error is that of [Strict].
func (x *Expression) ResultTypes(typeName string, declared ...string) (types []string, many bool, err error) {
	s, err := x.eng.shape(x.ast, typeName, declared)
	if err != nil || s.any {
		return nil, s.many, err
	}
	return s.names(), s.many, nil
}

// Eval evaluates the expression on a resource (or untyped JSON). ctx may be
// nil. Errors are fault.Invalid where data and expression do not fit, and
// fault.TooCostly over a limit.
func (x *Expression) Eval(ctx *Context, input fhir.Node) (Collection, error) {
	return x.Append(nil, ctx, x.eng.Item(input))
}

// EvalItem is [Expression.Eval] for any item, e.g. one of another result.
func (x *Expression) EvalItem(ctx *Context, input Item) (Collection, error) {
	return x.Append(nil, ctx, input)
}

// Append evaluates the expression on input and appends the result to dst, so
// that a caller in a loop need not allocate.
func (x *Expression) Append(dst Collection, ctx *Context, input Item) (Collection, error) {
	f := x.eng.frame(ctx, input)
	out, err := x.root.eval(f, dst)
	if err == nil && len(out)-len(dst) > f.limits.Items {
		err = errItems
	}
	f.release()
	if err != nil {
		return dst, wrap(x.src, err)
	}
	return out, nil
}

// EvalBool evaluates the expression to one truth value by the singleton rule:
// empty is false, one item that is no Boolean is true, several are an error.
func (x *Expression) EvalBool(ctx *Context, input fhir.Node) (bool, error) {
	return x.EvalItemBool(ctx, x.eng.Item(input))
}

// EvalItemBool is [Expression.EvalBool] for any item.
func (x *Expression) EvalItemBool(ctx *Context, input Item) (bool, error) {
	f := x.eng.frame(ctx, input)
	t, err := f.truth(x.root)
	f.release()
	if err != nil {
		return false, wrap(x.src, err)
	}
	return t == yes, nil
}

func wrap(src string, err error) error {
	if len(src) > 200 {
		src = src[:200] + "…"
	}
	return fault.New(fault.KindOf(err), "evaluate %s: %w", src, err)
}
