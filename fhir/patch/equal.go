package patch

import (
	"math"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// equal is equality of JSON values as RFC 6902 section 4.6 has it: numbers by
// value, objects in any order.
func equal(a, b fhir.Node) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case fhir.Number:
		return number(a.Str()) == number(b.Str())
	case fhir.String, fhir.Bool:
		return a.Str() == b.Str()
	case fhir.Array:
		if a.Len() != b.Len() {
			return false
		}
		for x, y := a.First(), b.First(); x.Exists(); x, y = x.Next(), y.Next() {
			if !equal(x, y) {
				return false
			}
		}
	case fhir.Object:
		return equalObjects(a, b)
	}
	return true
}

func equalObjects(a, b fhir.Node) bool {
	if a.Len() != b.Len() {
		return false
	}
	members := make(map[string]fhir.Node, b.Len())
	for m := range b.Children() {
		members[m.Key()] = m
	}
	for m := range a.Children() {
		o, ok := members[m.Key()]
		if !ok || !equal(m, o) {
			return false
		}
	}
	return true
}

// decimal is a number in one form: 0.digits × 10^exp, digits without zeros at
// either end.
type decimal struct {
	negative bool
	digits   string
	exp      int64
}

// number reads a JSON number. An exponent beyond all reason counts as the largest.
func number(s string) decimal {
	var d decimal
	s, d.negative = strings.CutPrefix(s, "-")
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.ParseInt(s[i+1:], 10, 64)
		if err != nil || e > math.MaxInt32 || e < math.MinInt32 {
			e = math.MaxInt32
		}
		s, d.exp = s[:i], e
	}
	whole, fraction, _ := strings.Cut(s, ".")
	d.exp += int64(len(whole))
	all := whole + fraction
	d.digits = strings.TrimLeft(all, "0")
	d.exp -= int64(len(all) - len(d.digits))
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}
