package hl7v2

import (
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is a part of a message at some level: a field with its repetitions, a
// repetition with its components, a component, a subcomponent. The zero Value
// is an absent one; all methods work on it.
type Value struct {
	raw string
	d   *Delimiters
	lit bool // the separators of a header: not to be split or unescaped
}

// Field returns field n, counted from 1 as in the standard.
func (s Segment) Field(n int) Value {
	if s.header {
		switch {
		case n == 1:
			return Value{string(s.d.Field), s.d, true}
		case n == 2:
			return Value{s.at(0), s.d, true}
		}
		n--
	}
	return Value{s.at(n - 1), s.d, false}
}

func (s Segment) at(i int) string {
	if i < 0 || i >= len(s.fields) {
		return ""
	}
	return s.fields[i]
}

// Len returns the number of the last field.
func (s Segment) Len() int {
	if s.header {
		return len(s.fields) + 1
	}
	return len(s.fields)
}

// Raw is the text as sent.
func (v Value) Raw() string { return v.raw }

// Null reports the explicit null `""`: the receiver should delete what it has.
func (v Value) Null() bool { return v.raw == `""` }

// Empty reports that nothing was said.
func (v Value) Empty() bool { return v.raw == "" }

// Repetitions splits a field; an empty field has none.
func (v Value) Repetitions() []Value {
	if v.raw == "" {
		return nil
	}
	if v.lit {
		return []Value{v}
	}
	parts := strings.Split(v.raw, string(v.d.Repetition))
	out := make([]Value, len(parts))
	for i, p := range parts {
		out[i] = Value{p, v.d, false}
	}
	return out
}

// Component returns component n (from 1) of the first repetition. Component 1 of
// a value without components is the value.
func (v Value) Component(n int) Value { return v.part(n, false) }

// Subcomponent returns subcomponent n (from 1) of a component.
func (v Value) Subcomponent(n int) Value { return v.part(n, true) }

func (v Value) part(n int, sub bool) Value {
	if v.raw == "" || v.lit {
		if n == 1 {
			return v
		}
		return Value{d: v.d}
	}
	sep := v.d.Component
	if sub {
		sep = v.d.Subcomponent
	}
	rest := v.raw
	if i := strings.IndexByte(rest, v.d.Repetition); i >= 0 {
		rest = rest[:i]
	}
	for ; n > 1; n-- {
		i := strings.IndexByte(rest, sep)
		if i < 0 {
			return Value{d: v.d}
		}
		rest = rest[i+1:]
	}
	if i := strings.IndexByte(rest, sep); i >= 0 {
		rest = rest[:i]
	}
	return Value{rest, v.d, false}
}

// Text returns the first value at this level, down to the first subcomponent,
// unescaped; "" for null.
func (v Value) Text() string {
	if v.raw == "" || v.lit || v.Null() {
		if v.lit {
			return v.raw
		}
		return ""
	}
	return unescape(v.Component(1).Subcomponent(1).raw, v.d)
}

// Whole returns the value unescaped with its separators kept: for text fields in
// which a sender forgot to escape.
func (v Value) Whole() string {
	if v.raw == "" || v.lit || v.Null() {
		return v.Text()
	}
	return unescape(v.raw, v.d)
}

// unescape resolves the escape sequences of chapter 2.7: separators, \X..\ hex,
// \.br\ and its kin as line breaks; highlighting and sequences we do not know
// vanish or stay as they are.
func unescape(s string, d *Delimiters) string {
	if strings.IndexByte(s, d.Escape) < 0 {
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, d.Escape)
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i+1:], d.Escape)
		if j < 0 {
			break
		}
		b.WriteString(s[:i])
		seq := s[i+1 : i+1+j]
		if text, known := escaped(seq, d); known {
			b.WriteString(text)
			s = s[i+j+2:]
		} else {
			b.WriteByte(d.Escape)
			s = s[i+1:]
		}
	}
	b.WriteString(s)
	return b.String()
}

func escaped(seq string, d *Delimiters) (text string, known bool) {
	switch seq {
	case "F":
		return string(d.Field), true
	case "S":
		return string(d.Component), true
	case "T":
		return string(d.Subcomponent), true
	case "R":
		return string(d.Repetition), true
	case "E":
		return string(d.Escape), true
	case "H", "N":
		return "", true
	}
	switch {
	case len(seq) > 1 && seq[0] == 'X':
		if b, err := hex.DecodeString(seq[1:]); err == nil && utf8.Valid(b) {
			return string(b), true
		}
	case strings.HasPrefix(seq, ".br"), strings.HasPrefix(seq, ".ce"):
		return "\n", true
	case strings.HasPrefix(seq, ".sp"):
		n, _ := strconv.Atoi(strings.TrimLeft(seq[3:], "+ "))
		return strings.Repeat("\n", min(max(n, 1), 100)), true
	case strings.HasPrefix(seq, ".in"), strings.HasPrefix(seq, ".ti"), strings.HasPrefix(seq, ".sk"), seq == ".fi", seq == ".nf":
		return "", true
	}
	return "", false
}

// escape writes text so that it can stand in a message with these delimiters.
// Line breaks become \.br\.
func (d Delimiters) escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r < 0x80 && (byte(r) == d.Field || byte(r) == d.Component || byte(r) == d.Repetition || byte(r) == d.Escape || byte(r) == d.Subcomponent)
	}) {
		return s
	}
	var b strings.Builder
	e := string(d.Escape)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == d.Field:
			b.WriteString(e + "F" + e)
		case c == d.Component:
			b.WriteString(e + "S" + e)
		case c == d.Subcomponent:
			b.WriteString(e + "T" + e)
		case c == d.Repetition:
			b.WriteString(e + "R" + e)
		case c == d.Escape:
			b.WriteString(e + "E" + e)
		case c == '\n':
			b.WriteString(e + ".br" + e)
		case c == '\r':
		case c < ' ':
			b.WriteString(e + "X" + strings.ToUpper(hex.EncodeToString([]byte{c})) + e)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
