package rest

import (
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Span is a stretch of time [Start, End).
type Span struct{ Start, End time.Time }

// timeForms are the precisions of a FHIR date or instant and the span each covers.
var timeForms = []struct {
	layout string
	years  int
	months int
	days   int
	exact  time.Duration
}{
	{"2006-01-02T15:04:05.999999999Z07:00", 0, 0, 0, time.Millisecond},
	{"2006-01-02T15:04Z07:00", 0, 0, 0, time.Minute},
	{"2006-01-02T15:04:05", 0, 0, 0, time.Second},
	{"2006-01-02T15:04", 0, 0, 0, time.Minute},
	{"2006-01-02", 0, 0, 1, 0},
	{"2006-01", 0, 1, 0, 0},
	{"2006", 1, 0, 0, 0},
}

// ParseTime reads a FHIR date, dateTime or instant as the span [Start, End) it
// covers; without a zone it is in the process's (TZ).
func ParseTime(v string) (Span, error) {
	for i, f := range timeForms {
		t, err := time.ParseInLocation(f.layout, v, time.Local)
		if err != nil {
			// An unescaped '+' of the zone arrives as a space.
			if i < 2 && len(v) > 6 && v[len(v)-6] == ' ' {
				t, err = time.Parse(f.layout, v[:len(v)-6]+"+"+v[len(v)-5:])
			}
			if err != nil {
				continue
			}
		}
		exact := f.exact
		if i == 0 && t.Nanosecond() == 0 {
			exact = time.Second
		}
		return Span{t, t.AddDate(f.years, f.months, f.days).Add(exact)}, nil
	}
	return Span{}, fault.New(fault.Invalid, "not a date")
}
