package fhirpath

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Conversion: N1 chapter 5.5.

// single returns the only item's value; ok is false if the input is empty or
// has no value, several items are an error.
func single(in []Item, name string) (v Value, ok bool, err error) {
	if len(in) == 0 {
		return Value{}, false, nil
	}
	if len(in) > 1 {
		return Value{}, false, evalError("%s() takes one item, not %d", name, len(in))
	}
	v, ok = in[0].Value()
	return v, ok, nil
}

// converter makes toX() and convertsToX() from one conversion.
func converter(name string, convert func(Value) (Value, bool)) (to, converts function) {
	to = function{eval: func(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
		v, ok, err := single(in, "to"+name)
		if err != nil || !ok {
			return dst, err
		}
		if v, ok = convert(v); !ok {
			return dst, nil
		}
		return append(dst, Item{val: v}), nil
	}}
	converts = function{eval: func(_ *frame, in []Item, _ []op, dst []Item) ([]Item, error) {
		v, ok, err := single(in, "convertsTo"+name)
		if err != nil || len(in) == 0 {
			return dst, err
		}
		if ok {
			_, ok = convert(v)
		}
		return appendBool(dst, ok), nil
	}}
	return to, converts
}

func toBoolean(v Value) (Value, bool) {
	switch v.kind {
	case KindBoolean:
		return v, true
	case KindInteger, KindDecimal:
		d := v.decimal()
		if d.Cmp(apd.New(1, 0)) == 0 {
			return Boolean(true), true
		}
		return Boolean(false), d.IsZero()
	case KindString:
		switch strings.ToLower(v.str) {
		case "true", "t", "yes", "y", "1", "1.0":
			return Boolean(true), true
		case "false", "f", "no", "n", "0", "0.0":
			return Boolean(false), true
		}
	}
	return Value{}, false
}

func toInteger(v Value) (Value, bool) {
	switch v.kind {
	case KindInteger:
		return v, true
	case KindBoolean:
		return Integer(v.n), true
	case KindString:
		n, err := strconv.ParseInt(v.str, 10, 32)
		return Integer(n), err == nil
	}
	return Value{}, false
}

func toDecimal(v Value) (Value, bool) {
	switch v.kind {
	case KindDecimal:
		return v, true
	case KindInteger:
		return decimalOf(v.decimal()), true
	case KindBoolean:
		return decimalOf(apd.New(v.n*10, -1)), true
	case KindString:
		if strings.ContainsAny(v.str, "eE") {
			return Value{}, false
		}
		return Decimal(v.str)
	}
	return Value{}, false
}

func toQuantity(v Value) (Value, bool) {
	switch v.kind {
	case KindQuantity:
		return v, true
	case KindInteger, KindDecimal:
		return asUCUM(v), true
	case KindBoolean:
		return quantityOf(apd.New(v.n*10, -1), "1", false), true
	case KindString:
		return parseQuantity(v.str)
	}
	return Value{}, false
}

func toText(v Value) (Value, bool) { return String(v.String()), true }

func toDate(v Value) (Value, bool) {
	switch v.kind {
	case KindDate:
		return v, true
	case KindDateTime:
		y, m, d, _ := v.calendar()
		return Value{kind: KindDate, flag: min(v.flag, precDay), zone: noZone, n: civil(y, m, d)}, true
	case KindString:
		if d, ok := parseDate(v.str); ok {
			return d, true
		}
		if d, ok := parseDateTime(v.str); ok {
			return toDate(d)
		}
	}
	return Value{}, false
}

func toDateTime(v Value) (Value, bool) {
	switch v.kind {
	case KindDateTime:
		return v, true
	case KindDate:
		v.kind = KindDateTime
		return v, true
	case KindString:
		return parseDateTime(v.str)
	}
	return Value{}, false
}

func toTime(v Value) (Value, bool) {
	switch v.kind {
	case KindTime:
		return v, true
	case KindString:
		return parseTime(strings.TrimPrefix(v.str, "T"))
	}
	return Value{}, false
}

// fnToQuantity is toQuantity([unit]): with a unit the amount is converted.
func fnToQuantity(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	v, ok, err := single(in, "toQuantity")
	if err != nil || !ok {
		return dst, err
	}
	if v, ok = toQuantity(v); !ok {
		return dst, nil
	}
	if len(args) == 1 {
		unit, ok, err := f.text(args[0], "a unit")
		if err != nil || !ok {
			return dst, err
		}
		zero := quantityOf(apd.New(0, 0), unit, false)
		if v, ok = addQuantities(zero, v, false); !ok {
			return dst, nil
		}
	}
	return append(dst, Item{val: v}), nil
}

// fnIif evaluates one of its branches with $this set to its input.
func fnIif(f *frame, in []Item, args []op, dst []Item) ([]Item, error) {
	if len(in) > 1 {
		return nil, evalError("iif() takes one item, not %d", len(in))
	}
	this := f.this
	f.this = in
	defer func() { f.this = this }()
	b, err := f.collect(args[0])
	if err != nil {
		return nil, err
	}
	if len(b) > 0 {
		if v, ok := b[0].Value(); len(b) > 1 || !ok || v.kind != KindBoolean {
			f.recycle(b)
			return nil, evalError("the criterion of iif() must be one Boolean")
		}
	}
	t, _ := truthOfItems(b)
	f.recycle(b)
	switch {
	case t == yes:
		return args[1].eval(f, dst)
	case len(args) == 3:
		return args[2].eval(f, dst)
	}
	return dst, nil
}
