package fhirpath

import (
	"cmp"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// compareOp is <, >, <= and >=.
type compareOp struct {
	a, b op
	name string
}

func (o *compareOp) eval(f *frame, dst []Item) ([]Item, error) {
	t, err := o.truth(f)
	return appendTruth(dst, t), err
}

func (o *compareOp) truth(f *frame) (truth, error) {
	a, okA, err := f.one(o.a)
	if err != nil {
		return unknown, err
	}
	b, okB, err := f.one(o.b)
	if err != nil || !okA || !okB {
		return unknown, err
	}
	va, okA := a.Value()
	vb, okB := b.Value()
	if !okA || !okB {
		if a.isPrimitive() && !a.hasValue() || b.isPrimitive() && !b.hasValue() {
			return unknown, nil
		}
		return unknown, evalError("%s does not compare %s with %s", o.name, a.Type(), b.Type())
	}
	order, ok, err := compareValues(va, vb)
	if err != nil || !ok {
		return unknown, err
	}
	switch o.name {
	case "<":
		return truthOf(order < 0), nil
	case ">":
		return truthOf(order > 0), nil
	case "<=":
		return truthOf(order <= 0), nil
	}
	return truthOf(order >= 0), nil
}

// compareValues orders two values; ok is false where that is left open (units
// or precisions), err says that the types do not compare.
func compareValues(a, b Value) (order int, ok bool, err error) {
	switch {
	case a.kind == KindInteger && b.kind == KindInteger:
		return cmp.Compare(a.n, b.n), true, nil
	case a.isNumber() && b.isNumber():
		return a.decimal().Cmp(b.decimal()), true, nil
	case a.kind == KindString && b.kind == KindString:
		return strings.Compare(a.str, b.str), true, nil
	case a.kind == KindQuantity && b.kind == KindQuantity,
		a.kind == KindQuantity && b.isNumber(), a.isNumber() && b.kind == KindQuantity:
		if a.kind != b.kind {
			a, b = asUCUM(a), asUCUM(b)
		}
		order, ok = compareQuantities(a, b)
		return order, ok, nil
	case a.isTemporal() && b.isTemporal() && (a.kind == KindTime) == (b.kind == KindTime):
		order, ok = compareTemporal(a, b)
		return order, ok, nil
	}
	return 0, false, evalError("%s and %s do not compare", a.kind, b.kind)
}

// signOp is unary + and -.
type signOp struct {
	operand op
	minus   bool
}

func (o *signOp) eval(f *frame, dst []Item) ([]Item, error) {
	v, ok, err := f.value(o.operand)
	if err != nil || !ok {
		return dst, err
	}
	if !v.isNumber() && v.kind != KindQuantity {
		return nil, evalError("a sign cannot stand before %s", v.kind)
	}
	if o.minus {
		v = negative(v)
	}
	return append(dst, Item{val: v}), nil
}

func negative(v Value) Value {
	if v.kind == KindInteger {
		v.n = -v.n
		return v
	}
	v.dec = new(apd.Decimal).Neg(v.dec)
	return v
}

// arithmeticOp is +, -, *, /, div and mod.
type arithmeticOp struct {
	a, b op
	name string
}

func (o *arithmeticOp) eval(f *frame, dst []Item) ([]Item, error) {
	a, okA, err := f.value(o.a)
	if err != nil {
		return nil, err
	}
	b, okB, err := f.value(o.b)
	if err != nil || !okA || !okB {
		return dst, err
	}
	v, ok, err := arithmetic(o.name, a, b)
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, Item{val: v}), nil
}

// arithmetic computes a name b; ok is false for an empty result (division by
// zero, units that do not convert).
func arithmetic(name string, a, b Value) (v Value, ok bool, err error) {
	switch {
	case a.kind == KindInteger && b.kind == KindInteger && name != "/":
		v, ok, err = integers(name, a.n, b.n)
		return v, ok, err
	case a.isNumber() && b.isNumber():
		v, ok = decimals(name, a.decimal(), b.decimal())
		return v, ok, nil
	case a.kind == KindString && b.kind == KindString && name == "+":
		if len(a.str)+len(b.str) > maxText {
			return Value{}, false, errItems
		}
		return String(a.str + b.str), true, nil
	case a.isTemporal() && b.kind == KindQuantity && (name == "+" || name == "-"):
		if v, ok = addDuration(a, b, name == "-"); !ok {
			return Value{}, false, evalError("cannot add %s to %s", b, a.kind)
		}
		return v, true, nil
	case a.kind == KindQuantity && b.kind == KindQuantity && (name == "+" || name == "-"):
		v, ok = addQuantities(a, b, name == "-")
		return v, ok, nil
	case (a.kind == KindQuantity || a.isNumber()) && (b.kind == KindQuantity || b.isNumber()) && (name == "*" || name == "/"):
		v, ok = multiplyQuantities(a, b, name == "/")
		return v, ok, nil
	}
	return Value{}, false, evalError("%s %s %s is not defined", a.kind, name, b.kind)
}

func integers(name string, a, b int64) (Value, bool, error) {
	if (name == "div" || name == "mod") && b == 0 {
		return Value{}, false, nil
	}
	r, overflow := int64(0), false
	switch name {
	case "+":
		r = a + b
		overflow = (r > a) != (b > 0) && b != 0
	case "-":
		r = a - b
		overflow = (r < a) != (b > 0) && b != 0
	case "*":
		r = a * b
		overflow = a != 0 && (r/a != b || a == -1 && b == math.MinInt64)
	case "div":
		overflow = a == math.MinInt64 && b == -1
		r = a / b
	case "mod":
		if b != -1 {
			r = a % b
		}
	}
	if overflow {
		return Value{}, false, evalError("integer overflow in %s", name)
	}
	return Integer(r), true, nil
}

func decimals(name string, a, b *apd.Decimal) (Value, bool) {
	if b.IsZero() && (name == "/" || name == "div" || name == "mod") {
		return Value{}, false
	}
	d := new(apd.Decimal)
	var err error
	switch name {
	case "+":
		_, err = exact.Add(d, a, b)
	case "-":
		_, err = exact.Sub(d, a, b)
	case "*":
		_, err = exact.Mul(d, a, b)
	case "/":
		if _, err = quotient.Quo(d, a, b); err == nil {
			d.Reduce(d)
			d = plain(d)
		}
	case "div":
		if _, err = exact.QuoInteger(d, a, b); err == nil {
			return whole(d, apd.RoundDown)
		}
	case "mod":
		_, err = exact.Rem(d, a, b)
	}
	if err != nil || d.Form != apd.Finite || d.Exponent > maxScale || d.Exponent < -maxScale {
		return Value{}, false
	}
	return decimalOf(d), true
}
