// Package ucum reads units of measure in UCUM's case-sensitive form
// (https://ucum.org/ucum) and says how they convert.
//
// A [Unit] is a factor over base units. Two units of the same [Unit.Dimension]
// convert into each other by the ratio of their factors; Celsius, Fahrenheit and
// Réaumur also have an offset. Other special scales (pH, bel, neper …) and
// arbitrary units ([IU], [arb'U] …) are dimensions of their own: they compare
// with themselves only.
package ucum

import (
	_ "embed"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/qihuang-health/qihuang/internal/fault"
)

//go:embed units.tsv
var table string

// maxCode bounds the length of a unit, maxDepth its parentheses, maxExponent
// its powers: no clinical unit comes near, an attacker's would.
const (
	maxCode     = 256
	maxDepth    = 20
	maxExponent = 99
)

// Unit is a parsed unit: how much of its base units it is. It is immutable.
type Unit struct {
	factor *big.Rat
	offset *big.Rat // of special temperature scales, in kelvin; nil otherwise
	dims   []dim    // sorted by base, no zero exponents
}

type dim struct {
	base string
	exp  int
}

// Dimension names the kind of quantity, e.g. "g.m-3"; "" for pure numbers.
// Units convert into each other only if their dimensions are equal.
func (u *Unit) Dimension() string {
	var b strings.Builder
	for i, d := range u.dims {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(d.base)
		if d.exp != 1 {
			b.WriteString(strconv.Itoa(d.exp))
		}
	}
	return b.String()
}

// Comparable reports whether quantities of u and v convert into each other.
func (u *Unit) Comparable(v *Unit) bool { return slices.Equal(u.dims, v.dims) }

// Base returns value, given in u, in base units.
func (u *Unit) Base(value *big.Rat) *big.Rat {
	r := new(big.Rat).Mul(value, u.factor)
	if u.offset != nil {
		r.Add(r, u.offset)
	}
	return r
}

// FromBase returns value, given in base units, in u.
func (u *Unit) FromBase(value *big.Rat) *big.Rat {
	r := new(big.Rat).Set(value)
	if u.offset != nil {
		r.Sub(r, u.offset)
	}
	return r.Quo(r, u.factor)
}

// Special reports whether u has a zero point of its own (Celsius …), so that
// it cannot be multiplied or divided.
func (u *Unit) Special() bool { return u.offset != nil }

type atom struct {
	metric bool
	unit   *Unit
}

type tables struct{ atoms map[string]atom }

// Definitions are constant: decoded once, on first use, and never changed.
var load = sync.OnceValue(func() *tables {
	t := &tables{atoms: make(map[string]atom, 320)}
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) == 4 && !strings.HasPrefix(line, "#") {
			t.define(f[0], f[1], f[2], f[3])
		}
	}
	return t
})

func (t *tables) define(code, flags, factor, of string) {
	own := &Unit{factor: big.NewRat(1, 1), dims: []dim{{code, 1}}}
	a := atom{metric: strings.ContainsAny(flags, "mb"), unit: own}
	switch {
	case strings.ContainsAny(flags, "ba"):
	case strings.Contains(flags, "s"):
		if u := temperature(factor); u != nil {
			a.unit = u
		}
	default:
		f, ok := new(big.Rat).SetString(factor)
		u, err := t.parse(of)
		if ok && err == nil {
			a.unit = &Unit{factor: f.Mul(f, u.factor), dims: u.dims}
		}
	}
	t.atoms[code] = a
}

func temperature(scale string) *Unit {
	kelvin := []dim{{"K", 1}}
	switch scale {
	case "Cel":
		return &Unit{factor: big.NewRat(1, 1), offset: big.NewRat(27315, 100), dims: kelvin}
	case "degF": // K = (F + 459.67) · 5/9
		return &Unit{factor: big.NewRat(5, 9), offset: big.NewRat(45967*5, 900), dims: kelvin}
	case "degRe":
		return &Unit{factor: big.NewRat(5, 4), offset: big.NewRat(27315, 100), dims: kelvin}
	}
	return nil
}

