package supervision

import (
	"cmp"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// limit is a threshold as the page of an indicator shows it.
type limit struct{ Level, Text, From, To, Source string }

// limits are the thresholds that the installation sets for an indicator.
func limits(m *measures.Measure) (out []limit) {
	show := func(v float64) string { return text(m, measures.Score{Value: v, Defined: true}) }
	for _, t := range m.Thresholds {
		l := limit{Level: "全部", From: cmp.Or(t.From, "—"), To: cmp.Or(t.To, "—"), Source: t.Source}
		if t.Level != "" {
			l.Level = cmp.Or(levels[t.Level], t.Level)
		}
		if t.AtLeast != nil {
			l.Text = "不低于 " + show(*t.AtLeast)
		}
		if t.AtMost != nil {
			l.Text += "　不高于 " + show(*t.AtMost)
		}
		out = append(out, l)
	}
	return out
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
