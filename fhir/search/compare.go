package search

import (
	"math"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
)

// boxes turns a date or number with its prefix into bounds on the ends of the
// values searched (https://hl7.org/fhir/R4/search.html#prefix).
func (b *builder) boxes(p *param.Param, v string) ([]key.Box, error) {
	prefix, s := query.Prefix(query.Unescape(v))
	if p.Kind == param.Date {
		low, high, ok := key.Date(s, b.zone)
		if !ok {
			return nil, badValue(p, v, "应为 2020、2020-03、2020-03-01 或 2020-03-01T08:30[:00][+08:00]，前面可加 eq ne lt gt le ge sa eb ap",
				"expected a date such as 2020-03-01 or 2020-03-01T08:30:00+08:00, after an optional eq ne lt gt le ge sa eb ap")
		}
		return b.dateBoxes(prefix, low, high), nil
	}
	d, ok := key.ParseDecimal(s)
	if !ok {
		return nil, badValue(p, v, "应为数字，前面可加 eq ne lt gt le ge sa eb ap", "expected a number, after an optional eq ne lt gt le ge sa eb ap")
	}
	return numberBoxes(prefix, d), nil
}

// dateBoxes compares ranges of time; their high ends lie behind them.
func (b *builder) dateBoxes(prefix string, lowMicros, highMicros int64) []key.Box {
	low, high := key.Instant(lowMicros), key.Instant(highMicros)
	any := key.Anywhere()
	before, after, within := any, any, any
	before.LowMax = low - 1
	after.HighMin = high + 1
	within.LowMin, within.HighMax = low, high
	switch prefix {
	case "ne":
		return []key.Box{before, after}
	case "lt":
		return []key.Box{before}
	case "le":
		return []key.Box{before, within}
	case "gt":
		return []key.Box{after}
	case "ge":
		return []key.Box{after, within}
	case "sa":
		any.LowMin = high
		return []key.Box{any}
	case "eb":
		any.HighMax = low
		return []key.Box{any}
	case "ap":
		gap := b.now.UnixMicro() - lowMicros
		if gap < 0 {
			gap = -gap
		}
		any.LowMax, any.HighMin = key.Instant(highMicros+gap/10)-1, key.Instant(lowMicros-gap/10)+1
		return []key.Box{any}
	}
	return []key.Box{within}
}

// numberBoxes compares numbers: eq and ne with the precision written, the
// others with the value itself.
func numberBoxes(prefix string, d key.Decimal) []key.Box {
	v, low, high := key.Real(d.Value), key.Real(d.Low), key.Real(d.High)
	b := key.Anywhere()
	switch prefix {
	case "ne":
		above := b
		b.LowMax, above.HighMin = low-1, high
		return []key.Box{b, above}
	case "lt":
		b.LowMax = v - 1
	case "le":
		b.LowMax = v
	case "gt":
		b.HighMin = v + 1
	case "ge":
		b.HighMin = v
	case "sa":
		b.LowMin = v + 1
	case "eb":
		b.HighMax = v - 1
	case "ap":
		tenth := math.Abs(d.Value) / 10
		b.LowMax, b.HighMin = key.Real(d.Value+tenth), key.Real(d.Value-tenth)
	default:
		b.LowMin, b.HighMax = low, high-1
	}
	return []key.Box{b}
}

// measured is a quantity in a query: [prefix]number, number|system|code, or
// number||code.
type measured struct {
	prefix             string
	number             key.Decimal
	boxes              []key.Box
	system, code, name string // name: the code or unit where there is no system
}

func parseMeasured(p *param.Param, v string) (m measured, err error) {
	parts := query.Split(v, '|')
	prefix, s := query.Prefix(parts[0])
	d, ok := key.ParseDecimal(s)
	if !ok || len(parts) > 3 || len(parts) == 2 {
		return m, badValue(p, v, "应为 数值 或 数值|系统|单位代码（系统可空）", "expected number or number|system|code (the system may be empty)")
	}
	m.prefix, m.number, m.boxes = prefix, d, numberBoxes(prefix, d)
	if len(parts) == 3 {
		m.system, m.code = query.Unescape(parts[1]), query.Unescape(parts[2])
		if m.system == "" {
			m.name, m.code = m.code, ""
		}
	}
	return m, nil
}

