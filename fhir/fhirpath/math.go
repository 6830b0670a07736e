package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// Math: N1 chapter 5.7. All results are decimals but where the specification
// keeps integers.

// numeric makes a function on one number or quantity's amount; ok false is empty.
func numeric(name string, fn func(f *frame, v Value, args []op) (Value, bool, error)) builtin {
	return func(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
		v, ok, err := single(in, name)
		if err != nil || !ok {
			return dst, err
		}
		if !v.isNumber() && v.kind != KindQuantity {
			return nil, evalError("%s() takes a number, not %s", name, v.kind)
		}
		v, ok, err = fn(f, v, args)
		if err != nil || !ok {
			return dst, err
		}
		return append(dst, Item{val: v}), nil
	}
}

func numAbs(_ *frame, v Value, _ []op) (Value, bool, error) {
	if v.kind == KindInteger {
		return Integer(max(v.n, -v.n)), true, nil
	}
	v.dec = new(apd.Decimal).Abs(v.dec)
	return v, true, nil
}

func rounding(how apd.Rounder) func(*frame, Value, []op) (Value, bool, error) {
	return func(_ *frame, v Value, _ []op) (Value, bool, error) {
		if v.kind == KindInteger {
			return v, true, nil
		}
		n, ok := whole(v.dec, how)
		return n, ok, nil
	}
}

func numRound(f *frame, v Value, args []op) (Value, bool, error) {
	digits := int64(0)
	if len(args) == 1 {
		n, ok, err := f.integer(args[0], "the precision of round()")
		if err != nil {
			return Value{}, false, err
		}
		if n < 0 || n > maxScale {
			return Value{}, false, evalError("round() to %d digits", n)
		}
		if ok {
			digits = n
		}
	}
	r := decimalOf(roundTo(v.decimal(), int32(digits)))
	if v.kind == KindQuantity {
		v.dec = r.dec
		return v, true, nil
	}
	return r, true, nil
}

// approximate makes sqrt, ln, exp: irrational results at the quotient's digits.
func approximate(fn func(d, x *apd.Decimal) (apd.Condition, error)) func(*frame, Value, []op) (Value, bool, error) {
	return func(_ *frame, v Value, _ []op) (Value, bool, error) {
		d := new(apd.Decimal)
		if !modest(v.decimal()) {
			return Value{}, false, nil
		}
		if _, err := fn(d, v.decimal()); err != nil {
			return Value{}, false, nil
		}
		return finite(d)
	}
}

// modest bounds the operands of irrational functions, whose time grows with
// their size.
func modest(d *apd.Decimal) bool {
	return d.NumDigits() <= 40 && d.NumDigits()+int64(d.Exponent) <= 40 && d.Exponent >= -40
}

func finite(d *apd.Decimal) (Value, bool, error) {
	if d.Form != apd.Finite || d.Exponent > maxScale || d.Exponent < -maxScale {
		return Value{}, false, nil
	}
	d.Reduce(d)
	return decimalOf(plain(d)), true, nil
}

func numLog(f *frame, v Value, args []op) (Value, bool, error) {
	base, ok, err := f.value(args[0])
	if err != nil || !ok || !base.isNumber() {
		return Value{}, false, err
	}
	a, b := new(apd.Decimal), new(apd.Decimal)
	if !modest(v.decimal()) || !modest(base.decimal()) {
		return Value{}, false, nil
	}
	if _, err := quotient.Ln(a, v.decimal()); err != nil {
		return Value{}, false, nil
	}
	if _, err := quotient.Ln(b, base.decimal()); err != nil || b.IsZero() {
		return Value{}, false, nil
	}
	d := new(apd.Decimal)
	if _, err := quotient.Quo(d, a, b); err != nil {
		return Value{}, false, nil
	}
	// two roundings may leave log(16, 2) a hair off 4
	if _, err := quotient.WithPrecision(quotientDigits-3).Round(d, d); err != nil {
		return Value{}, false, nil
	}
	return finite(d)
}

func numPower(f *frame, v Value, args []op) (Value, bool, error) {
	exp, ok, err := f.value(args[0])
	if err != nil || !ok || !exp.isNumber() {
		return Value{}, false, err
	}
	d := new(apd.Decimal)
	x, y := v.decimal(), exp.decimal()
	if !modest(x) || y.NumDigits()+int64(y.Exponent) > 4 {
		return Value{}, false, nil
	}
	ctx := exact
	if y.Exponent < 0 || y.Negative {
		ctx = quotient
	}
	if _, err := ctx.Pow(d, x, y); err != nil || d.Form != apd.Finite {
		return Value{}, false, nil
	}
	if v.kind == KindInteger && exp.kind == KindInteger && !y.Negative {
		if n, err := plain(d).Int64(); err == nil {
			return Integer(n), true, nil
		}
	}
	return finite(d)
}

// fnSum, fnMin, fnMax, fnAvg of a collection: empty if it is empty.
func fold(name string, pick func(acc, v Value) (Value, bool, error)) builtin {
	return func(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
		var acc Value
		for i := range in {
			v, ok := in[i].Value()
			if !ok {
				return nil, evalError("%s() takes values, not %s", name, in[i].Type())
			}
			if i == 0 {
				acc = v
				continue
			}
			var err error
			if acc, ok, err = pick(acc, v); err != nil || !ok {
				return dst, err
			}
		}
		if len(in) == 0 {
			return dst, nil
		}
		return append(dst, Item{val: acc}), nil
	}
}

func foldSum(acc, v Value) (Value, bool, error) { return arithmetic("+", acc, v) }

func foldOrder(want int) func(acc, v Value) (Value, bool, error) {
	return func(acc, v Value) (Value, bool, error) {
		order, ok, err := compareValues(v, acc)
		if ok && order == want {
			acc = v
		}
		return acc, ok, err
	}
}

func fnAvg(f *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
	sum, err := fold("avg", foldSum)(f, in, nil, f.buffer())
	if err != nil || len(sum) == 0 {
		return dst, err
	}
	v, ok, err := arithmetic("/", sum[0].val, Integer(int64(len(in))))
	f.recycle(sum)
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, Item{val: v}), nil
}
