package supervision

import (
	"fmt"

	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// text writes a value as people read it: a share in percent, money with two
// places, a count with separators.
func text(m *measures.Measure, s measures.Score) string {
	switch {
	case !s.Defined:
		return "—"
	case m.Scoring == "proportion":
		return fmt.Sprintf("%.1f%%", 100*s.Value)
	case m.Unit == "元":
		return "¥" + money(s.Value)
	case m.Denominator != "":
		return fmt.Sprintf("%.1f %s", s.Value, m.Unit)
	}
	return web.Count(int64(s.Value+0.5)) + " " + m.Unit
}

func money(v float64) string {
	cents := int64(v*100 + 0.5)
	return fmt.Sprintf("%s.%02d", web.Count(cents/100), cents%100)
}

// parts writes numerator and denominator; nothing for a plain count.
func parts(m *measures.Measure, s measures.Score) string {
	if m.Denominator == "" {
		return ""
	}
	return web.Count(int64(s.Numerator+0.5)) + " / " + web.Count(int64(s.Denominator+0.5))
}

// number is the value without its unit, as spreadsheets want it.
func number(m *measures.Measure, s measures.Score) string {
	switch {
	case !s.Defined:
		return ""
	case m.Scoring == "proportion":
		return fmt.Sprintf("%.4f", s.Value)
	case m.Unit == "元":
		return fmt.Sprintf("%.2f", s.Value)
	case m.Denominator != "":
		return fmt.Sprintf("%.4f", s.Value)
	}
	return fmt.Sprintf("%.0f", s.Value)
}

// change is how a value moved against another period.
type change struct {
	Text  string // +3.2%, −1.5 个百分点, 持平, —
	Class string // " ok", " bad" or "": whether the way it moved is good
}

// compare says how now differs from before: percentage points for shares,
// percent for everything else.
func compare(m *measures.Measure, now, before measures.Score) change {
	if !now.Defined || !before.Defined || m.Scoring != "proportion" && before.Value == 0 {
		return change{Text: "—"}
	}
	diff, unit := 100*(now.Value-before.Value), " 个百分点"
	if m.Scoring != "proportion" {
		diff, unit = 100*(now.Value-before.Value)/before.Value, "%"
	}
	if diff > -0.05 && diff < 0.05 {
		return change{Text: "持平"}
	}
	c := change{Text: fmt.Sprintf("%+.1f%s", diff, unit)}
	switch {
	case m.Better == "increase" && diff > 0 || m.Better == "decrease" && diff < 0:
		c.Class = " ok"
	case m.Better != "":
		c.Class = " bad"
	}
	return c
}
