package search

import (
	"math/big"

	"github.com/qihuang-health/qihuang/fhir/fhirpath/ucum"
	"github.com/qihuang-health/qihuang/fhir/search/key"
)

const (
	ucumSystem = "http://unitsofmeasure.org"
	baseUnits  = "base" // keeps the hash of a dimension apart from that of a unit
)

// canonical returns the unit of a UCUM code if its quantities are also indexed
// in base units: it must measure something (percent and scores do not) and be
// a plain multiple of the base (degrees Celsius are not).
func (e *Engine) canonical(system, code string) (*ucum.Unit, bool) {
	if !e.cfg.Units || system != ucumSystem || code == "" {
		return nil, false
	}
	if u, ok := e.units.Load(code); ok {
		return u.(*ucum.Unit), u.(*ucum.Unit) != nil
	}
	u, err := ucum.Parse(code)
	if err != nil || u.Special() || u.Dimension() == "" {
		u = nil
	}
	if len(code) <= 32 {
		e.units.Store(code, u)
	}
	return u, u != nil
}

// toBase converts one end of an interval. Open ends stay open.
func toBase(u *ucum.Unit, v uint64) uint64 {
	if v == key.Lowest || v == key.Highest {
		return v
	}
	return key.Real(inBase(u, key.Float(v)))
}

func inBase(u *ucum.Unit, v float64) float64 {
	r := new(big.Rat).SetFloat64(v)
	if r == nil { // infinite
		return v
	}
	f, _ := u.Base(r).Float64()
	return f
}

// converted adds the spans of a quantity in base units, so that it is found
// whatever unit it was written in. It is an addition to what the standard asks.
func (b *builder) converted(l *leaf, q *measured) {
	u, ok := b.e.canonical(q.system, q.code)
	if !ok || q.prefix == "ne" {
		return
	}
	h := key.Hash(ucumSystem, u.Dimension(), baseUnits)
	d := key.Decimal{Value: inBase(u, q.number.Value), Low: inBase(u, q.number.Low), High: inBase(u, q.number.High)}
	for _, box := range numberBoxes(q.prefix, d) {
		l.spans = append(l.spans, boxSpans(l.param, h[:], box, 0)...)
	}
}
