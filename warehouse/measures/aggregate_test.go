package measures

import (
	"slices"
	"strings"
	"testing"
)

func TestCalls(t *testing.T) {
	for expr, want := range map[string]string{
		"count()":                               "[count:]",
		"sum(a) + sum(b)":                       "[sum:a] + [sum:b]",
		"length(groupUniqArrayArray(names))":    "length([groupUniqArrayArray:names])",
		"countIf(category IN ('a)', 'count('))": "[countIf:category IN ('a)', 'count(')]",
		"uniqExact(doctor_id, day)":             "[uniqExact:doctor_id, day]",
		"discount(a)":                           "discount(a)",
		"":                                      "",
	} {
		if got := calls(expr, func(f, args string) string { return "[" + f + ":" + args + "]" }); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
	}
}

// TestCube says that days of a hall hold every indicator but those that compare
// a visit with the whole scope, and nothing twice.
func TestCube(t *testing.T) {
	c := catalogue(t)
	for _, m := range c.All() {
		if !m.mergeable() {
			if m.Name != "high-cost-visit-share" {
				t.Errorf("%s cannot be merged from days", m.Name)
			}
			continue
		}
		for _, expr := range []string{m.Numerator, m.Denominator} {
			if merged := c.cubes[m.Fact].merge(expr); strings.Count(merged, "Merge(") == 0 && expr != "" {
				t.Errorf("%s: %q became %q", m.Name, expr, merged)
			}
		}
	}
	for fact, cube := range c.cubes {
		states := slices.Clone(cube.states)
		for i := range states {
			states[i], _, _ = strings.Cut(states[i], " AS ")
		}
		slices.Sort(states)
		if n := len(slices.Compact(states)); n != len(cube.states) {
			t.Errorf("%s: %d of %d states are distinct", fact, n, len(cube.states))
		}
	}
}

// TestDimensions says that every stratifier of a Measure is one we compute.
func TestDimensions(t *testing.T) {
	for _, m := range catalogue(t).All() {
		if len(m.Dimensions) == 0 || m.Grain == "" || m.From == "" {
			t.Errorf("%s: incomplete: %+v", m.Name, m.Dimensions)
		}
		for _, d := range m.Dimensions {
			if known, ok := dimensions[d.Name]; !ok || known.only != "" && known.only != m.Fact {
				t.Errorf("%s: no dimension %q of %s", m.Name, d.Name, m.Fact)
			}
		}
	}
}
