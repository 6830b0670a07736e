package fhirpath

import (
	"math/big"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/qihuang-health/qihuang/fhir/fhirpath/ucum"
)

// How the unit of a Quantity is meant.
const (
	unitUCUM     uint8 = iota // 'mg'
	unitCalendar              // week; str is the singular or plural keyword as written
	unitOther                 // no UCUM: compares with the very same text only
	unitFHIR                  // UCUM from a FHIR Quantity: in date arithmetic 'a' and 'mo' are years and months
)

func quantityOf(d *apd.Decimal, unit string, calendar bool) Value {
	v := Value{kind: KindQuantity, dec: d, str: unit}
	if calendar {
		v.flag = unitCalendar
	}
	return v
}

// Quantity returns an amount of a UCUM unit as a System.Quantity; ok is false
// if value is no number.
func Quantity(value, unit string) (v Value, ok bool) {
	d, ok := Decimal(value)
	if !ok {
		return Value{}, false
	}
	return quantityOf(d.dec, unit, false), true
}

// definite maps calendar units to UCUM where both last equally long; year and
// month have none, they are no definite duration.
var definite = map[string]string{"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}

func singular(unit string) string { return strings.TrimSuffix(unit, "s") }

// measure returns the quantity's UCUM unit; nil if it has none.
func (v Value) measure() *ucum.Unit {
	code := v.str
	switch v.flag {
	case unitOther:
		return nil
	case unitCalendar:
		if code = definite[singular(code)]; code == "" {
			return nil
		}
	}
	u, err := ucum.Parse(code)
	if err != nil {
		return nil
	}
	return u
}

// months returns how many months calendar years or months are; nil for others.
func (v Value) months() *big.Rat {
	if v.flag == unitCalendar {
		switch singular(v.str) {
		case "year":
			return new(big.Rat).Mul(toRat(v.dec), big.NewRat(12, 1))
		case "month":
			return toRat(v.dec)
		}
	}
	return nil
}

// sameUnit reports whether both units are the same as written.
func sameUnit(a, b Value) bool {
	if a.flag == unitCalendar || b.flag == unitCalendar {
		return a.flag == b.flag && singular(a.str) == singular(b.str)
	}
	return a.str == b.str
}

// compareQuantities compares amounts in a common unit; ok is false if there is
// none.
func compareQuantities(a, b Value) (order int, ok bool) {
	if sameUnit(a, b) {
		return a.dec.Cmp(b.dec), true
	}
	if ma, mb := a.months(), b.months(); ma != nil && mb != nil {
		return ma.Cmp(mb), true
	}
	ua, ub := a.measure(), b.measure()
	if ua == nil || ub == nil || !ua.Comparable(ub) {
		return 0, false
	}
	return ua.Base(toRat(a.dec)).Cmp(ub.Base(toRat(b.dec))), true
}

// equivalentQuantities compares in a's unit, at the lesser precision of both.
func equivalentQuantities(a, b Value) bool {
	if a.flag == unitCalendar || b.flag == unitCalendar { // year ~ 'a', month ~ 'mo'
		a, b = definitely(a), definitely(b)
	}
	amount := b.dec
	if !sameUnit(a, b) {
		ua, ub := a.measure(), b.measure()
		if ua == nil || ub == nil || !ua.Comparable(ub) {
			return false
		}
		amount = fromRat(ua.FromBase(ub.Base(toRat(b.dec))))
	}
	digits := min(scale(a.dec, true), scale(amount, true))
	return roundTo(a.dec, digits).Cmp(roundTo(amount, digits)) == 0
}

func definitely(v Value) Value {
	if v.flag != unitCalendar {
		return v
	}
	code := definite[singular(v.str)]
	switch singular(v.str) {
	case "year":
		code = "a"
	case "month":
		code = "mo"
	}
	return Value{kind: KindQuantity, dec: v.dec, str: code}
}

// addQuantities returns a+b, or a-b, in a's unit; ok is false if the units do
// not convert.
func addQuantities(a, b Value, minus bool) (Value, bool) {
	amount := b.dec
	if !sameUnit(a, b) {
		ua, ub := a.measure(), b.measure()
		if ua == nil || ub == nil || !ua.Comparable(ub) {
			return Value{}, false
		}
		amount = fromRat(ua.FromBase(ub.Base(toRat(b.dec))))
	}
	r := a
	r.dec = new(apd.Decimal)
	var err error
	if minus {
		_, err = exact.Sub(r.dec, a.dec, amount)
	} else {
		_, err = exact.Add(r.dec, a.dec, amount)
	}
	return r, err == nil
}

// multiplyQuantities returns a*b or a/b with the unit worked out; a pure
// number has unit '1'.
func multiplyQuantities(a, b Value, divide bool) (Value, bool) {
	a, b = asUCUM(a), asUCUM(b)
	ua, ub := a.measure(), b.measure()
	if ua == nil || ub == nil || ua.Special() || ub.Special() {
		return Value{}, false
	}
	if divide && b.dec.IsZero() {
		return Value{}, false
	}
	if divide && ua.Comparable(ub) {
		return quantityOf(fromRat(new(big.Rat).Quo(ua.Base(toRat(a.dec)), ub.Base(toRat(b.dec)))), "1", false), true
	}
	d := new(apd.Decimal)
	if divide {
		if _, err := quotient.Quo(d, a.dec, b.dec); err != nil {
			return Value{}, false
		}
		d.Reduce(d)
	} else if _, err := exact.Mul(d, a.dec, b.dec); err != nil {
		return Value{}, false
	}
	return quantityOf(plain(d), joinUnits(a.str, b.str, divide), false), true
}

func asUCUM(v Value) Value {
	if v.kind != KindQuantity {
		return quantityOf(v.decimal(), "1", false)
	}
	return definitely(v)
}

func joinUnits(a, b string, divide bool) string {
	switch {
	case b == "1":
		return a
	case a == "1" && !divide:
		return b
	}
	if strings.ContainsAny(b, "./") {
		b = "(" + b + ")"
	}
	if divide {
		return a + "/" + b
	}
	return a + "." + b
}

// parseQuantity reads the form of toQuantity(): 1, 1.5 'mg', 4 days.
func parseQuantity(s string) (Value, bool) {
	s = strings.TrimSpace(s)
	end := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) })
	number, unit := s, ""
	if end >= 0 {
		number, unit = s[:end], strings.TrimSpace(s[end:])
	}
	d, ok := Decimal(number)
	switch {
	case !ok:
		return Value{}, false
	case unit == "":
		return quantityOf(d.dec, "1", false), true
	case len(unit) > 2 && unit[0] == '\'' && unit[len(unit)-1] == '\'':
		return quantityOf(d.dec, unit[1:len(unit)-1], false), true
	}
	for _, u := range calendarUnits {
		if unit == u || unit == u+"s" {
			return quantityOf(d.dec, unit, true), true
		}
	}
	return Value{}, false
}