// fits reports whether a value of the resource has the unit asked for.
func (q *measured) fits(m param.Measure) bool {
	switch {
	case q.name != "":
		return m.Code == q.name || m.Unit == q.name
	case q.system != "":
		return m.System == q.system && (q.code == "" || m.Code == q.code)
	}
	return true
}

func (b *builder) quantity(l *leaf, v string) error {
	q, err := parseMeasured(l.param, v)
	if err != nil {
		return err
	}
	var unit []byte
	switch {
	case q.name != "":
		h := key.Hash(q.name)
		unit = h[:]
	case q.code != "":
		h := key.Hash(q.system, q.code)
		unit = h[:]
	case q.system != "": // any code of a system: the resource decides
		l.strict = true
	}
	l.tests = append(l.tests, func(x *param.Reader) bool {
		return x.Values(l.param, func(typ string, n fhir.Node) bool {
			m, ok := param.MeasureOf(typ, n)
			return ok && q.fits(m) && within(q.boxes, m.Interval)
		})
	})
	for _, box := range q.boxes {
		l.spans = append(l.spans, boxSpans(l.param, unit, box, 0)...)
	}
	if !l.strict {
		b.converted(l, &q)
	}
	return nil
}

// converted adds the spans of a quantity in base units, so that it is found
// whatever unit it was written in. It is an addition to what the standard asks.
func (b *builder) converted(l *leaf, q *measured) {
	u, ok := b.e.cat.Canonical(q.system, q.code)
	if !ok || q.prefix == "ne" {
		return
	}
	h := param.BaseUnit(u)
	d := key.Decimal{Value: param.InBase(u, q.number.Value), Low: param.InBase(u, q.number.Low), High: param.InBase(u, q.number.High)}
	for _, box := range numberBoxes(q.prefix, d) {
		l.spans = append(l.spans, boxSpans(l.param, h[:], box, 0)...)
	}
}

func within(boxes []key.Box, v key.Interval) bool {
	for _, b := range boxes {
		if b.Holds(v) {
			return true
		}
	}
	return false
}

// near finds locations by distance: latitude|longitude|distance|unit.
func (b *builder) near(l *leaf, v string) error {
	if l.param.Code != "near" {
		return invalid("unsupported-search-parameter", "不支持检索参数 "+l.param.Code, "search parameter "+l.param.Code+" is not supported", "")
	}
	parts := append(query.Split(v, '|'), "", "", "")
	lat, ok := key.ParseDecimal(parts[0])
	lon, ok2 := key.ParseDecimal(parts[1])
	far, ok3 := key.Decimal{Value: 10}, true // km, where no distance is given
	if parts[2] != "" {
		far, ok3 = key.ParseDecimal(parts[2])
	}
	km, known := map[string]float64{"": 1, "km": 1, "m": 0.001, "[mi_us]": 1.609347, "[mi_i]": 1.609344}[parts[3]]
	if !ok || !ok2 || !ok3 || !known || far.Value < 0 {
		return badValue(l.param, v, "应为 纬度|经度|距离|km", "expected latitude|longitude|distance|km (or m, [mi_us])")
	}
	prefix := l.param.Prefix(key.Position)
	l.spans = append(l.spans, span{lower: prefix, upper: key.Next(prefix), cut: func(k []byte) ([]byte, bool) {
		if len(k) < key.PrefixLen+key.IntervalLen {
			return nil, false
		}
		a, o := key.CutInterval(k[key.PrefixLen:])
		return k[key.PrefixLen+key.IntervalLen:], kilometres(lat.Value, lon.Value, key.Float(a), key.Float(o)) <= far.Value*km
	}})
	return nil
}

// kilometres is the distance on the globe (haversine, mean radius 6371.0088 km).
func kilometres(lat1, lon1, lat2, lon2 float64) float64 {
	const rad = math.Pi / 180
	s, t := math.Sin((lat2-lat1)*rad/2), math.Sin((lon2-lon1)*rad/2)
	h := s*s + math.Cos(lat1*rad)*math.Cos(lat2*rad)*t*t
	return 2 * 6371.0088 * math.Asin(math.Sqrt(min(1, h)))
}
