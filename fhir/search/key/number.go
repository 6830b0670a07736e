package key

import (
	"math"
	"strconv"
	"strings"
)

// Decimal is a number as it was written, with the range its digits stand for.
type Decimal struct {
	Value     float64
	Low, High float64 // implicit precision: 100 covers [99.5, 100.5), 1e2 [50, 150)
}

// ParseDecimal parses a decimal of JSON or of a search value. Numbers are told
// apart by 15 to 17 digits, as float64 does; those too large for it are infinite.
func ParseDecimal(s string) (Decimal, bool) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(v, 0) || strings.TrimLeft(s, "+-.0123456789eE") != "" {
		return Decimal{}, false
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		exponent, err = strconv.Atoi(s[i+1:])
		if err != nil {
			return Decimal{}, false
		}
	}
	digits := mantissa
	if i := strings.IndexByte(mantissa, '.'); i >= 0 {
		digits = mantissa[:i] + mantissa[i+1:]
		exponent -= len(mantissa) - i - 1
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/20 || n < -math.MaxInt64/20 {
		half := 0.5 * math.Pow10(exponent)
		return Decimal{v, v - half, v + half}, true
	}
	return Decimal{v, scaled(n*10-5, exponent-1), scaled(n*10+5, exponent-1)}, true
}

// scaled is n·10^e, rounded once, as the same number written out would be.
func scaled(n int64, e int) float64 {
	var buf [48]byte
	b := append(strconv.AppendInt(buf[:0], n, 10), 'e')
	f, _ := strconv.ParseFloat(string(strconv.AppendInt(b, int64(e), 10)), 64)
	return f
}
