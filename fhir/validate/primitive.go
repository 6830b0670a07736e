package validate

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// primitive is how values of a primitive type are written in JSON
// (http://hl7.org/fhir/R4/datatypes.html#primitive).
type primitive struct {
	name   string
	kind   fhir.Kind
	valid  func(string) bool
	sample string // for the hint
}

// primitives returns the R4 primitive types by name.
func primitives() map[string]*primitive {
	m := map[string]*primitive{}
	for _, p := range []primitive{
		{"boolean", fhir.Bool, nil, "true"},
		{"integer", fhir.Number, validInteger, "-1"},
		{"unsignedInt", fhir.Number, func(s string) bool { return s[0] != '-' && validInteger(s) }, "0"},
		{"positiveInt", fhir.Number, func(s string) bool { return s[0] >= '1' && s[0] <= '9' && validInteger(s) }, "1"},
		{"decimal", fhir.Number, nil, "1.0"},
		{"string", fhir.String, validString, "text"},
		{"markdown", fhir.String, validString, "text"},
		{"xhtml", fhir.String, func(s string) bool { return strings.TrimSpace(s) != "" }, `<div xmlns="http://www.w3.org/1999/xhtml">…</div>`},
		{"code", fhir.String, validCode, "final"},
		{"id", fhir.String, validID, "a-1"},
		{"uri", fhir.String, validURI, "http://example.org/a"},
		{"url", fhir.String, validURI, "http://example.org/a"},
		{"canonical", fhir.String, validURI, "http://example.org/a|1.0"},
		{"oid", fhir.String, validOID, "urn:oid:1.2.156"},
		{"uuid", fhir.String, validUUID, "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},
		{"base64Binary", fhir.String, validBase64, "AAEC"},
		{"date", fhir.String, validDate, "2026-11-22"},
		{"dateTime", fhir.String, validDateTime, "2026-11-22T08:30:00+08:00"},
		{"instant", fhir.String, validInstant, "2026-11-22T08:30:00.000+08:00"},
		{"time", fhir.String, validTime, "08:30:00"},
	} {
		m[p.name] = &p
	}
	return m
}

// validInteger: 32 bits, no fraction, no exponent, no leading zero.
func validInteger(s string) bool {
	t := strings.TrimPrefix(s, "-")
	if t == "" || len(t) > 10 || len(t) > 1 && t[0] == '0' {
		return false
	}
	v := int64(0)
	for i := 0; i < len(t); i++ {
		if !digit(t[i]) {
			return false
		}
		v = v*10 + int64(t[i]-'0')
	}
	return v <= 1<<31-1 || len(s) > len(t) && v == 1<<31
}

func digit(c byte) bool { return c-'0' <= 9 }

// validString: something that is not white space only, up to 1 MB.
func validString(s string) bool {
	if len(s) > 1<<20 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] > ' ' {
			return true
		}
	}
	return false
}

// validCode: no leading, trailing or double white space.
func validCode(s string) bool {
	space := true
	for i := 0; i < len(s); i++ {
		now := s[i] <= ' '
		if now && (space || s[i] != ' ') {
			return false
		}
		space = now
	}
	return !space
}

func validID(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !digit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func validURI(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' {
			return false
		}
	}
	return s != ""
}

func validOID(s string) bool {
	s, ok := strings.CutPrefix(s, "urn:oid:")
	if !ok || len(s) < 3 || s[0] > '2' || s[1] != '.' {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 1 && part[0] == '0' || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

func validUUID(s string) bool {
	s, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(s) != 36 {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if c := s[i]; !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
	}
	return true
}

// validBase64: groups of four, white space between, padding at the end only.
func validBase64(s string) bool {
	n, pad := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			continue
		case c == '=':
			pad++
		case pad > 0 || !digit(c) && (c|0x20 < 'a' || c|0x20 > 'z') && c != '+' && c != '/':
			return false
		}
		n++
	}
	return n > 0 && n%4 == 0 && pad <= 2
}

// number reads n digits at s[at:]; -1 if they are not there.
func number(s string, at, n int) int {
	if len(s) < at+n {
		return -1
	}
	v := 0
	for _, c := range []byte(s[at : at+n]) {
		if !digit(c) {
			return -1
		}
		v = v*10 + int(c-'0')
	}
	return v
}

var monthDays = [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// calendar reads YYYY, YYYY-MM or YYYY-MM-DD at the start of s and returns its
// length, 0 if it is no day of the calendar.
func calendar(s string) int {
	year := number(s, 0, 4)
	if year < 1 {
		return 0
	}
	if len(s) == 4 || s[4] != '-' {
		return 4
	}
	month := number(s, 5, 2)
	if month < 1 || month > 12 {
		return 0
	}
	if len(s) == 7 || s[7] != '-' {
		return 7
	}
	last := monthDays[month-1]
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		last = 29
	}
	if day := number(s, 8, 2); day < 1 || day > last {
		return 0
	}
	return 10
}

func validDate(s string) bool {
	n := calendar(s)
	return n > 0 && n == len(s)
}

func validDateTime(s string) bool {
	n := calendar(s)
	return n > 0 && (n == len(s) || n == 10 && validInstant(s))
}

// validInstant: date, T, time to the second at least, zone.
func validInstant(s string) bool {
	if calendar(s) != 10 || len(s) < 20 || s[10] != 'T' {
		return false
	}
	zone := strings.LastIndexAny(s, "Z+-")
	if zone < 19 || !validTime(s[11:zone]) {
		return false
	}
	if s[zone] == 'Z' {
		return zone == len(s)-1
	}
	h, m := number(s, zone+1, 2), number(s, zone+4, 2)
	return len(s) == zone+6 && s[zone+3] == ':' && h >= 0 && m >= 0 && (h < 14 && m < 60 || h == 14 && m == 0)
}

func validTime(s string) bool {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return false
	}
	h, m, sec := number(s, 0, 2), number(s, 3, 2), number(s, 6, 2)
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 {
		return false
	}
	return len(s) == 8 || s[8] == '.' && len(s) > 9 && strings.Trim(s[9:], "0123456789") == ""
}
