package ucum

import (
	"math/big"
	"strings"
	"testing"
)

func TestConvert_ok(t *testing.T) {
	for _, c := range []struct{ value, from, to, want string }{
		{"4", "g", "mg", "4000"},
		{"1", "[lb_av]", "kg", "0.45359237"},
		{"1", "mmol/L", "mol/m3", "1"},
		{"1", "mm[Hg]", "Pa", "133.322"},
		{"37", "Cel", "K", "310.15"},
		{"98.6", "[degF]", "Cel", "37"},
		{"1", "wk", "d", "7"},
		{"5", "10*9/L", "/nL", "5"},
		{"1", "[in_i]", "cm", "2.54"},
		{"1", "kg.m/s2", "N", "1"},
		{"1", "mg/(24.h)", "mg/d", "1"},
		{"1", "{tablet}", "1", "1"},
		{"1", "[IU]/L", "[iU]/dL", "0.1"},
		{"1", "KiBy", "By", "1024"},
	} {
		from, err1 := Parse(c.from)
		to, err2 := Parse(c.to)
		if err1 != nil || err2 != nil || !from.Comparable(to) {
			t.Errorf("%s → %s: %v %v", c.from, c.to, err1, err2)
			continue
		}
		v, _ := new(big.Rat).SetString(c.value)
		want, _ := new(big.Rat).SetString(c.want)
		if got := to.FromBase(from.Base(v)); got.Cmp(want) != 0 {
			t.Errorf("%s %s = %s %s, want %s", c.value, c.from, got.FloatString(9), c.to, c.want)
		}
	}
}

func TestParse_bad(t *testing.T) {
	for _, code := range []string{"", "foo", "mg/", "(mg", "[s]", "mg//L", "m+", "{a", "10*9999", "Cel2", "Cel/L", "kmin", "()"} {
		if u, err := Parse(code); err == nil {
			t.Errorf("Parse(%q) = %s", code, u.Dimension())
		}
	}
}

func TestEveryAtomParses(t *testing.T) {
	for code, a := range load().atoms {
		if a.unit.factor.Sign() <= 0 {
			t.Errorf("%s: factor %s", code, a.unit.factor)
		}
	}
	for line := range strings.Lines(table) {
		f := strings.Split(line, "\t")
		if len(f) == 4 && f[1] != "b" && !strings.ContainsAny(f[1], "as") && load().atoms[f[0]].unit.Dimension() == f[0] {
			t.Errorf("%s: its unit %q was not understood", f[0], f[3])
		}
	}
}

func TestComparable_bad(t *testing.T) {
	a, _ := Parse("cm")
	b, _ := Parse("s")
	if a.Comparable(b) {
		t.Error("cm and s")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"mg/dL", "10*-6", "((m))", "mm[Hg].{x}2", "/m3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		if u, err := Parse(code); err == nil {
			u.FromBase(u.Base(big.NewRat(3, 7)))
			_ = u.Dimension()
		}
	})
}
