package supervision

import (
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// TestAppraise holds halls against requirements of their level: what is met
// counts with its weight, what has no data does not count.
func TestAppraise(t *testing.T) {
	least, most := 0.5, 0.05
	list := []*measures.Measure{
		{Name: "herbs", Denominator: "count()", Thresholds: []measures.Threshold{{AtLeast: &least, Weight: 3}}},
		{Name: "overdose", Denominator: "count()", Thresholds: []measures.Threshold{{AtMost: &most, Level: "township", To: "2026-11-30"}}},
	}
	ratio := func(v float64) measures.Score {
		return measures.Score{Numerator: v, Denominator: 1, Value: v, Defined: true}
	}
	a, s := &App{cfg: Default()}, &scope{end: time.Date(2026, 12, 1, 0, 0, 0, 0, shanghai)}
	cards := []scorecard{
		a.appraise(s, hall{Code: "empty", Level: "township"}, list, nil),
		a.appraise(s, hall{Code: "half", Level: "township"}, list, []measures.Score{ratio(0.6), ratio(0.1)}),
		a.appraise(s, hall{Code: "undefined", Level: "township"}, list, []measures.Score{{}, ratio(0.05)}),
		a.appraise(s, hall{Code: "none", Level: "township"}, list, []measures.Score{ratio(0.4), ratio(0.1)}),
		a.appraise(s, hall{Code: "village", Level: "village"}, list, []measures.Score{ratio(0.5), ratio(0.9)}),
	}
	place(cards)
	for i, want := range []struct {
		code, rank, score string
		missed            int
	}{{"undefined", "1", "100", 0}, {"village", "1", "100", 0}, {"half", "3", "75", 1}, {"none", "4", "0", 2}, {"empty", "—", "—", 0}} {
		if c := cards[i]; c.Code != want.code || c.Rank() != want.rank || c.Score() != want.score || len(c.Missed()) != want.missed {
			t.Errorf("card %d: %s place %s score %s missed %d, want %+v", i, c.Code, c.Rank(), c.Score(), len(c.Missed()), want)
		}
	}
}
