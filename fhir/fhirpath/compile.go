package fhirpath

import (
	"slices"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// compiler turns a parse tree into ops.
type compiler struct {
	eng      *Engine
	strict   bool
	root     string
	declares bool // variables must be declared
	declared []string
	views    bool
}

func (c *compiler) fail(x *expr, format string, args ...any) error {
	err := fault.New(fault.Invalid, format, args...)
	err.Msg = "FHIRPath: " + err.Msg
	return err
}

func (c *compiler) compile(x *expr) (op, error) {
	switch x.kind {
	case exLiteral:
		return literalOp{x.value}, nil
	case exEmpty:
		return emptyOp{}, nil
	case exName:
		return c.step(x, step{name: &nameStep{name: x.name, headed: x.target == nil}})
	case exThis, exIndex, exTotal:
		return c.axis(x)
	case exVariable:
		if c.declares && !slices.Contains(c.declared, x.name) && !builtinVariable(x.name) {
			return nil, c.fail(x, "unknown variable %%%s", x.name)
		}
		return &variableOp{name: x.name}, nil
	case exIndexer:
		return c.indexer(x)
	case exUnary:
		return c.unary(x)
	case exBinary:
		return c.binary(x)
	case exType:
		return c.typeOperator(x, x.args[0])
	}
	return c.call(x)
}

func (c *compiler) compileAll(xs []*expr) ([]op, error) {
	ops := make([]op, len(xs))
	for i, x := range xs {
		o, err := c.compile(x)
		if err != nil {
			return nil, err
		}
		ops[i] = o
	}
	return ops, nil
}

// step appends s to the path that the target compiled to, or begins one.
func (c *compiler) step(x *expr, s step) (op, error) {
	return c.stepOn(x.target, s)
}

func (c *compiler) stepOn(target *expr, s step) (op, error) {
	if target == nil {
		return &pathOp{steps: []step{s}}, nil
	}
	from, err := c.compile(target)
	if err != nil {
		return nil, err
	}
	if p, ok := from.(*pathOp); ok {
		p.steps = append(p.steps, s)
		return p, nil
	}
	return &pathOp{from: from, steps: []step{s}}, nil
}

func (c *compiler) typeOf(x *expr) (typeTest, error) {
	t, ok := c.eng.resolveType(x.typ)
	if !ok {
		return t, c.fail(x, "unknown type %s", x.typ)
	}
	return t, nil
}

// typeOperator compiles is and as, as operators and as functions, and ofType().
func (c *compiler) typeOperator(x *expr, operand *expr) (op, error) {
	t, err := c.typeOf(x)
	if err != nil {
		return nil, err
	}
	if x.name != "is" {
		return c.stepOn(operand, step{typ: t})
	}
	var from op = thisOp{}
	if operand != nil {
		if from, err = c.compile(operand); err != nil {
			return nil, err
		}
	}
	if call, ok := from.(*callOp); ok && call.name == "resolve" {
		if from = call.from; from == nil {
			from = thisOp{}
		}
		return &resolveIsOp{from: from, typ: t}, nil
	}
	return &isOp{from: from, typ: t}, nil
}

func (c *compiler) axis(x *expr) (op, error) {
	if x.target != nil && x.kind != exThis {
		return nil, c.fail(x, "%s cannot follow a point", x.describe())
	}
	switch x.kind {
	case exIndex:
		return indexOp{}, nil
	case exTotal:
		return totalOp{}, nil
	}
	if x.target != nil {
		return c.compile(x.target)
	}
	return thisOp{}, nil
}

func (c *compiler) indexer(x *expr) (op, error) {
	from, err := c.compile(x.target)
	if err != nil {
		return nil, err
	}
	args, err := c.compileAll(x.args)
	if err != nil {
		return nil, err
	}
	return &indexerOp{from, args[0]}, nil
}

func (c *compiler) unary(x *expr) (op, error) {
	operand, err := c.compile(x.args[0])
	if err != nil {
		return nil, err
	}
	return &signOp{operand, x.name == "-"}, nil
}

func (c *compiler) binary(x *expr) (op, error) {
	ops, err := c.compileAll(x.args)
	if err != nil {
		return nil, err
	}
	a, b := ops[0], ops[1]
	switch x.name {
	case "=", "!=":
		return &equalOp{a, b, x.name == "!="}, nil
	case "~", "!~":
		return &equivalentOp{a, b, x.name == "!~"}, nil
	case "<", ">", "<=", ">=":
		return &compareOp{a, b, x.name}, nil
	case "and", "or", "xor", "implies":
		return &logicOp{a, b, x.name}, nil
	case "|":
		return union(a, b), nil
	case "in":
		return &memberOp{a, b}, nil
	case "contains":
		return &memberOp{b, a}, nil
	case "&":
		return &concatOp{a, b}, nil
	}
	return &arithmeticOp{a, b, x.name}, nil
}

func (c *compiler) call(x *expr) (op, error) {
	switch x.name {
	case "is", "as", "ofType":
		if x.typ.name == "" {
			return nil, c.fail(x, "%s() needs a type", x.name)
		}
		return c.typeOperator(x, x.target)
	}
	fn, ok := c.eng.functions[x.name]
	if !ok {
		return nil, c.fail(x, "unknown function %s()%s", x.name, c.eng.suggest(x.name))
	}
	if n := len(x.args); n < fn.min || n > fn.max {
		return nil, c.fail(x, "%s() takes %s, not %d", x.name, fn.arity(), n)
	}
	o := &callOp{name: x.name, fn: fn.eval}
	var err error
	if x.target != nil {
		if o.from, err = c.compile(x.target); err != nil {
			return nil, err
		}
	}
	if o.args, err = c.compileAll(x.args); err != nil {
		return nil, err
	}
	if x.name == "defineVariable" && x.args[0].kind == exLiteral {
		c.declared = append(c.declared, x.args[0].value.str)
	}
	if x.name == "join" && c.views {
		o.fn = fnJoinViews
	}
	if fn.prepare != nil {
		return fn.prepare(c, x, o)
	}
	return o, nil
}
