package rational

import (
	"strconv"
	"strings"
)

// Mass is a mass in micrograms, so that doses add and compare exactly.
type Mass int64

// Gram is one gram.
const Gram Mass = 1_000_000

// ParseGrams reads a decimal number of grams, e.g. "4.5"; ok is false for
// anything else, for negative numbers, and below a microgram's precision.
func ParseGrams(s string) (Mass, bool) {
	whole, frac, _ := strings.Cut(strings.TrimSpace(s), ".")
	if len(frac) > 6 {
		if strings.Trim(frac[6:], "0") != "" {
			return 0, false
		}
		frac = frac[:6]
	}
	w, err := strconv.ParseInt(whole, 10, 32)
	if err != nil || w < 0 || strings.HasPrefix(whole, "-") {
		return 0, false
	}
	var f int64
	if frac != "" {
		if f, err = strconv.ParseInt((frac + "000000")[:6], 10, 64); err != nil || f < 0 {
			return 0, false
		}
	}
	return Mass(w)*Gram + Mass(f), true
}

// String writes the mass as grams without trailing zeros, e.g. "4.5g".
func (m Mass) String() string {
	s := strconv.FormatFloat(float64(m)/float64(Gram), 'f', 6, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "g"
}
