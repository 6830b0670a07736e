package hl7v2

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Path names a place in a message: SEG(n)-f(r).c.s, where n and r count from 0
// and may be left out. Examples: PID-3, PID-3(1).4.2, OBX(2)-5, MSH-9.2.
type Path struct {
	segment                 string
	nth, field, repeat      int
	component, subcomponent int // 0 = the whole above it
	text                    string
}

// ParsePath reads a path; fault.Invalid if it is none.
func ParsePath(s string) (Path, error) {
	p := Path{text: s}
	head, tail, hasField := strings.Cut(s, "-")
	var ok bool
	if p.segment, p.nth, ok = indexed(head); !ok || len(p.segment) != 3 || !segmentName(p.segment) {
		return p, badPath(s)
	}
	if !hasField {
		return p, nil
	}
	for i, part := range strings.Split(tail, ".") {
		name, repeat, ok := indexed(part)
		n, err := strconv.Atoi(name)
		if !ok || err != nil || n < 1 || n > 10_000 || i > 2 || i > 0 && name != part {
			return p, badPath(s)
		}
		switch i {
		case 0:
			p.field, p.repeat = n, repeat
		case 1:
			p.component = n
		case 2:
			p.subcomponent = n
		}
	}
	return p, nil
}

// indexed splits "PID(2)" into its name and index.
func indexed(s string) (name string, n int, ok bool) {
	name, rest, has := strings.Cut(s, "(")
	if !has {
		return s, 0, true
	}
	digits, end, closed := strings.Cut(rest, ")")
	n, err := strconv.Atoi(digits)
	return name, n, closed && end == "" && err == nil && n >= 0
}

func badPath(s string) error {
	return fault.New(fault.Invalid, "%q 不是 HL7 路径，例如 PID-3(0).4", s)
}

// String returns the path as written.
func (p Path) String() string { return p.text }

// At returns the value at p, absent if there is none.
func (m *Message) At(p Path) Value {
	seg, ok := m.Segment(p.segment, p.nth)
	if !ok || p.field == 0 {
		return Value{}
	}
	v := seg.Field(p.field)
	if p.repeat > 0 || !v.lit && strings.IndexByte(v.raw, m.Repetition) >= 0 && p.component > 0 {
		reps := v.Repetitions()
		if p.repeat >= len(reps) {
			return Value{d: v.d}
		}
		v = reps[p.repeat]
	}
	if p.component > 0 {
		v = v.Component(p.component)
	}
	if p.subcomponent > 0 {
		v = v.Subcomponent(p.subcomponent)
	}
	return v
}

// Get returns the text at a path; "" if the path is malformed or nothing is
// there. For paths used often, parse them once.
func (m *Message) Get(path string) string {
	p, err := ParsePath(path)
	if err != nil {
		return ""
	}
	return m.At(p).Text()
}

// itoa writes a positive number; 0 is nothing.
func itoa(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
