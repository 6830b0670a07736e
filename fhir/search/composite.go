package search

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/fhir/search/text"
)

// composite emits the pairs of the first two components of one element: the
// first exactly, the second in its order. What a query asks of further
// components, and of units, the resource itself decides.
func (x *emitter) composite(p *param, typ string, n fhir.Node) {
	var firsts [][]byte
	x.component(&p.parts[0], typ, n, func(v []byte) { firsts = append(firsts, v) })
	if len(firsts) == 0 {
		return
	}
	x.component(&p.parts[1], typ, n, func(second []byte) {
		for _, first := range firsts {
			x.start(p, key.Composite)
			x.buf = append(append(x.buf, first...), second...)
			x.end()
		}
	})
}

// component yields the index forms of a component's values in an element.
func (x *emitter) component(c *component, typ string, n fhir.Node, yield func([]byte)) {
	ways := c.byType[typ]
	for i := range ways {
		for _, v := range ways[i].Append(nil, x.res, n) {
			x.member(c.kind, ways[i].Type, v, yield)
		}
	}
}

func (x *emitter) member(k kind, typ string, n fhir.Node, yield func([]byte)) {
	interval := func(v key.Interval) { yield(key.AppendInterval(nil, v.Low, v.High)) }
	switch k {
	case kindToken:
		eachCode(typ, n, func(system, code string) { yield(key.AppendToken(nil, system, text.Cut(code, maxText))) })
	case kindDate:
		x.dates(n, typ, interval)
	case kindNumber:
		numbers(n, typ, interval)
	case kindQuantity:
		if m, ok := measureOf(typ, n); ok {
			interval(m.Interval)
		}
	case kindString:
		eachString(typ, n, func(s string) { yield(key.AppendText(nil, text.Cut(text.Fold(s), maxText))) })
	case kindReference:
		x.targets(typ, n, func(typ, id string) { yield(appendTarget(nil, typ, id)) })
	case kindURI:
		yield(key.AppendText(nil, text.Cut(n.Str(), 2*maxText)))
	}
}

// wanted is what a query asks of one component of a composite.
type wanted struct {
	part  *component
	text  string             // exact text or its beginning, already folded
	exact bool               // text is the whole of it
	hash  *[key.HashLen]byte // of a token's system; nil = any
	boxes []key.Box
	unit  measured // of a quantity
	stem  []byte   // how the index form begins
}

// composite adds one alternative of a composite parameter: value$value.
func (b *builder) composite(l *leaf, v string) error {
	p := l.param
	values := query.Split(v, '$')
	if len(values) != len(p.parts) {
		return badValue(p, v, "各部分用 $ 分隔，应有 "+strconv.Itoa(len(p.parts))+" 个部分",
			"expected "+strconv.Itoa(len(p.parts))+" values joined by $")
	}
	wants := make([]wanted, len(values))
	for i, s := range values {
		var err error
		if wants[i], err = b.want(&p.parts[i], s); err != nil {
			return err
		}
	}
	first, second := &wants[0], &wants[1]
	prefix := append(p.prefix(key.Composite), first.stem...)
	if first.whole() {
		prefix = append(prefix, second.stem...)
	}
	l.spans = append(l.spans, span{lower: prefix, upper: key.Next(prefix), cut: func(k []byte) ([]byte, bool) {
		rest, ok := first.cut(k[key.PrefixLen:])
		rest, ok2 := second.cut(rest)
		return rest, ok && ok2
	}})
	l.strict = l.strict || len(wants) > 2 || slices.ContainsFunc(wants, func(w wanted) bool { return w.unit.system != "" || w.unit.name != "" })
	l.tests = append(l.tests, func(x *emitter) bool {
		return x.values(p, func(typ string, n fhir.Node) bool {
			return !slices.ContainsFunc(wants, func(w wanted) bool { return !w.met(x, typ, n) })
		})
	})
	return nil
}

func (b *builder) want(c *component, v string) (w wanted, err error) {
	w.part = c
	if v == "" {
		return w, badValue(c.param, v, "缺少值", "the value is empty")
	}
	switch c.kind {
	case kindToken:
		t := parseCoded(v)
		w.text, w.exact = text.Cut(t.code, maxText), true
		w.stem = key.AppendText(nil, w.text)
		if t.bar && (t.system == "" || !b.e.bare(c)) {
			h := key.Hash(t.system)
			w.hash = &h
			w.stem = append(w.stem, h[:]...)
		}
	case kindDate, kindNumber:
		w.boxes, err = b.boxes(c.param, v)
	case kindQuantity:
		w.unit, err = parseMeasured(c.param, v)
		w.boxes = w.unit.boxes
	case kindString:
		w.text = text.Cut(text.Fold(query.Unescape(v)), maxText)
		w.stem = key.AppendStem(nil, w.text)
	case kindReference:
		typ, id := b.target(query.Unescape(v))
		if typ == "" {
			return w, badValue(c.param, v, "应为 类型/id", "expected Type/id")
		}
		w.stem = appendTarget(nil, typ, id)
	case kindURI:
		w.text, w.exact = text.Cut(query.Unescape(v), 2*maxText), true
		w.stem = key.AppendText(nil, w.text)
	}
	return w, err
}

// bare reports whether a component's codes are written without their system.
func (e *Engine) bare(c *component) bool {
	for _, ways := range c.byType {
		for _, w := range ways {
			if w.Type == "code" {
				return true
			}
		}
	}
	return false
}

// whole reports whether the stem is all of the index form.
func (w *wanted) whole() bool {
	switch w.part.kind {
	case kindToken:
		return w.hash != nil
	case kindReference, kindURI:
		return true
	}
	return false
}

// cut takes the component's form from the beginning of k; ok is false if it is
// not what was asked for.
func (w *wanted) cut(k []byte) (rest []byte, ok bool) {
	switch w.part.kind {
	case kindDate, kindNumber, kindQuantity:
		if len(k) < key.IntervalLen {
			return nil, false
		}
		low, high := key.CutInterval(k)
		return k[key.IntervalLen:], within(w.boxes, key.Interval{Low: low, High: high})
	case kindToken:
		_, rest, ok = key.CutText(k)
		if !ok || len(rest) < key.HashLen {
			return nil, false
		}
		return rest[key.HashLen:], bytes.HasPrefix(k, w.stem)
	case kindReference:
		_, rest, _ = key.CutText(k)
		fallthrough
	default:
		if rest == nil {
			rest = k
		}
		_, rest, ok = key.CutText(rest)
		return rest, ok && bytes.HasPrefix(k, w.stem)
	}
}

// met reports whether an element of the resource has the component.
func (w *wanted) met(x *emitter, typ string, n fhir.Node) bool {
	found := false
	for _, way := range w.part.byType[typ] {
		for _, v := range way.Append(nil, x.res, n) {
			if m, ok := measureOf(way.Type, v); w.part.kind == kindQuantity && (!ok || !w.unit.fits(m)) {
				continue
			}
			x.member(w.part.kind, way.Type, v, func(form []byte) {
				_, ok := w.cut(form)
				found = found || ok
			})
		}
	}
	return found
}
