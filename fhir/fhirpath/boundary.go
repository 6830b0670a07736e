package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// Boundaries and precision, from the 2.1 draft of the language.

// digitsOf gives the digits that each precision of a temporal value has in the
// count of precision(): YYYYMMDDhhmmssfff.
var digitsOf = map[int64]uint8{4: precYear, 6: precMonth, 8: precDay, 10: precHour, 12: precMinute, 14: precSecond, 17: precFraction}

const (
	dateDigits     = 8
	timeDigits     = 9
	dateTimeDigits = 17
	decimalDigits  = 8
	maxBoundary    = 31
)

func boundary(high bool) builtin {
	return func(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
		v, ok, err := single(in, "boundary")
		if err != nil || !ok {
			return dst, err
		}
		digits := int64(-1)
		if len(args) == 1 {
			n, ok, err := f.integer(args[0], "a precision")
			if err != nil {
				return nil, err
			}
			if ok && n < 0 {
				return dst, nil
			}
			if ok {
				digits = n
			}
		}
		if v, ok = v.boundary(digits, high); !ok {
			return dst, nil
		}
		return append(dst, Item{val: v}), nil
	}
}

func (v Value) boundary(digits int64, high bool) (Value, bool) {
	switch v.kind {
	case KindInteger, KindDecimal, KindQuantity:
		if digits < 0 {
			digits = decimalDigits
		}
		if digits > maxBoundary {
			return Value{}, false
		}
		d := decimalBoundary(v.decimal(), int32(digits), high)
		if v.kind == KindQuantity {
			v.dec = d
			return v, true
		}
		return decimalOf(d), true
	case KindDate, KindDateTime, KindTime:
		return v.temporalBoundary(digits, high)
	}
	return Value{}, false
}

// decimalBoundary is half a unit of the last written digit away. Cutting it to
// fewer digits rounds halves away from zero on the far side of zero and cuts
// off on the near side, as the official suite has it.
func decimalBoundary(d *apd.Decimal, digits int32, high bool) *apd.Decimal {
	half := apd.New(5, min(d.Exponent, 0)-1)
	r := new(apd.Decimal)
	if high {
		_, _ = exact.Add(r, d, half)
	} else {
		_, _ = exact.Sub(r, d, half)
	}
	if r.Negative == high {
		return quantize(r, digits, apd.RoundDown)
	}
	return quantize(r, digits, apd.RoundHalfUp)
}

func (v Value) temporalBoundary(digits int64, high bool) (Value, bool) {
	if digits < 0 {
		digits = map[Kind]int64{KindDate: dateDigits, KindDateTime: dateTimeDigits, KindTime: timeDigits}[v.kind]
	}
	if v.kind == KindTime {
		digits += dateDigits
	}
	prec, ok := digitsOf[digits]
	if !ok || v.kind == KindTime && prec < precHour {
		return Value{}, false
	}
	if v.kind == KindDate && prec > precDay {
		v.kind = KindDateTime
	}
	if high {
		if v.kind == KindDateTime && v.flag == precHour {
			v.flag = precMinute // the suite reads T08 as T08:00
		}
		if v.flag < precFraction {
			if v.flag == precSecond {
				v.n += second - millisecond
			} else {
				v.n = v.end() + 1 - millisecond
			}
		}
	}
	v.flag, v.frac = prec, 0
	if prec == precFraction {
		v.frac = 3
	}
	if v.zone == noZone && v.kind == KindDateTime && prec >= precHour {
		v.zone = 14 * 60
		if high {
			v.zone = -12 * 60
		}
	}
	return v, true
}

func fnPrecision(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	v, ok, err := single(in, "precision")
	if err != nil || !ok {
		return dst, err
	}
	n := int64(0)
	switch {
	case v.isNumber() || v.kind == KindQuantity:
		n = int64(scale(v.decimal(), false))
	case v.isTemporal():
		for digits, prec := range digitsOf {
			if prec == min(v.flag, precSecond) {
				n = digits + int64(v.frac)
			}
		}
		if v.kind == KindTime {
			n -= dateDigits
		}
	default:
		return dst, nil
	}
	return append(dst, Item{val: Integer(n)}), nil
}

func fnComparable(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	a, okA, err := single(in, "comparable")
	if err != nil {
		return nil, err
	}
	b, okB, err := f.value(args[0])
	if err != nil || !okA || !okB {
		return dst, err
	}
	_, ok := compareQuantities(a, b)
	return appendBool(dst, ok && a.kind == KindQuantity && b.kind == KindQuantity), nil
}

// component makes yearOf(), monthOf() … of the 3.0 draft: empty beyond the
// value's precision.
func component(prec uint8, pick func(v Value) int64) builtin {
	return func(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
		v, ok, err := single(in, "component")
		if err != nil || !ok || !v.isTemporal() || v.flag < prec || v.kind == KindTime && prec < precHour {
			return dst, err
		}
		return append(dst, Item{val: Integer(pick(v))}), nil
	}
}

func yearOf(v Value) int64        { y, _, _, _ := v.calendar(); return int64(y) }
func monthOf(v Value) int64       { _, m, _, _ := v.calendar(); return int64(m) }
func dayOf(v Value) int64         { _, _, d, _ := v.calendar(); return int64(d) }
func hourOf(v Value) int64        { _, _, _, c := v.calendar(); return c / hour }
func minuteOf(v Value) int64      { _, _, _, c := v.calendar(); return c % hour / minute }
func secondOf(v Value) int64      { _, _, _, c := v.calendar(); return c % minute / second }
func millisecondOf(v Value) int64 { _, _, _, c := v.calendar(); return c % second / millisecond }

func fnTimezoneOffsetOf(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	v, ok, err := single(in, "timezoneOffsetOf")
	if err != nil || !ok || v.kind != KindDateTime || v.zone == noZone {
		return dst, err
	}
	d := new(apd.Decimal)
	if _, err := quotient.Quo(d, apd.New(int64(v.zone), 0), apd.New(60, 0)); err != nil {
		return nil, err
	}
	return append(dst, Item{val: decimalOf(d)}), nil
}

func fnDateOf(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	v, ok, err := single(in, "dateOf")
	if err != nil || !ok {
		return dst, err
	}
	if v, ok = toDate(v); !ok {
		return dst, nil
	}
	return append(dst, Item{val: v}), nil
}

func fnTimeOf(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	v, ok, err := single(in, "timeOf")
	if err != nil || !ok || v.kind != KindDateTime || v.flag < precHour {
		return dst, err
	}
	_, _, _, v.n = v.calendar()
	v.kind, v.zone = KindTime, noZone
	return append(dst, Item{val: v}), nil
}
