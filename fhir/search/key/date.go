package key

import "time"

// Date parses a FHIR date, dateTime or instant, or a search value of that form
// with any precision (seconds may be missing), and returns the instants it
// covers in microseconds: from low up to but without high. Without a zone of
// its own it lies in zone (nil = UTC).
func Date(s string, zone *time.Location) (low, high int64, ok bool) {
	p := dateParser{s: s, month: 1, day: 1}
	unit := p.date()
	if unit == bad {
		return 0, 0, false
	}
	if unit == byDay && p.i < len(s) {
		if unit = p.time(); unit == bad {
			return 0, 0, false
		}
	}
	if p.i != len(s) {
		return 0, 0, false
	}
	if p.hasZone {
		zone = nil
	}
	low, high = p.span(unit, zone)
	return low, high, true
}

const (
	bad = iota
	byYear
	byMonth
	byDay
	byMinute
	bySecond
	byFraction
)

type dateParser struct {
	s                 string
	i                 int
	year, month, day  int
	hour, minute, sec int
	micros, step      int64 // fraction and its precision
	hasZone           bool
	offset            int64 // of the zone, in seconds
}

func (p *dateParser) num(n int) (int, bool) {
	if p.i+n > len(p.s) {
		return 0, false
	}
	v := 0
	for _, c := range []byte(p.s[p.i : p.i+n]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	p.i += n
	return v, true
}

func (p *dateParser) is(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *dateParser) date() int {
	var ok bool
	if p.year, ok = p.num(4); !ok {
		return bad
	}
	if !p.is('-') {
		return byYear
	}
	if p.month, ok = p.num(2); !ok || p.month < 1 || p.month > 12 {
		return bad
	}
	if !p.is('-') {
		return byMonth
	}
	if p.day, ok = p.num(2); !ok || p.day < 1 || p.day > daysIn(p.year, p.month) {
		return bad
	}
	return byDay
}

func (p *dateParser) time() int {
	var ok bool
	if !p.is('T') {
		return bad
	}
	if p.hour, ok = p.num(2); !ok || p.hour > 24 || !p.is(':') {
		return bad
	}
	if p.minute, ok = p.num(2); !ok || p.minute > 59 {
		return bad
	}
	unit := byMinute
	if p.is(':') {
		if p.sec, ok = p.num(2); !ok || p.sec > 60 {
			return bad
		}
		unit = bySecond
		if p.is('.') {
			if unit = byFraction; !p.fraction() {
				return bad
			}
		}
	}
	if !p.zone() {
		return bad
	}
	return unit
}

func (p *dateParser) fraction() bool {
	begin := p.i
	p.step = 1_000_000
	for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
		if p.step > 1 {
			p.step /= 10
			p.micros += int64(p.s[p.i]-'0') * p.step
		}
		p.i++
	}
	return p.i > begin
}

func (p *dateParser) zone() bool {
	if p.i == len(p.s) {
		return true
	}
	p.hasZone = true
	if p.is('Z') {
		return true
	}
	sign := int64(1)
	switch {
	case p.is('-'):
		sign = -1
	case p.is('+') || p.is(' '): // a plus that was not escaped in a URL
	default:
		return false
	}
	h, ok := p.num(2)
	if !ok || h > 14 || !p.is(':') {
		return false
	}
	m, ok := p.num(2)
	p.offset = sign * int64(h*3600+m*60)
	return ok && m < 60
}

func (p *dateParser) span(unit int, zone *time.Location) (low, high int64) {
	at := func(y, m, d int) int64 {
		if zone != nil && zone != time.UTC {
			return time.Date(y, time.Month(m), d, p.hour, p.minute, p.sec, 0, zone).Unix() * 1_000_000
		}
		return (days(y, m, d)*86400 + int64(p.hour*3600+p.minute*60+p.sec) - p.offset) * 1_000_000
	}
	low = at(p.year, p.month, p.day)
	switch unit {
	case byYear:
		return low, at(p.year+1, 1, 1)
	case byMonth:
		if p.month == 12 {
			return low, at(p.year+1, 1, 1)
		}
		return low, at(p.year, p.month+1, 1)
	case byDay:
		if zone == nil || zone == time.UTC {
			return low, low + 86400_000_000
		}
		next := time.Date(p.year, time.Month(p.month), p.day+1, 0, 0, 0, 0, zone)
		return low, next.Unix() * 1_000_000
	case byMinute:
		return low, low + 60_000_000
	case bySecond:
		return low, low + 1_000_000
	}
	low += p.micros
	return low, low + p.step
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// days counts the days from 1970-01-01 in the proleptic Gregorian calendar.
func days(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146097 + int64(doe) - 719468
}
