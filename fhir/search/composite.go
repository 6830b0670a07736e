package search

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/fhir/search/text"
)

// wanted is what a query asks of one component of a composite.
type wanted struct {
	part  *param.Component
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
	if len(values) != len(p.Parts) {
		return badValue(p, v, "各部分用 $ 分隔，应有 "+strconv.Itoa(len(p.Parts))+" 个部分",
			"expected "+strconv.Itoa(len(p.Parts))+" values joined by $")
	}
	wants := make([]wanted, len(values))
	for i, s := range values {
		var err error
		if wants[i], err = b.want(&p.Parts[i], s); err != nil {
			return err
		}
	}
	first, second := &wants[0], &wants[1]
	prefix := append(p.Prefix(key.Composite), first.stem...)
	if first.whole() {
		prefix = append(prefix, second.stem...)
	}
	l.spans = append(l.spans, span{lower: prefix, upper: key.Next(prefix), cut: func(k []byte) ([]byte, bool) {
		rest, ok := first.cut(k[key.PrefixLen:])
		rest, ok2 := second.cut(rest)
		return rest, ok && ok2
	}})
	l.strict = l.strict || len(wants) > 2 || slices.ContainsFunc(wants, func(w wanted) bool { return w.unit.system != "" || w.unit.name != "" })
	l.tests = append(l.tests, func(x *param.Reader) bool {
		return x.Values(p, func(typ string, n fhir.Node) bool {
			return !slices.ContainsFunc(wants, func(w wanted) bool { return !w.met(x, typ, n) })
		})
	})
	return nil
}

func (b *builder) want(c *param.Component, v string) (w wanted, err error) {
	w.part = c
	if v == "" {
		return w, badValue(c.Param, v, "缺少值", "the value is empty")
	}
	switch c.Kind {
	case param.Token:
		t := parseCoded(v)
		w.text, w.exact = text.Cut(t.code, param.MaxText), true
		w.stem = key.AppendText(nil, w.text)
		if t.bar && (t.system == "" || !c.Bare()) {
			h := key.Hash(t.system)
			w.hash = &h
			w.stem = append(w.stem, h[:]...)
		}
	case param.Date, param.Number:
		w.boxes, err = b.boxes(c.Param, v)
	case param.Quantity:
		w.unit, err = parseMeasured(c.Param, v)
		w.boxes = w.unit.boxes
	case param.String:
		w.text = text.Cut(text.Fold(query.Unescape(v)), param.MaxText)
		w.stem = key.AppendStem(nil, w.text)
	case param.Reference:
		typ, id := b.target(query.Unescape(v))
		if typ == "" {
			return w, badValue(c.Param, v, "应为 类型/id", "expected Type/id")
		}
		w.stem = param.AppendTarget(nil, typ, id)
	case param.URI:
		w.text, w.exact = text.Cut(query.Unescape(v), 2*param.MaxText), true
		w.stem = key.AppendText(nil, w.text)
	}
	return w, err
}

// whole reports whether the stem is all of the index form.
func (w *wanted) whole() bool {
	switch w.part.Kind {
	case param.Token:
		return w.hash != nil
	case param.Reference, param.URI:
		return true
	}
	return false
}

// cut takes the component's form from the beginning of k; ok is false if it is
// not what was asked for.
func (w *wanted) cut(k []byte) (rest []byte, ok bool) {
	switch w.part.Kind {
	case param.Date, param.Number, param.Quantity:
		if len(k) < key.IntervalLen {
			return nil, false
		}
		low, high := key.CutInterval(k)
		return k[key.IntervalLen:], within(w.boxes, key.Interval{Low: low, High: high})
	case param.Token:
		_, rest, ok = key.CutText(k)
		if !ok || len(rest) < key.HashLen {
			return nil, false
		}
		return rest[key.HashLen:], bytes.HasPrefix(k, w.stem)
	case param.Reference:
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
func (w *wanted) met(x *param.Reader, typ string, n fhir.Node) bool {
	found := false
	fits := func(form []byte) {
		_, ok := w.cut(form)
		found = found || ok
	}
	if w.part.Kind != param.Quantity {
		w.part.Each(x, typ, n, fits)
		return found
	}
	w.part.EachValue(x, typ, n, func(typ string, v fhir.Node) {
		m, ok := param.MeasureOf(typ, v)
		found = found || ok && w.unit.fits(m) && within(w.boxes, m.Interval)
	})
	return found
}
