package mapping

import (
	"regexp"
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
	if text, ok, is := compact(s, zone); is {
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

// glued are the digits-only forms of HL7 v2 TS: what is told of the time, a
// fraction of the second, an offset.
var glued = regexp.MustCompile(`^(\d{4}|\d{6}|\d{8}|\d{10}|\d{12}|\d{14})(?:(\.\d{1,9})\d*)?([+-]\d{4})?$`)

// days are the FHIR forms of dates by their number of digits.
var days = map[int]string{4: "2006", 6: "2006-01", 8: "2006-01-02"}

// compact reads the digits-only forms; is is false if s has another form.
func compact(s string, zone *time.Location) (text string, ok, is bool) {
	m := glued.FindStringSubmatch(s)
	if m == nil {
		return "", false, false
	}
	digits, fraction, offset := m[1], m[2], m[3]
	in := "20060102150405"[:len(digits)]
	if out, day := days[len(digits)]; day {
		t, err := time.Parse(in, digits)
		return t.Format(out), err == nil && plausible(t) && fraction == "" && (offset == "" || len(digits) == 8), true
	}
	if fraction != "" && len(digits) < 14 {
		return "", false, true
	}
	if offset != "" {
		in += "-0700"
	}
	t, err := time.ParseInLocation(in, digits+fraction+offset, zone)
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
