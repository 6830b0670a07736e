package mapping

import (
	"strings"

	"github.com/shopspring/decimal"
)

// ParseDecimal returns the shortest form of an exact decimal.
func ParseDecimal(s string) (string, bool) {
	if len(s) > 40 {
		return "", false
	}
	if simple, ok := shorten(s); ok {
		return simple, true
	}
	d, err := decimal.NewFromString(s)
	if err != nil || d.Exponent() < -30 || d.Exponent() > 30 {
		return "", false
	}
	return d.String(), true
}

// shorten handles plain digits with at most one point, without arithmetic.
func shorten(s string) (string, bool) {
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	dot := -1
	for i := range len(s) {
		if s[i] == '.' && dot < 0 && i > 0 {
			dot = i
		} else if s[i] < '0' || s[i] > '9' {
			return "", false
		}
	}
	if s == "" || dot == len(s)-1 {
		return "", false
	}
	if dot >= 0 {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	for len(s) > 1 && s[0] == '0' && s[1] != '.' {
		s = s[1:]
	}
	if neg && s != "0" {
		s = "-" + s
	}
	return s, true
}
