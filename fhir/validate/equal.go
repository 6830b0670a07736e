package validate

import (
	"cmp"
	"math/big"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// equal compares values as fixed[x] does: the same members with the same values,
// in any order; arrays item by item.
func equal(want, got fhir.Node) bool {
	if want.Kind() != got.Kind() || want.Len() != got.Len() {
		return false
	}
	switch want.Kind() {
	case fhir.Object:
		for c := range want.Children() {
			if !equal(c, got.Get(c.Key())) {
				return false
			}
		}
		return true
	case fhir.Array:
		g := got.First()
		for c := range want.Children() {
			if !equal(c, g) {
				return false
			}
			g = g.Next()
		}
		return true
	}
	return scalar(want, got)
}

// matches compares values as pattern[x] does: all members of the pattern must be
// there and match; every item of its arrays must match some item.
func matches(pattern, got fhir.Node) bool {
	if pattern.Kind() != got.Kind() {
		return false
	}
	switch pattern.Kind() {
	case fhir.Object:
		for c := range pattern.Children() {
			if !matches(c, got.Get(c.Key())) {
				return false
			}
		}
		return true
	case fhir.Array:
		for c := range pattern.Children() {
			found := false
			for g := range got.Children() {
				found = found || matches(c, g)
			}
			if !found {
				return false
			}
		}
		return true
	}
	return scalar(pattern, got)
}

func scalar(a, b fhir.Node) bool {
	if a.Kind() == fhir.Number {
		return compare(a, b) == 0
	}
	return a.Str() == b.Str()
}

// compare orders two numbers, two texts of dates, or two Quantities of one unit;
// 0 if they cannot be ordered.
func compare(a, b fhir.Node) int {
	switch {
	case a.Kind() == fhir.Number && b.Kind() == fhir.Number:
		x, ok1 := rat(a.Str())
		y, ok2 := rat(b.Str())
		if ok1 && ok2 {
			return x.Cmp(y)
		}
	case a.Kind() == fhir.String && b.Kind() == fhir.String:
		n := min(len(a.Str()), len(b.Str())) // dates: to the common precision
		return cmp.Compare(a.Str()[:n], b.Str()[:n])
	case a.Kind() == fhir.Object && b.Kind() == fhir.Object && a.Get("code").Str() == b.Get("code").Str():
		return compare(a.Get("value"), b.Get("value"))
	}
	return 0
}

// rat reads a JSON number; huge exponents, which would cost memory, are refused.
func rat(s string) (*big.Rat, bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(s)-i > 5 {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}
