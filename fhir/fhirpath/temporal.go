package fhirpath

import (
	"cmp"
	"strings"
	"time"
)

// Precisions of Date, DateTime and Time, kept in Value.flag. Seconds and
// fractions are one precision: a fraction is part of the seconds.
const (
	precYear uint8 = iota + 1
	precMonth
	precDay
	precHour
	precMinute
	precSecond
	precFraction
)

const noZone = -1 << 15

const (
	microsecond = 1
	millisecond = 1000 * microsecond
	second      = 1000 * millisecond
	minute      = 60 * second
	hour        = 60 * minute
	day         = 24 * hour
)

// parseTemporalLiteral reads the text of an @ literal.
func parseTemporalLiteral(s string) (Value, bool) {
	if strings.HasPrefix(s, "T") {
		return parseTime(s[1:])
	}
	if strings.Contains(s, "T") {
		return parseDateTime(s)
	}
	return parseDate(s)
}

// parseDate reads YYYY, YYYY-MM or YYYY-MM-DD.
func parseDate(s string) (Value, bool) {
	y, m, d := 0, 1, 1
	prec := precYear
	ok := len(s) >= 4 && digits(s[:4], &y)
	switch {
	case !ok:
	case len(s) == 4:
	case len(s) == 7:
		prec = precMonth
		ok = s[4] == '-' && digits(s[5:7], &m)
	case len(s) == 10:
		prec = precDay
		ok = s[4] == '-' && s[7] == '-' && digits(s[5:7], &m) && digits(s[8:10], &d)
	default:
		ok = false
	}
	if !ok || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return Value{}, false
	}
	return Value{kind: KindDate, flag: prec, zone: noZone, n: civil(y, m, d)}, true
}

// parseDateTime reads a date, optionally with T, a time and a zone. Hours alone
// are allowed as in FHIRPath literals.
func parseDateTime(s string) (Value, bool) {
	date, clock, found := strings.Cut(s, "T")
	v, ok := parseDate(date)
	v.kind = KindDateTime
	if !ok || !found || clock == "" {
		return v, ok
	}
	if v.flag != precDay {
		return Value{}, false
	}
	if i := strings.IndexAny(clock, "Z+-"); i >= 0 {
		zone := clock[i:]
		clock = clock[:i]
		if v.zone, ok = parseZone(zone); !ok {
			return Value{}, false
		}
	}
	t, ok := parseTime(clock)
	if !ok {
		return Value{}, false
	}
	v.flag, v.frac, v.n = t.flag, t.frac, v.n+t.n
	return v, true
}

func parseZone(s string) (int16, bool) {
	h, m := 0, 0
	switch {
	case s == "Z":
		return 0, true
	case len(s) != 6 || s[3] != ':' || !digits(s[1:3], &h) || !digits(s[4:6], &m) || h > 14 || m > 59:
		return 0, false
	case s[0] == '-':
		return int16(-h*60 - m), true
	}
	return int16(h*60 + m), true
}

// parseTime reads hh, hh:mm, hh:mm:ss or hh:mm:ss.f….
func parseTime(s string) (Value, bool) {
	v := Value{kind: KindTime, flag: precHour, zone: noZone}
	clock, fraction, hasFraction := strings.Cut(s, ".")
	var h, m, sec int
	ok := false
	switch len(clock) {
	case 2:
		ok = digits(clock, &h)
	case 5:
		v.flag = precMinute
		ok = digits(clock[:2], &h) && clock[2] == ':' && digits(clock[3:], &m)
	case 8:
		v.flag = precSecond
		ok = digits(clock[:2], &h) && clock[2] == ':' && digits(clock[3:5], &m) && clock[5] == ':' && digits(clock[6:], &sec)
	}
	if !ok || h > 23 || m > 59 || sec > 60 {
		return Value{}, false
	}
	v.n = int64(h)*hour + int64(m)*minute + int64(sec)*second
	if hasFraction {
		if v.flag != precSecond || fraction == "" || len(fraction) > 9 {
			return Value{}, false
		}
		f, unit := 0, int64(second)
		for i := range len(fraction) {
			if !digits(fraction[i:i+1], &f) {
				return Value{}, false
			}
			unit /= 10
			v.n += int64(f) * unit
		}
		v.flag, v.frac = precFraction, uint8(len(fraction))
	}
	return v, true
}

func digits(s string, n *int) bool {
	*n = 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
		*n = *n*10 + int(s[i]-'0')
	}
	return true
}

