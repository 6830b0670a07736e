package rest

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	utc := func(s string) time.Time { v, _ := time.Parse(time.RFC3339Nano, s); return v }
	for v, want := range map[string]Span{
		"2026-01-02T03:04:05.678Z":  {utc("2026-01-02T03:04:05.678Z"), utc("2026-01-02T03:04:05.679Z")},
		"2026-01-02T03:04:05+08:00": {utc("2026-01-01T19:04:05Z"), utc("2026-01-01T19:04:06Z")},
		"2026-01-02T03:04:05 08:00": {utc("2026-01-01T19:04:05Z"), utc("2026-01-01T19:04:06Z")},
		"2026-01-02T03:04Z":         {utc("2026-01-02T03:04:00Z"), utc("2026-01-02T03:05:00Z")},
	} {
		got, err := ParseTime(v)
		if err != nil || !got.Start.Equal(want.Start) || !got.End.Equal(want.End) {
			t.Errorf("%s: %v %v", v, got, err)
		}
	}
	if y, err := ParseTime("2026"); err != nil || y.End.Sub(y.Start) != 365*24*time.Hour {
		t.Errorf("2026: %v %v", y, err)
	}
	for _, v := range []string{"", "x", "2026-13", "26"} {
		if _, err := ParseTime(v); err == nil {
			t.Errorf("%q must be refused", v)
		}
	}
}
