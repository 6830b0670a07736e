package supervision

import (
	"cmp"
	"strings"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// limit is a threshold as the page of an indicator shows it.
type limit struct{ Level, Text, From, To, Source string }

// limits are the thresholds that the installation sets for an indicator.
func limits(m *measures.Measure) (out []limit) {
	for _, t := range m.Thresholds {
		l := limit{Level: "全部", Text: required(m, &t), From: cmp.Or(t.From, "—"), To: cmp.Or(t.To, "—"), Source: t.Source}
		if t.Level != "" {
			l.Level = cmp.Or(levels[t.Level], t.Level)
		}
		out = append(out, l)
	}
	return out
}

// required puts a threshold in words.
func required(m *measures.Measure, t *measures.Threshold) (words string) {
	show := func(v float64) string { return text(m, measures.Score{Value: v, Defined: true}) }
	if t.AtLeast != nil {
		words = "不低于 " + show(*t.AtLeast)
	}
	if t.AtMost != nil {
		words += "　不高于 " + show(*t.AtMost)
	}
	return strings.TrimSpace(words)
}

// off says how a value misses a threshold, "" if it does not or there is none.
func off(t *measures.Threshold, v float64) string {
	switch {
	case t == nil:
		return ""
	case t.AtLeast != nil && v < *t.AtLeast:
		return "低于要求"
	case t.AtMost != nil && v > *t.AtMost:
		return "高于要求"
	}
	return ""
}
