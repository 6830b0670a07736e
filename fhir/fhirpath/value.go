package fhirpath

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Kind is the System type of a [Value].
type Kind uint8

// The System types (http://hl7.org/fhirpath/N1/#literals). None is the kind of
// the zero Value.
const (
	None Kind = iota
	KindBoolean
	KindInteger
	KindDecimal
	KindString
	KindDate
	KindDateTime
	KindTime
	KindQuantity
)

var kindNames = [...]string{"", "Boolean", "Integer", "Decimal", "String", "Date", "DateTime", "Time", "Quantity"}

// String returns the System type's name without the namespace.
func (k Kind) String() string { return kindNames[k] }

// Value is a value of a System type. It is small and immutable: copy it freely.
type Value struct {
	kind Kind
	flag uint8 // temporal: precision; quantity: unitSort
	frac uint8 // temporal: digits of the fraction as written
	zone int16 // temporal: minutes east of UTC, or noZone
	n    int64 // boolean, integer; temporal: microseconds since 1970-01-01 (local), or of the day
	str  string
	dec  *apd.Decimal
}

// Boolean returns b as a System.Boolean.
func Boolean(b bool) Value {
	if b {
		return Value{kind: KindBoolean, n: 1}
	}
	return Value{kind: KindBoolean}
}

// Integer returns n as a System.Integer.
func Integer(n int64) Value { return Value{kind: KindInteger, n: n} }

// String returns s as a System.String.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Decimal returns text, e.g. "1.50", as a System.Decimal; ok is false if it is
// no number. The written precision is kept.
func Decimal(text string) (v Value, ok bool) {
	if !isNumber(text) {
		return Value{}, false
	}
	d, _, err := apd.NewFromString(text)
	if err != nil || d.Form != apd.Finite || d.Exponent > maxScale || d.Exponent < -maxScale || len(text) > maxDigits {
		return Value{}, false
	}
	return decimalOf(d), true
}

// Kind returns the value's System type.
func (v Value) Kind() Kind { return v.kind }

// Bool returns a Boolean's value; ok is false for any other kind.
func (v Value) Bool() (b, ok bool) { return v.n != 0, v.kind == KindBoolean }

// Int returns an Integer's value; ok is false for any other kind.
func (v Value) Int() (n int64, ok bool) { return v.n, v.kind == KindInteger }

// Text returns a String's value; ok is false for any other kind.
func (v Value) Text() (s string, ok bool) { return v.str, v.kind == KindString }

// Float returns the number nearest to an Integer, Decimal or the amount of a
// Quantity; ok is false for any other kind.
func (v Value) Float() (f float64, ok bool) {
	switch v.kind {
	case KindInteger:
		return float64(v.n), true
	case KindDecimal, KindQuantity:
		f, err := v.dec.Float64()
		return f, err == nil
	}
	return 0, false
}

// Unit returns a Quantity's unit: a UCUM code, or a calendar unit such as
// "month" where calendar is true.
func (v Value) Unit() (unit string, calendar bool) {
	if v.kind != KindQuantity {
		return "", false
	}
	return v.str, v.flag == unitCalendar
}

// String returns the value as toString() does: numbers and dates as written,
// quantities as 1 'mg' or 1 week.
func (v Value) String() string {
	switch v.kind {
	case KindBoolean:
		return strconv.FormatBool(v.n != 0)
	case KindInteger:
		return strconv.FormatInt(v.n, 10)
	case KindDecimal:
		return v.dec.Text('f')
	case KindString:
		return v.str
	case KindDate, KindDateTime, KindTime:
		return string(v.appendTemporal(nil))
	case KindQuantity:
		if v.flag == unitCalendar {
			return v.dec.Text('f') + " " + v.str
		}
		return v.dec.Text('f') + " '" + v.str + "'"
	}
	return ""
}

// appendJSON appends the value as JSON: numbers stay numbers, temporal values
// are strings, a quantity is {"value", "unit"} with system and code for UCUM.
func (v Value) appendJSON(dst []byte) []byte {
	switch v.kind {
	case KindBoolean, KindInteger:
		return append(dst, v.String()...)
	case KindDecimal:
		return append(dst, v.dec.Text('f')...)
	case KindQuantity:
		dst = append(dst, `{"value":`...)
		dst = append(dst, v.dec.Text('f')...)
		dst = append(dst, `,"unit":`...)
		dst = appendQuoted(dst, v.str)
		if v.flag == unitUCUM || v.flag == unitFHIR {
			dst = append(dst, `,"system":"`+ucumSystem+`","code":`...)
			dst = appendQuoted(dst, v.str)
		}
		return append(dst, '}')
	case None:
		return append(dst, "null"...)
	}
	return appendQuoted(dst, v.String())
}

const hexDigits = "0123456789abcdef"

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// isNumber accepts the JSON form of numbers, also with a sign +.
func isNumber(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return s != "" && isDigit(s[0]) && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("0123456789.eE+-", r)
	}) < 0 && isDigit(s[len(s)-1])
}

// ParseDateTime reads a FHIR date, dateTime or instant as a System.DateTime of
// the precision it is written with.
func ParseDateTime(s string) (v Value, ok bool) { return parseDateTime(s) }
