package mapping

import (
	"strings"
	"time"
)

// DateTime reads a date or time in any of the forms partners write and gives it
// as FHIR dateTime, as precise as it was written; times without a zone are in
// zone. ok is false for what is no date.
//
//	2026  202610  20261012  2026101208  202610120831  20261012083105.12+0800   HL7 v2 TS
//	2026-10-12  2026-10-12 08:31:05  2026-10-12T08:31:05+08:00  2026/1/2 …
func DateTime(s string, zone *time.Location) (text string, ok bool) {
	s = strings.TrimSpace(s)
	if text, ok, glued := compact(s, zone); glued {
		return text, ok
	}
	for _, layout := range dayLayouts {
		if t, err := time.Parse(layout.in, s); err == nil {
			return t.Format(layout.out), plausible(t)
		}
	}
	if t, ok := ParseMoment(s, zone); ok {
		return t.In(zoneOf(s, t, zone)).Format("2006-01-02T15:04:05.999999999Z07:00"), true
	}
	return "", false
}

var dayLayouts = []struct{ in, out string }{
	{"2006-01-02", "2006-01-02"}, {"2006-1-2", "2006-01-02"}, {"2006/1/2", "2006-01-02"}, {"2006-01", "2006-01"},
}

// zoneOf keeps the zone a time was written with.
func zoneOf(s string, t time.Time, zone *time.Location) *time.Location {
	if strings.HasSuffix(s, "Z") || strings.LastIndexAny(s, "+-") > len("2006-01-02") {
		return t.Location()
	}
	return zone
}

func plausible(t time.Time) bool { return t.Year() >= 1800 && t.Year() < 2200 }

// compact reads the digits-only forms; glued is false if s has another form.
func compact(s string, zone *time.Location) (text string, ok, glued bool) {
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	rest := s[digits:]
	if digits < 4 || rest != "" && (digits < 8 || rest[0] != '.' && rest[0] != '+' && rest[0] != '-') || digits == 4 && rest != "" {
		return "", false, false
	}
	const layout = "20060102150405"
	outs := map[int]string{4: "2006", 6: "2006-01", 8: "2006-01-02"}
	if out, day := outs[digits]; day {
		t, err := time.Parse(layout[:digits], s[:digits])
		return t.Format(out), err == nil && plausible(t), true
	}
	if digits != 10 && digits != 12 && digits != 14 {
		return "", false, true
	}
	in := layout[:digits]
	if rest != "" && rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if digits != 14 || n == 1 {
			return "", false, true
		}
		n = min(n, 10)
		in += "." + strings.Repeat("0", n-1)
		rest = rest[n:]
		s = s[:digits+n] + strings.TrimLeft(rest, "0123456789")
		if i := strings.IndexAny(rest, "+-"); i >= 0 {
			s = s[:digits+n] + rest[i:]
			rest = rest[i:]
		} else {
			s, rest = s[:digits+n], ""
		}
	}
	if rest != "" {
		in += "-0700"
	}
	t, err := time.ParseInLocation(in, s, zone)
	if err != nil || !plausible(t) {
		return "", false, true
	}
	return t.Format("2006-01-02T15:04:05.999999999Z07:00"), true, true
}

// momentLayouts are the forms seen from HIS systems; the glued ones are real
// (tcm_platform_interface: 2018-05-2821:04:40; Winning: yyyyMMddHH:mm:ss).
var momentLayouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04",
	"2006-01-0215:04:05", "20060102150405", "2006010215:04:05", "20060102 15:04:05", "200601021504",
	"2006/01/02 15:04:05", "2006/1/2 15:04:05", "2006/1/2 15:04", "2006-01-02", "20060102", "2006-01-02T15:04:05Z0700", "20060102150405Z0700",
}

// ParseMoment reads a time in any of the forms HIS systems write; those without
// a zone are in zone. The result has whole milliseconds.
func ParseMoment(s string, zone *time.Location) (time.Time, bool) {
	for _, layout := range momentLayouts {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t.Truncate(time.Millisecond), t.Year() >= 1900 && t.Year() < 2200
		}
	}
	return time.Time{}, false
}

// ParseDay reads a date, with or without a time behind it, as YYYY-MM-DD (or
// YYYY-MM, YYYY).
func ParseDay(s string) (string, bool) {
	for _, layout := range []string{"2006-01-02", "20060102", "2006/1/2", "2006-1-2"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1800 {
			return t.Format(time.DateOnly), true
		}
	}
	if t, ok := ParseMoment(s, time.UTC); ok {
		return t.Format(time.DateOnly), true
	}
	for _, layout := range []string{"2006-01", "200601", "2006"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1800 {
			return t.Format(strings.Replace(layout, "200601", "2006-01", 1)), true
		}
	}
	return "", false
}
