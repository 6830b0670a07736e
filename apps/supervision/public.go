package supervision

import (
	"slices"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// suppressed stands where a public table must not show a small count.
const suppressed = "<10"

// small reports whether a score shows, or lets one compute, a count of so few
// people that public output suppresses it.
func small(m *measures.Measure, s measures.Score, least float64) bool {
	few := func(n float64) bool { return n > 0 && n < least }
	return few(s.Numerator) || m.Denominator != "" && few(s.Denominator) || m.Scoring == "proportion" && few(s.Denominator-s.Numerator)
}

// suppress says which of the scores of one table public output hides: the small
// ones, and where that is a single one the next smallest too, which would give
// it away together with the total.
func suppress(m *measures.Measure, scores []measures.Score, least float64) []bool {
	out := make([]bool, len(scores))
	weight := func(s measures.Score) float64 {
		if m.Denominator == "" {
			return s.Numerator
		}
		return s.Denominator
	}
	hidden, next := 0, -1
	for i, s := range scores {
		switch out[i] = small(m, s, least); {
		case out[i]:
			hidden++
		case weight(s) > 0 && (next < 0 || weight(s) < weight(scores[next])):
			next = i
		}
	}
	if hidden == 1 && next >= 0 {
		out[next] = true
	}
	return out
}

// published are the sheets that public output may have.
func published(list []sheet) []sheet {
	return slices.DeleteFunc(slices.Clone(list), func(x sheet) bool { return !x.Public })
}
