package fhirpath

import (
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// op is a compiled node: it appends its result for the frame's focus to dst.
type op interface {
	eval(f *frame, dst []Item) ([]Item, error)
}

// frame is the state of one evaluation. Frames are pooled with their buffers.
type frame struct {
	eng    *Engine
	ctx    *Context
	limits Limits
	this   []Item // $this, the focus of names without a target
	index  int64  // $index
	total  []Item // $total
	scope  *scope // variables defined by defineVariable()
	root   [1]Item
	zero   Context
	now    time.Time
	steps  int
	depth  int
	free   [][]Item
}

type scope struct {
	name  string
	value []Item
	outer *scope
}

var (
	errSteps = fault.New(fault.TooCostly, "expression takes too many steps")
	errItems = fault.New(fault.TooCostly, "collection too large")
	errDepth = fault.New(fault.TooCostly, "evaluation nested too deeply")
)

func (e *Engine) frame(ctx *Context, input Item) *frame {
	f := e.frames.Get().(*frame)
	f.eng, f.ctx = e, ctx
	if ctx == nil {
		f.ctx = &f.zero
	}
	f.limits = f.ctx.Limits.or(e.limits)
	f.root[0] = input
	f.this = f.root[:]
	if !input.node.Exists() && !input.ext.Exists() && !input.isValue() {
		f.this = f.root[:0]
	}
	return f
}

func (f *frame) release() {
	e := f.eng
	free := f.free
	*f = frame{free: free}
	e.frames.Put(f)
}

// buffer returns an empty scratch slice; give it back with recycle.
func (f *frame) buffer() []Item {
	if n := len(f.free); n > 0 {
		b := f.free[n-1]
		f.free = f.free[:n-1]
		return b
	}
	return make([]Item, 0, 16)
}

const keepCap = 1024

func (f *frame) recycle(b []Item) {
	if cap(b) <= keepCap && len(f.free) < 32 {
		f.free = append(f.free, b[:0])
	}
}

// tick counts n steps and ends the evaluation over a limit.
func (f *frame) tick(n int) error {
	before := f.steps
	f.steps += n
	if f.steps > f.limits.Steps {
		return errSteps
	}
	if before>>12 != f.steps>>12 && f.ctx.Ctx != nil {
		if err := f.ctx.Ctx.Err(); err != nil {
			return fault.New(fault.TooCostly, "evaluation ended early: %w", err)
		}
	}
	return nil
}

// grown checks a collection's size.
func (f *frame) grown(items []Item) error {
	if len(items) > f.limits.Items {
		return errItems
	}
	return nil
}

func (f *frame) time() time.Time {
	if f.now.IsZero() {
		if f.now = f.ctx.Now; f.now.IsZero() {
			f.now = f.eng.clock.Now()
		}
	}
	return f.now
}

// resource returns %resource.
func (f *frame) resource() fhir.Node {
	if f.ctx.Resource.Exists() {
		return f.ctx.Resource
	}
	return f.root[0].node
}

// collect evaluates x into a buffer; recycle it. Variables that x defines end
// with it.
func (f *frame) collect(x op) ([]Item, error) {
	scope := f.scope
	b, err := x.eval(f, f.buffer())
	f.scope = scope
	return b, err
}

// target is collect for what a point follows: its variables stay.
func (f *frame) target(x op) ([]Item, error) { return x.eval(f, f.buffer()) }

// one evaluates x to at most one item.
func (f *frame) one(x op) (it Item, ok bool, err error) {
	b, err := f.collect(x)
	if err != nil {
		return Item{}, false, err
	}
	if len(b) > 1 {
		f.recycle(b)
		return Item{}, false, evalError("one item expected where there are several")
	}
	if len(b) == 1 {
		it, ok = b[0], true
	}
	f.recycle(b)
	return it, ok, nil
}

// value evaluates x to at most one System value; ok is false if empty.
func (f *frame) value(x op) (v Value, ok bool, err error) {
	it, ok, err := f.one(x)
	if err != nil || !ok {
		return Value{}, false, err
	}
	v, ok = it.Value()
	return v, ok, nil
}

// text evaluates x to at most one string; ok is false if empty.
func (f *frame) text(x op, what string) (s string, ok bool, err error) {
	v, ok, err := f.value(x)
	if err != nil || !ok {
		return "", false, err
	}
	if v.kind != KindString {
		return "", false, evalError("%s must be a string, not %s", what, v.kind)
	}
	return v.str, true, nil
}

// integer evaluates x to at most one integer; ok is false if empty.
func (f *frame) integer(x op, what string) (n int64, ok bool, err error) {
	v, ok, err := f.value(x)
	if err != nil || !ok {
		return 0, false, err
	}
	if v.kind != KindInteger {
		return 0, false, evalError("%s must be an integer, not %s", what, v.kind)
	}
	return v.n, true, nil
}

// truth values of three-valued logic.
type truth uint8

const (
	unknown truth = iota
	yes
	no
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// truth evaluates x to one truth value by the singleton rule.
func (f *frame) truth(x op) (truth, error) {
	if t, ok := x.(truthOp); ok {
		return t.truth(f)
	}
	b, err := f.collect(x)
	if err != nil {
		return unknown, err
	}
	t, err := truthOfItems(b)
	f.recycle(b)
	return t, err
}

func truthOfItems(b []Item) (truth, error) {
	switch len(b) {
	case 0:
		return unknown, nil
	case 1:
		if v, ok := b[0].Value(); ok && v.kind == KindBoolean {
			return truthOf(v.n != 0), nil
		}
		return yes, nil
	}
	return unknown, evalError("a truth value is expected where there are %d items", len(b))
}

// truthOp is an op that knows its truth value without making items.
type truthOp interface {
	truth(f *frame) (truth, error)
}

func appendTruth(dst []Item, t truth) []Item {
	switch t {
	case yes:
		return append(dst, Item{val: Boolean(true)})
	case no:
		return append(dst, Item{val: Boolean(false)})
	}
	return dst
}

func evalError(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

// each evaluates fn with $this and $index set to every item in turn.
func (f *frame) each(items []Item, fn func(i int) error) error {
	this, index, scope := f.this, f.index, f.scope
	defer func() { f.this, f.index, f.scope = this, index, scope }()
	if f.depth++; f.depth > f.limits.Depth {
		return errDepth
	}
	for i := range items {
		f.this, f.index, f.scope = items[i:i+1], int64(i), scope
		if err := fn(i); err != nil {
			return err
		}
	}
	f.depth--
	return f.tick(len(items))
}
