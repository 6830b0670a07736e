package publish

import (
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

func TestLastPeriod(t *testing.T) {
	for _, c := range []struct{ now, period, from, to string }{
		{"2026-03-01 00:30", "day", "2026-02-28", "2026-03-01"},
		{"2026-03-31 12:00", "month", "2026-02-01", "2026-03-01"},
		{"2026-01-05 03:00", "month", "2025-12-01", "2026-01-01"},
		{"2026-02-01 03:00", "quarter", "2025-10-01", "2026-01-01"},
		{"2026-12-31 23:59", "quarter", "2026-07-01", "2026-10-01"},
		{"2026-01-01 00:00", "year", "2025-01-01", "2026-01-01"},
	} {
		now, err := time.ParseInLocation("2006-01-02 15:04", c.now, measures.Shanghai())
		if err != nil {
			t.Fatal(err)
		}
		from, to, err := Publication{Period: c.period}.last(now.UTC())
		if err != nil || from.Format(time.DateOnly) != c.from || to.Format(time.DateOnly) != c.to {
			t.Errorf("%s before %s: %v to %v, %v", c.period, c.now, from, to, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		p  Publication
		ok bool
	}{
		"good":        {Publication{Schedule: "0 3 1 * *", Period: "month"}, true},
		"no schedule": {Publication{Period: "month"}, false},
		"no period":   {Publication{Schedule: "@daily"}, false},
	} {
		if err := Validate([]Publication{c.p}); (err == nil) != c.ok || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
