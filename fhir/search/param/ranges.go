package param

import (
	"math"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
)

// interval emits a range of dates or numbers. One no longer than short stands
// once, by its beginning; a longer one by its beginning and by its end. unit,
// if any, stands before it and moves it to the spaces of units.
func (x *Reader) interval(p *Param, space key.Space, unit []byte, v key.Interval, short uint64) {
	low, high := key.LongLow, key.LongHigh
	if space == key.UnitShort {
		low, high = key.UnitLow, key.UnitHigh
	}
	if v.High-v.Low <= short {
		x.start(p, space)
		x.buf = key.AppendInterval(append(x.buf, unit...), v.Low, v.High)
		x.end()
		return
	}
	x.start(p, low)
	x.buf = key.AppendInterval(append(x.buf, unit...), v.Low, v.High)
	x.end()
	x.start(p, high)
	x.buf = key.AppendInterval(append(x.buf, unit...), v.High, v.Low)
	x.end()
}

// dates yields the ranges of time a value covers
// (https://hl7.org/fhir/R4/search.html#date).
func (x *Reader) dates(n fhir.Node, typ string, yield func(key.Interval)) {
	switch typ {
	case "Period":
		if v, ok := x.period(n); ok {
			yield(v)
		}
	case "Timing":
		for c := range n.Get("event").Each() {
			x.dates(c, "dateTime", yield)
		}
		if v, ok := x.period(n.Path("repeat", "boundsPeriod")); ok {
			yield(v)
		}
	default:
		if n.Kind() != fhir.String {
			return
		}
		if low, high, ok := key.Date(n.Str(), x.zone); ok {
			yield(key.Interval{Low: key.Instant(low), High: key.Instant(high)})
		}
	}
}

// period is a Period as a range; a missing end is open.
func (x *Reader) period(n fhir.Node) (v key.Interval, ok bool) {
	v = key.Interval{Low: key.Lowest, High: key.Highest}
	if low, _, good := key.Date(n.Get("start").Str(), x.zone); good {
		v.Low, ok = key.Instant(low), true
	}
	if _, high, good := key.Date(n.Get("end").Str(), x.zone); good {
		v.High, ok = key.Instant(high), true
	}
	return v, ok && v.Low <= v.High
}

// numbers yields the numbers a value stands for: itself, or a Range.
func numbers(n fhir.Node, typ string, yield func(key.Interval)) {
	if typ == "Range" {
		if v, ok := rangeOf(n); ok {
			yield(v)
		}
		return
	}
	if n.Kind() != fhir.Number {
		return
	}
	if d, ok := key.ParseDecimal(n.Str()); ok {
		yield(key.Interval{Low: key.Real(d.Value), High: key.Real(d.Value)})
	}
}

// rangeOf is a Range as an interval; a missing end is open.
func rangeOf(n fhir.Node) (v key.Interval, ok bool) {
	v = key.Interval{Low: key.Lowest, High: key.Highest}
	if d, good := key.ParseDecimal(n.Path("low", "value").Str()); good {
		v.Low, ok = key.Real(d.Value), true
	}
	if d, good := key.ParseDecimal(n.Path("high", "value").Str()); good {
		v.High, ok = key.Real(d.Value), true
	}
	return v, ok && v.Low <= v.High
}

// Measure is a quantity with the names its unit goes by.
type Measure struct {
	key.Interval
	System, Code, Unit string
}

// currencies is the system that Money codes are from.
const currencies = "urn:iso:std:iso:4217"

// MeasureOf reads a Quantity (also Age, Duration …), Money, Range or SampledData.
func MeasureOf(typ string, n fhir.Node) (m Measure, ok bool) {
	switch typ {
	case "Money":
		m.System, m.Code = currencies, n.Get("currency").Str()
	case "Range":
		m.Interval, ok = rangeOf(n)
		unit := n.Get("low")
		if !unit.Exists() {
			unit = n.Get("high")
		}
		m.System, m.Code, m.Unit = unit.Get("system").Str(), unit.Get("code").Str(), unit.Get("unit").Str()
		return m, ok
	case "SampledData":
		n = n.Get("origin")
		fallthrough
	default:
		m.System, m.Code, m.Unit = n.Get("system").Str(), n.Get("code").Str(), n.Get("unit").Str()
	}
	d, ok := key.ParseDecimal(n.Get("value").Str())
	v := key.Real(d.Value)
	m.Interval = key.Interval{Low: v, High: v}
	switch n.Get("comparator").Str() {
	case "<":
		m.Interval = key.Interval{Low: key.Lowest, High: key.Real(math.Nextafter(d.Value, math.Inf(-1)))}
	case "<=":
		m.Low = key.Lowest
	case ">=":
		m.High = key.Highest
	case ">":
		m.Interval = key.Interval{Low: key.Real(math.Nextafter(d.Value, math.Inf(1))), High: key.Highest}
	}
	return m, ok
}

// quantity emits a quantity without its unit, by system and code, and by the
// code or unit alone.
func (x *Reader) quantity(p *Param, typ string, n fhir.Node) {
	m, ok := MeasureOf(typ, n)
	if !ok {
		return
	}
	x.interval(p, key.Short, nil, m.Interval, 0)
	emit := func(parts ...string) {
		h := key.Hash(parts...)
		x.interval(p, key.UnitShort, h[:], m.Interval, 0)
	}
	if m.Code != "" {
		emit(m.System, m.Code)
		emit(m.Code)
	}
	if m.Unit != "" && m.Unit != m.Code {
		emit(m.Unit)
	}
	if u, ok := x.c.Canonical(m.System, m.Code); ok {
		h := BaseUnit(u)
		x.interval(p, key.UnitShort, h[:], key.Interval{Low: toBase(u, m.Low), High: toBase(u, m.High)}, 0)
	}
}

// position emits the place of a Location, for near.
func (x *Reader) position(p *Param, n fhir.Node) {
	lat, ok := key.ParseDecimal(n.Get("latitude").Str())
	lon, ok2 := key.ParseDecimal(n.Get("longitude").Str())
	if ok && ok2 {
		x.start(p, key.Position)
		x.buf = key.AppendInterval(x.buf, key.Real(lat.Value), key.Real(lon.Value))
		x.end()
	}
}
