package sim

import (
	"strings"
	"testing"
	"time"
)

// TestProvinceSteps says that the statements write every visit once, in bounded
// parts, and that what cannot be is refused.
func TestProvinceSteps(t *testing.T) {
	p := DefaultProvince(time.Date(2026, 1, 1, 0, 0, 0, 0, China()))
	p.Visits = 1_200_000
	steps, err := p.Steps()
	if err != nil {
		t.Fatal(err)
	}
	visits := map[string]int{}
	for _, s := range steps {
		visits[s.Table] += s.Visits
		if s.Visits > chunkVisits || !strings.HasPrefix(s.SQL, "INSERT INTO qihuang."+s.Table+" (") || strings.Contains(s.SQL, "%!") {
			t.Errorf("step of %s: %.80s", s.Table, s.SQL)
		}
	}
	for _, table := range []string{"encounter", "prescription", "prescription_item", "charge", "condition", "finding", "record", "treatment"} {
		if visits[table] != p.Visits {
			t.Errorf("%s gets %d visits of %d", table, visits[table], p.Visits)
		}
	}
	again, err := p.Steps()
	if err != nil || again[len(again)-1] != steps[len(steps)-1] {
		t.Errorf("the same seed gives the same province: %v", err)
	}
	for _, bad := range []Province{{}, {Visits: 1, Halls: 1, Days: 1, Start: p.Start}, {Visits: 5000, Halls: 0, Days: 1, Start: p.Start}} {
		if _, err := bad.Steps(); err == nil {
			t.Errorf("%+v is no province", bad)
		}
	}
}
