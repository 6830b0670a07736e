package param

import (
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/text"
)

// composite emits the pairs of the first two components of one element: the
// first exactly, the second in its order. What a query asks of further
// components, and of units, the resource itself decides.
func (x *Reader) composite(p *Param, typ string, n fhir.Node) {
	var firsts [][]byte
	p.Parts[0].Each(x, typ, n, func(v []byte) { firsts = append(firsts, v) })
	if len(firsts) == 0 {
		return
	}
	p.Parts[1].Each(x, typ, n, func(second []byte) {
		for _, first := range firsts {
			x.start(p, key.Composite)
			x.buf = append(append(x.buf, first...), second...)
			x.end()
		}
	})
}

// Each yields the index forms of the component's values in an element of the
// composite that x holds the resource of.
func (c *Component) Each(x *Reader, typ string, n fhir.Node, yield func(form []byte)) {
	c.EachValue(x, typ, n, func(typ string, v fhir.Node) { x.member(c.Kind, typ, v, yield) })
}

// EachValue yields the component's values in an element, with their FHIR types.
func (c *Component) EachValue(x *Reader, typ string, n fhir.Node, yield func(typ string, v fhir.Node)) {
	ways := c.byType[typ]
	for i := range ways {
		for _, v := range ways[i].Append(nil, x.res, n) {
			yield(ways[i].Type, v)
		}
	}
}

// Bare reports whether the component's codes are written without their system.
func (c *Component) Bare() bool {
	for _, ways := range c.byType {
		for _, w := range ways {
			if w.Type == "code" {
				return true
			}
		}
	}
	return false
}

// member yields the index forms of one value of a FHIR type.
func (x *Reader) member(k Kind, typ string, n fhir.Node, yield func([]byte)) {
	interval := func(v key.Interval) { yield(key.AppendInterval(nil, v.Low, v.High)) }
	switch k {
	case Token:
		EachCode(typ, n, func(system, code string) { yield(key.AppendToken(nil, system, text.Cut(code, MaxText))) })
	case Date:
		x.dates(n, typ, interval)
	case Number:
		numbers(n, typ, interval)
	case Quantity:
		if m, ok := MeasureOf(typ, n); ok {
			interval(m.Interval)
		}
	case String:
		EachString(typ, n, func(s string) { yield(key.AppendText(nil, text.Cut(text.Fold(s), MaxText))) })
	case Reference:
		x.targets(typ, n, func(typ, id string) { yield(AppendTarget(nil, typ, id)) })
	case URI:
		yield(key.AppendText(nil, text.Cut(n.Str(), 2*MaxText)))
	}
}