func daysIn(y, m int) int {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// civil returns the microseconds from 1970-01-01 to the start of a day of the
// proleptic Gregorian calendar.
func civil(y, m, d int) int64 {
	return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Unix() * second
}

// calendar returns the date and the microseconds of the day.
func (v Value) calendar() (y, m, d int, clock int64) {
	if v.kind == KindTime {
		return 1970, 1, 1, v.n
	}
	days := v.n / day
	if v.n%day < 0 {
		days--
	}
	year, month, dd := time.Unix(days*86400, 0).UTC().Date()
	return year, int(month), dd, v.n - days*day
}

// dateTimeOf returns t at millisecond precision in its zone.
func dateTimeOf(t time.Time) Value {
	_, offset := t.Zone()
	local := t.UnixMicro() + int64(offset)*second
	return Value{kind: KindDateTime, flag: precFraction, frac: 3, zone: int16(offset / 60), n: local - mod(local, millisecond)}
}

func mod(a, b int64) int64 {
	if r := a % b; r < 0 {
		return r + b
	} else {
		return r
	}
}

func (v Value) isTemporal() bool {
	return v.kind == KindDate || v.kind == KindDateTime || v.kind == KindTime
}

func pad(dst []byte, n, width int) []byte {
	for div := pow10(width - 1); div > 0; div /= 10 {
		dst = append(dst, byte('0'+n/div%10))
	}
	return dst
}

func pow10(n int) int {
	r := 1
	for range n {
		r *= 10
	}
	return r
}

// appendTemporal appends the value as written in FHIR, without the @ or T of
// literals.
func (v Value) appendTemporal(dst []byte) []byte {
	y, m, d, clock := v.calendar()
	if v.kind != KindTime {
		dst = pad(dst, y, 4)
		if v.flag >= precMonth {
			dst = pad(append(dst, '-'), m, 2)
		}
		if v.flag >= precDay {
			dst = pad(append(dst, '-'), d, 2)
		}
		if v.flag < precHour {
			return dst
		}
		dst = append(dst, 'T')
	}
	dst = pad(dst, int(clock/hour), 2)
	if v.flag >= precMinute {
		dst = pad(append(dst, ':'), int(clock%hour/minute), 2)
	}
	if v.flag >= precSecond {
		dst = pad(append(dst, ':'), int(clock%minute/second), 2)
	}
	if v.flag == precFraction {
		micros := int(clock % second)
		dst = append(dst, '.')
		if v.frac <= 6 {
			dst = pad(dst, micros/pow10(6-int(v.frac)), int(v.frac))
		} else {
			dst = pad(dst, micros, 6)
		}
	}
	switch {
	case v.zone == noZone || v.kind == KindTime:
	case v.zone == 0:
		dst = append(dst, 'Z')
	default:
		sign, z := byte('+'), int(v.zone)
		if z < 0 {
			sign, z = '-', -z
		}
		dst = pad(append(dst, sign), z/60, 2)
		dst = pad(append(dst, ':'), z%60, 2)
	}
	return dst
}

// Time returns the moment a Date or DateTime begins; without a zone of its own
// it is read in zone. ok is false for any other kind.
func (v Value) Time(zone *time.Location) (t time.Time, ok bool) {
	if v.kind != KindDate && v.kind != KindDateTime {
		return time.Time{}, false
	}
	if v.zone != noZone {
		return time.UnixMicro(v.utc().n).UTC(), true
	}
	y, m, d, clock := v.calendar()
	return time.Date(y, time.Month(m), d, 0, 0, int(clock/second), int(clock%second)*1000, zone), true
}

// level is the precision used in comparisons: seconds and fractions are one.
func (v Value) level() uint8 { return min(v.flag, precSecond) }

// end returns the last microsecond the value may mean.
func (v Value) end() int64 {
	y, m, d, clock := v.calendar()
	switch v.flag {
	case precYear:
		return civil(y+1, 1, 1) - 1
	case precMonth:
		return civil(y, m, daysIn(y, m)) + day - 1
	case precDay:
		return civil(y, m, d) + day - 1
	case precHour:
		return v.n - clock%hour + hour - 1
	case precMinute:
		return v.n - clock%minute + minute - 1
	}
	return v.n
}

// compareTemporal compares two dates, datetimes or times; ok is false where
// their precision or a missing zone leaves it open.
func compareTemporal(a, b Value) (order int, ok bool) {
	if (a.zone == noZone) != (b.zone == noZone) && a.kind != KindTime {
		return compareUnzoned(a, b)
	}
	la, lb := a.level(), b.level()
	if a.zone != noZone && a.zone != b.zone {
		a, b = a.utc(), b.utc()
	}
	level := min(la, lb)
	if order = cmp.Compare(a.truncated(level), b.truncated(level)); order != 0 {
		return order, true
	}
	return 0, la == lb
}

// truncated returns the start of the period of a level that v lies in.
func (v Value) truncated(level uint8) int64 {
	y, m, d, clock := v.calendar()
	switch level {
	case precYear:
		return civil(y, 1, 1)
	case precMonth:
		return civil(y, m, 1)
	case precDay:
		return civil(y, m, d)
	case precHour:
		return v.n - clock%hour
	case precMinute:
		return v.n - clock%minute
	}
	return v.n
}

func (v Value) utc() Value {
	v.n -= int64(v.zone) * minute
	return v
}

// compareUnzoned compares where one value has no zone: it may be any from
// UTC-12 to UTC+14.
func compareUnzoned(a, b Value) (int, bool) {
	lowA, highA := a.span()
	lowB, highB := b.span()
	switch {
	case highA < lowB:
		return -1, true
	case lowA > highB:
		return 1, true
	}
	return 0, false
}

func (v Value) span() (low, high int64) {
	low, high = v.n, v.end()
	if v.zone == noZone {
		return low - 14*hour, high + 12*hour
	}
	return low - int64(v.zone)*minute, high - int64(v.zone)*minute
}
