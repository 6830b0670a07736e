package fhirpath

import "github.com/cockroachdb/apd/v3"

// addDuration adds a quantity of time to a temporal value; whole units only,
// except that calendar seconds keep their fraction.
func addDuration(v, q Value, minus bool) (Value, bool) {
	unit := singular(q.str)
	if q.flag != unitCalendar {
		unit = durationOf(q)
	}
	amount := q.dec
	if minus {
		amount = new(apd.Decimal).Neg(amount)
	}
	n, err := quantize(amount, 0, apd.RoundDown).Int64()
	if err != nil || n > 1<<40 || n < -(1<<40) {
		return Value{}, false
	}
	switch unit {
	case "year":
		return v.addMonths(12 * n)
	case "month":
		return v.addMonths(n)
	case "week":
		return v.addMicros(7*n, day)
	case "day":
		return v.addMicros(n, day)
	case "hour":
		return v.addMicros(n, hour)
	case "minute":
		return v.addMicros(n, minute)
	case "second":
		if q.flag == unitCalendar {
			if f, err := quantize(amount, 3, apd.RoundDown).Float64(); err == nil && f != float64(n) {
				return v.addMicros(int64(f*1000), millisecond)
			}
		}
		return v.addMicros(n, second)
	case "millisecond":
		return v.addMicros(n, millisecond)
	}
	return Value{}, false
}

// durationOf returns the calendar unit that a UCUM unit of time means in date
// arithmetic; "" for others. The definite 'a' and 'mo' are not calendar units,
// unless they come from a FHIR Quantity, which has no other way to say it.
func durationOf(q Value) string {
	switch q.str {
	case "a", "mo":
		if q.flag == unitFHIR {
			return map[string]string{"a": "year", "mo": "month"}[q.str]
		}
		return ""
	case "wk":
		return "week"
	case "d":
		return "day"
	case "h":
		return "hour"
	case "min":
		return "minute"
	case "s":
		return "second"
	case "ms":
		return "millisecond"
	}
	for _, u := range calendarUnits { // 1 'month', as some write it
		if q.str == u || q.str == u+"s" {
			return u
		}
	}
	return ""
}

func (v Value) addMonths(n int64) (Value, bool) {
	if v.kind == KindTime {
		return Value{}, false
	}
	y, m, d, clock := v.calendar()
	total := int64(y)*12 + int64(m-1) + n
	if v.flag == precYear {
		total = (int64(y) + n/12) * 12
	}
	y, m = int(total/12), int(total%12)+1
	if total < 12 || y > 9999 {
		return Value{}, false
	}
	v.n = civil(y, m, min(d, daysIn(y, m))) + clock
	return v, true
}

// addMicros adds n units; where the value is less precise than the unit, only
// whole steps of its precision count.
func (v Value) addMicros(n, unit int64) (Value, bool) {
	if n > 1<<40/max(1, unit/millisecond) || n < -(1<<40)/max(1, unit/millisecond) {
		return Value{}, false
	}
	delta := n * unit
	switch v.flag {
	case precYear:
		return v.addMonths(delta / (365 * day) * 12)
	case precMonth:
		return v.addMonths(delta / (30 * day))
	case precDay:
		delta -= delta % day
	case precHour:
		delta -= delta % hour
	case precMinute:
		delta -= delta % minute
	case precSecond:
		delta -= delta % second
	}
	v.n += delta
	if v.kind == KindTime {
		v.n = mod(v.n, day)
	} else if v.n < civil(1, 1, 1) || v.n >= civil(10000, 1, 1) {
		return Value{}, false
	}
	return v, true
}
