package hl7v2

import "strings"

// Builder writes a message segment by segment. Text is escaped; segments end
// with CR.
type Builder struct {
	d Delimiters
	b strings.Builder
}

// NewBuilder begins a message with these delimiters.
func NewBuilder(d Delimiters) *Builder { return &Builder{d: d} }

// Parts are the components of one repetition; their text is escaped.
type Parts []string

// Repeats are the repetitions of a field.
type Repeats []Parts

// Header writes an MSH segment: fields from MSH-3 on.
func (w *Builder) Header(fields ...any) *Builder {
	w.b.WriteString("MSH")
	w.b.WriteByte(w.d.Field)
	w.b.Write([]byte{w.d.Component, w.d.Repetition, w.d.Escape, w.d.Subcomponent})
	return w.fields(fields)
}

// Segment writes a segment: fields from 1 on. A field is a string, Parts,
// Repeats, or a Value, which is written as it stands.
func (w *Builder) Segment(name string, fields ...any) *Builder {
	w.b.WriteString(name)
	return w.fields(fields)
}

func (w *Builder) fields(fields []any) *Builder {
	for len(fields) > 0 && blank(fields[len(fields)-1]) {
		fields = fields[:len(fields)-1]
	}
	for _, f := range fields {
		w.b.WriteByte(w.d.Field)
		switch f := f.(type) {
		case string:
			w.b.WriteString(w.d.escape(f))
		case Parts:
			w.parts(f)
		case Repeats:
			for i, r := range f {
				if i > 0 {
					w.b.WriteByte(w.d.Repetition)
				}
				w.parts(r)
			}
		case Value:
			w.b.WriteString(f.translate(w.d))
		}
	}
	w.b.WriteByte('\r')
	return w
}

func blank(f any) bool {
	switch f := f.(type) {
	case string:
		return f == ""
	case Parts:
		return len(f) == 0
	case Repeats:
		return len(f) == 0
	case Value:
		return f.raw == ""
	}
	return true
}

func (w *Builder) parts(parts Parts) {
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	for i, p := range parts {
		if i > 0 {
			w.b.WriteByte(w.d.Component)
		}
		w.b.WriteString(w.d.escape(p))
	}
}

// translate writes a value of another message with delimiters d.
func (v Value) translate(d Delimiters) string {
	if v.d == nil || *v.d == d || v.lit {
		return v.raw
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x80:
		case byte(r) == v.d.Component:
			return rune(d.Component)
		case byte(r) == v.d.Repetition:
			return rune(d.Repetition)
		case byte(r) == v.d.Subcomponent:
			return rune(d.Subcomponent)
		case byte(r) == v.d.Escape:
			return rune(d.Escape)
		}
		return r
	}, v.raw)
}

// Bytes returns the message.
func (w *Builder) Bytes() []byte { return []byte(w.b.String()) }
