package fhirpath

import (
	"math/big"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// Decimals are exact up to maxDigits significant digits; quotients keep
// quotientDigits, as the specification asks for at least 28.
const (
	maxDigits      = 100
	maxScale       = 400
	quotientDigits = 28
)

var (
	exact    = apd.BaseContext.WithPrecision(maxDigits)
	quotient = apd.BaseContext.WithPrecision(quotientDigits)
)

func decimalOf(d *apd.Decimal) Value { return Value{kind: KindDecimal, dec: d} }

// parseNumber reads an unsigned number literal or JSON number.
func parseNumber(text string) (Value, bool) {
	for i := 0; i < len(text); i++ {
		if c := text[i]; !isDigit(c) && (c != '-' || i > 0) {
			return Decimal(text)
		}
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Integer(n), true
	}
	return Decimal(text)
}

// decimal returns an Integer, Decimal or a Quantity's amount; nil otherwise.
func (v Value) decimal() *apd.Decimal {
	if v.kind == KindInteger {
		return apd.New(v.n, 0)
	}
	return v.dec
}

func (v Value) isNumber() bool { return v.kind == KindInteger || v.kind == KindDecimal }

// scale returns the number of digits after the point, trailing zeros not
// counted if trim.
func scale(d *apd.Decimal, trim bool) int32 {
	if trim {
		var r apd.Decimal
		r.Reduce(d)
		d = &r
	}
	return max(0, -d.Exponent)
}

// round returns d with digits after the point, halves away from zero.
func roundTo(d *apd.Decimal, digits int32) *apd.Decimal {
	return quantize(d, digits, apd.RoundHalfUp)
}

func quantize(d *apd.Decimal, digits int32, how apd.Rounder) *apd.Decimal {
	c := apd.BaseContext.WithPrecision(maxScale * 3)
	c.Rounding = how
	r := new(apd.Decimal)
	if _, err := c.Quantize(r, d, -digits); err != nil {
		return d
	}
	return r
}

// whole returns d as an Integer after rounding; ok is false if it does not fit.
func whole(d *apd.Decimal, how apd.Rounder) (Value, bool) {
	n, err := quantize(d, 0, how).Int64()
	return Integer(n), err == nil
}

func toRat(d *apd.Decimal) *big.Rat {
	r := new(big.Rat).SetInt(d.Coeff.MathBigInt())
	if d.Negative {
		r.Neg(r)
	}
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(d.Exponent, -d.Exponent))), nil)
	if d.Exponent < 0 {
		return r.Quo(r, new(big.Rat).SetInt(ten))
	}
	return r.Mul(r, new(big.Rat).SetInt(ten))
}

// fromRat returns r as a decimal, exact where it is finite and short enough,
// else rounded to the quotient's digits.
func fromRat(r *big.Rat) *apd.Decimal {
	num := apd.NewWithBigInt(new(apd.BigInt).SetMathBigInt(r.Num()), 0)
	den := apd.NewWithBigInt(new(apd.BigInt).SetMathBigInt(r.Denom()), 0)
	d := new(apd.Decimal)
	if _, err := quotient.Quo(d, num, den); err != nil {
		return apd.New(0, 0)
	}
	d.Reduce(d)
	return plain(d)
}

// plain removes a positive exponent, so that 1E+2 is written 100.
func plain(d *apd.Decimal) *apd.Decimal {
	if d.Exponent <= 0 {
		return d
	}
	return quantize(d, 0, apd.RoundHalfUp)
}
