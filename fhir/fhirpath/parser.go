package fhirpath

import (
	"slices"
	"strings"
)

// maxSource and maxNesting bound an expression: the longest of R4's own has
// 1.6 kB and nests 12 deep.
const (
	maxSource  = 1 << 16
	maxNesting = 200
	maxChain   = 4000
)

type parser struct {
	lexer
	depth int
	nodes int
}

// parse reads a whole expression.
func parse(src string) (*expr, error) {
	p := &parser{lexer: lexer{src: src}}
	if len(src) > maxSource {
		return nil, (&SyntaxError{Source: src, Msg: "expression too long"}).fault()
	}
	p.next()
	x := p.expression(0)
	if p.err == nil && p.tok.kind != tkEnd {
		p.unexpected()
	}
	if p.err != nil {
		return nil, p.err.fault()
	}
	return x, nil
}

// binding powers of the binary operators, weakest first.
var powers = map[string]int{
	"implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4,
	"=": 5, "~": 5, "!=": 5, "!~": 5, "<": 6, ">": 6, "<=": 6, ">=": 6,
	"|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10, "mod": 10,
}

const unaryPower = 11

func (p *parser) unexpected() {
	if p.tok.kind == tkEnd {
		p.fail(p.tok.pos, "expression ends too early")
		return
	}
	p.fail(p.tok.pos, "unexpected "+p.src[p.tok.pos:p.tok.end])
}

func (p *parser) node(x expr) *expr {
	if p.nodes++; p.nodes > maxChain {
		p.fail(x.pos, "expression too complex")
	}
	return &x
}

func (p *parser) is(symbol string) bool { return p.tok.kind == tkSymbol && p.tok.text == symbol }

func (p *parser) expect(symbol string) {
	if !p.is(symbol) {
		p.unexpected()
		return
	}
	p.next()
}

func (p *parser) expression(power int) *expr {
	if p.depth++; p.depth > maxNesting {
		p.fail(p.tok.pos, "expression nested too deeply")
	}
	defer func() { p.depth-- }()
	left := p.prefix()
	for p.err == nil {
		op := p.tok
		pw := 0
		if op.kind == tkSymbol || op.kind == tkName {
			pw = powers[op.text]
		}
		if pw == 0 || pw <= power {
			break
		}
		p.next()
		if op.text == "is" || op.text == "as" {
			left = p.node(expr{kind: exType, pos: op.pos, name: op.text, args: []*expr{left}, typ: p.typeSpecifier()})
			continue
		}
		right := p.expression(pw)
		left = p.node(expr{kind: exBinary, pos: op.pos, name: op.text, args: []*expr{left, right}})
	}
	return left
}

func (p *parser) prefix() *expr {
	if p.is("-") || p.is("+") {
		op := p.tok
		p.next()
		operand := p.expression(unaryPower)
		return p.node(expr{kind: exUnary, pos: op.pos, name: op.text, args: []*expr{operand}})
	}
	x := p.term()
	for p.err == nil {
		switch {
		case p.is("."):
			p.next()
			x = p.invocation(x)
		case p.is("["):
			pos := p.tok.pos
			p.next()
			index := p.expression(0)
			p.expect("]")
			x = p.node(expr{kind: exIndexer, pos: pos, target: x, args: []*expr{index}})
		default:
			return x
		}
	}
	return x
}

// invocation reads a name, function or $axis after a point, or at the start
// of a term (target nil).
func (p *parser) invocation(target *expr) *expr {
	t := p.tok
	switch t.kind {
	case tkName, tkDelimited:
		p.next()
		if t.kind == tkName && p.is("(") {
			return p.call(target, t)
		}
		return p.node(expr{kind: exName, pos: t.pos, name: t.text, target: target})
	case tkSpecial:
		p.next()
		kind, ok := map[string]exprKind{"$this": exThis, "$index": exIndex, "$total": exTotal}[t.text]
		if ok {
			return p.node(expr{kind: kind, pos: t.pos, target: target})
		}
		p.fail(t.pos, "unknown "+t.text)
		return nil
	}
	p.unexpected()
	return nil
}

func (p *parser) call(target *expr, name token) *expr {
	x := p.node(expr{kind: exCall, pos: name.pos, name: name.text, target: target})
	p.next()
	if p.is(")") {
		p.next()
		return x
	}
	if name.text == "is" || name.text == "as" || name.text == "ofType" {
		x.typ = p.typeSpecifier()
		p.expect(")")
		return x
	}
	for p.err == nil {
		x.args = append(x.args, p.expression(0))
		if p.is(")") {
			p.next()
			return x
		}
		p.expect(",")
	}
	return x
}

// typeSpecifier = identifier {"." identifier}
func (p *parser) typeSpecifier() typeName {
	var parts []string
	for {
		if p.tok.kind != tkName && p.tok.kind != tkDelimited {
			p.unexpected()
			return typeName{}
		}
		parts = append(parts, p.tok.text)
		p.next()
		if len(parts) == 1 && parts[0] != "System" && parts[0] != "FHIR" || len(parts) == 2 || !p.is(".") {
			break
		}
		p.next()
	}
	if len(parts) == 2 {
		return typeName{parts[0], parts[1]}
	}
	return typeName{"", strings.Join(parts, ".")}
}

func (p *parser) term() *expr {
	t := p.tok
	switch t.kind {
	case tkString:
		p.next()
		return p.literal(t, String(t.text))
	case tkNumber:
		return p.number(t)
	case tkDate:
		p.next()
		v, ok := parseTemporalLiteral(t.text)
		if !ok {
			p.fail(t.pos, "no valid date or time: @"+t.text)
		}
		return p.literal(t, v)
	case tkName:
		if t.text == "true" || t.text == "false" {
			p.next()
			return p.literal(t, Boolean(t.text == "true"))
		}
		return p.invocation(nil)
	case tkDelimited, tkSpecial:
		return p.invocation(nil)
	}
	switch {
	case p.is("("):
		p.next()
		x := p.expression(0)
		p.expect(")")
		if x != nil {
			x.paren = true
		}
		return x
	case p.is("{"):
		p.next()
		p.expect("}")
		return p.node(expr{kind: exEmpty, pos: t.pos})
	case p.is("%"):
		p.next()
		name := p.tok
		if name.kind != tkName && name.kind != tkDelimited && name.kind != tkString {
			p.unexpected()
			return nil
		}
		p.next()
		return p.node(expr{kind: exVariable, pos: t.pos, name: name.text})
	}
	p.unexpected()
	return nil
}

func (p *parser) literal(t token, v Value) *expr {
	return p.node(expr{kind: exLiteral, pos: t.pos, value: v})
}

var calendarUnits = []string{"year", "month", "week", "day", "hour", "minute", "second", "millisecond"}

// number reads a number or, with a unit after it, a quantity.
func (p *parser) number(t token) *expr {
	p.next()
	v, ok := parseNumber(t.text)
	if !ok {
		p.fail(t.pos, "number out of range: "+t.text)
		return nil
	}
	switch {
	case p.tok.kind == tkString:
		v = quantityOf(v.decimal(), p.tok.text, false)
		p.next()
	case p.tok.kind == tkName && slices.Contains(calendarUnits, strings.TrimSuffix(p.tok.text, "s")):
		v = quantityOf(v.decimal(), p.tok.text, true)
		p.next()
	}
	return p.literal(t, v)
}