var prefixes = map[string]int{"Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
	"d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24}

var binary = map[string]int64{"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}

// Parse reads a unit such as "mg/dL", "10*9/L", "mm[Hg]" or "kg.m/s2".
// Errors are fault.Invalid.
func Parse(code string) (*Unit, error) { return load().parse(code) }

func (t *tables) parse(code string) (*Unit, error) {
	if len(code) > maxCode {
		return nil, fault.New(fault.Invalid, "unit of %d bytes", len(code))
	}
	p := parser{t: t, src: code}
	u, ok := p.term(0)
	if !ok || p.pos != len(code) {
		return nil, fault.New(fault.Invalid, "%q is not a UCUM unit", code)
	}
	return u, nil
}

type parser struct {
	t   *tables
	src string
	pos int
}

func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

// term = ["/"] component { ("." | "/") component }
func (p *parser) term(depth int) (*Unit, bool) {
	u := &Unit{factor: big.NewRat(1, 1)}
	if depth > maxDepth || p.src == "" {
		return nil, false
	}
	sign, first := 1, true
	if p.peek() == '/' {
		sign = -1
		p.pos++
	}
	for {
		c, ok := p.component(depth)
		if !ok {
			return nil, false
		}
		if first && sign == 1 {
			u = c
		} else if u, ok = u.times(c, sign); !ok {
			return nil, false
		}
		first = false
		switch p.peek() {
		case '.':
			sign = 1
		case '/':
			sign = -1
		default:
			return u, true
		}
		p.pos++
	}
}

func (p *parser) component(depth int) (*Unit, bool) {
	switch c := p.peek(); {
	case c == '(':
		p.pos++
		u, ok := p.term(depth + 1)
		if !ok || p.peek() != ')' {
			return nil, false
		}
		p.pos++
		return u, true
	case c == '{':
		return &Unit{factor: big.NewRat(1, 1)}, p.annotation()
	case c >= '0' && c <= '9' && !strings.HasPrefix(p.src[p.pos:], "10*") && !strings.HasPrefix(p.src[p.pos:], "10^"):
		n, ok := p.digits()
		return &Unit{factor: new(big.Rat).SetInt64(n)}, ok && n > 0
	}
	return p.simple()
}

func (p *parser) annotation() bool {
	end := strings.IndexByte(p.src[p.pos:], '}')
	if end < 0 {
		return false
	}
	p.pos += end + 1
	return true
}

func (p *parser) digits() (int64, bool) {
	start := p.pos
	for p.peek() >= '0' && p.peek() <= '9' {
		p.pos++
	}
	n, err := strconv.ParseInt(p.src[start:p.pos], 10, 64)
	return n, err == nil
}

// simple = atom [exponent] [annotation]
func (p *parser) simple() (*Unit, bool) {
	start := p.pos
	if strings.HasPrefix(p.src[start:], "10*") || strings.HasPrefix(p.src[start:], "10^") {
		p.pos += 3
	} else {
		p.symbol()
	}
	u, ok := p.t.lookup(p.src[start:p.pos])
	if !ok {
		return nil, false
	}
	exp := int64(1)
	if c := p.peek(); c == '+' || c == '-' || c >= '0' && c <= '9' {
		if c == '+' || c == '-' {
			p.pos++
		}
		if exp, ok = p.digits(); !ok || exp > maxExponent {
			return nil, false
		}
		if c == '-' {
			exp = -exp
		}
	}
	if p.peek() == '{' && !p.annotation() {
		return nil, false
	}
	return u.power(int(exp))
}

// symbol moves over an atom's symbol: up to an operator, digit, sign or
// annotation, where square brackets protect their content.
func (p *parser) symbol() {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '[':
			end := strings.IndexByte(p.src[p.pos:], ']')
			if end < 0 {
				p.pos = len(p.src)
				return
			}
			p.pos += end + 1
		case c >= '0' && c <= '9', strings.IndexByte("./+-(){}", c) >= 0:
			return
		default:
			p.pos++
		}
	}
}

func (t *tables) lookup(symbol string) (*Unit, bool) {
	if a, ok := t.atoms[symbol]; ok {
		return a.unit, true
	}
	for n := 1; n <= 2 && n < len(symbol); n++ {
		a, ok := t.atoms[symbol[n:]]
		if !ok || !a.metric {
			continue
		}
		if exp, ok := prefixes[symbol[:n]]; ok {
			return a.unit.scale(ten(exp)), true
		}
		if f, ok := binary[symbol[:n]]; ok {
			return a.unit.scale(new(big.Rat).SetInt64(f)), true
		}
	}
	return nil, false
}

func ten(exp int) *big.Rat {
	n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exp, -exp))), nil)
	r := new(big.Rat).SetInt(n)
	if exp < 0 {
		r.Inv(r)
	}
	return r
}

func (u *Unit) scale(f *big.Rat) *Unit {
	return &Unit{factor: new(big.Rat).Mul(u.factor, f), offset: u.offset, dims: u.dims}
}

func (u *Unit) power(n int) (*Unit, bool) {
	if n == 1 {
		return u, true
	}
	if u.offset != nil {
		return nil, false
	}
	r := &Unit{factor: big.NewRat(1, 1)}
	for range max(n, -n) {
		r.factor.Mul(r.factor, u.factor)
	}
	if n < 0 {
		r.factor.Inv(r.factor)
	}
	for _, d := range u.dims {
		if n != 0 {
			r.dims = append(r.dims, dim{d.base, d.exp * n})
		}
	}
	return r, true
}

// times multiplies by c (sign 1) or divides by it (sign -1); not defined for
// units with a zero point of their own.
func (u *Unit) times(c *Unit, sign int) (*Unit, bool) {
	if u.offset != nil || c.offset != nil {
		return nil, false
	}
	r := &Unit{factor: new(big.Rat)}
	if sign > 0 {
		r.factor.Mul(u.factor, c.factor)
	} else {
		r.factor.Quo(u.factor, c.factor)
	}
	if r.factor.Num().BitLen()+r.factor.Denom().BitLen() > 1<<14 {
		return nil, false
	}
	i, j := 0, 0
	for i < len(u.dims) || j < len(c.dims) {
		switch {
		case j == len(c.dims) || i < len(u.dims) && u.dims[i].base < c.dims[j].base:
			r.dims = append(r.dims, u.dims[i])
			i++
		case i == len(u.dims) || c.dims[j].base < u.dims[i].base:
			r.dims = append(r.dims, dim{c.dims[j].base, sign * c.dims[j].exp})
			j++
		default:
			if e := u.dims[i].exp + sign*c.dims[j].exp; e != 0 {
				r.dims = append(r.dims, dim{u.dims[i].base, e})
			}
			i, j = i+1, j+1
		}
	}
	return r, true
}
