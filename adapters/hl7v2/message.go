package hl7v2

import (
	"bytes"
	"strings"

	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of [Parse].
const (
	maxSegments = 200_000
	headerScan  = 4096 // bytes in which the header's character set is looked for
)

// Delimiters are the five separators a message declares in MSH-1 and MSH-2.
type Delimiters struct {
	Field, Component, Repetition, Escape, Subcomponent byte
}

// Standard is `|^~\&`.
func Standard() Delimiters { return Delimiters{'|', '^', '~', '\\', '&'} }

// Message is a parsed message. It is immutable and shares its text.
type Message struct {
	Delimiters
	Segments []Segment
}

// Segment is one segment. Fields count from 1; field 1 of MSH is the separator
// itself.
type Segment struct {
	Name   string
	Line   int // 1-based place in the message
	fields []string
	d      *Delimiters
	header bool // MSH, BHS, FHS: fields begin with the separators
}

// Decode finds the character set of raw (MSH-18 as declared, else by validity)
// and parses it. It returns the name of the set, to answer in.
func Decode(raw []byte) (m *Message, set string, err error) {
	text, set, err := charset.Decode(raw, Declared(raw))
	if err != nil {
		return nil, set, err
	}
	m, err = Parse(text)
	return m, set, err
}

// Declared returns the character set that MSH-18 names, "" if none. It reads
// bytes: the header is ASCII in every set HL7 knows, UTF-16 apart.
func Declared(raw []byte) string {
	raw = bytes.TrimLeft(raw, "\ufeff \r\n\x0b")
	if len(raw) < 8 || !bytes.HasPrefix(raw, []byte("MSH")) {
		return ""
	}
	head := raw[:min(len(raw), headerScan)]
	if i := bytes.IndexAny(head, "\r\n"); i >= 0 {
		head = head[:i]
	}
	fields := bytes.Split(head, raw[3:4])
	if len(fields) < 18 {
		return ""
	}
	first, _, _ := bytes.Cut(fields[17], []byte{'~'})
	return string(first)
}

// Parse reads one message in UTF-8. Segments end with CR, LF or both. It fails
// with fault.Invalid if there is no header segment or a segment has no name.
func Parse(text []byte) (*Message, error) {
	s := strings.TrimLeft(string(text), "\ufeff \r\n\x0b")
	s = strings.TrimRight(s, "\x1c\r\n ")
	d, err := delimiters(s)
	if err != nil {
		return nil, err
	}
	m := &Message{Delimiters: d}
	line := 0
	for s != "" {
		var one string
		if i := strings.IndexAny(s, "\r\n"); i >= 0 {
			one, s = s[:i], s[i+1:]
		} else {
			one, s = s, ""
		}
		if one == "" {
			continue // CR LF, or an empty line
		}
		line++
		if len(one) < 3 || !segmentName(one[:3]) || len(one) > 3 && one[3] != d.Field {
			return nil, bad(line, "第 %d 段不是 HL7 段", "每段以三个字符的段名和 "+string(d.Field)+" 开头")
		}
		if line > maxSegments {
			return nil, fault.New(fault.TooCostly, "段数超过 %d", maxSegments)
		}
		m.Segments = append(m.Segments, m.segment(one, line))
	}
	return m, nil
}

func (m *Message) segment(text string, line int) Segment {
	seg := Segment{Name: text[:3], Line: line, d: &m.Delimiters}
	seg.header = seg.Name == "MSH" || seg.Name == "BHS" || seg.Name == "FHS"
	if len(text) > 3 {
		seg.fields = strings.Split(text[4:], string(m.Field))
	}
	return seg
}

func segmentName(s string) bool {
	for i := range 3 {
		if c := s[i]; !(c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

// delimiters reads MSH-1 and MSH-2 (or those of a batch header).
func delimiters(s string) (Delimiters, error) {
	d := Standard()
	if len(s) < 4 || s[:3] != "MSH" && s[:3] != "BHS" && s[:3] != "FHS" {
		return d, bad(1, "第 %d 段不是 MSH", "消息应以 MSH|^~\\& 开头")
	}
	d.Field = s[3]
	if d.Field < ' ' || d.Field >= 0x7f || d.Field >= 'A' && d.Field <= 'Z' || d.Field >= '0' && d.Field <= '9' {
		return d, bad(1, "第 %d 段的字段分隔符无效", "消息应以 MSH|^~\\& 开头")
	}
	rest, _, _ := strings.Cut(s[4:], string(d.Field))
	for i, p := range []*byte{&d.Component, &d.Repetition, &d.Escape, &d.Subcomponent} {
		if i < len(rest) && rest[i] > ' ' && rest[i] < 0x7f {
			*p = rest[i]
		}
	}
	seen := map[byte]bool{}
	for _, c := range []byte{d.Field, d.Component, d.Repetition, d.Escape, d.Subcomponent} {
		if seen[c] {
			return d, bad(1, "第 %d 段的分隔符重复", "五个分隔符应各不相同，通常为 |^~\\&")
		}
		seen[c] = true
	}
	return d, nil
}

func bad(line int, format, hint string) error {
	e := fault.New(fault.Invalid, format, line)
	return e.With(fault.Issue{Severity: "fatal", Code: "structure", Key: "hl7v2", Text: e.Msg, Line: line, Col: 1, Hint: hint})
}

// Segment returns the n-th segment (from 0) with that name; ok is false if
// there is none.
func (m *Message) Segment(name string, n int) (seg Segment, ok bool) {
	for _, s := range m.Segments {
		if s.Name == name {
			if n == 0 {
				return s, true
			}
			n--
		}
	}
	return Segment{}, false
}

// All returns the segments with that name, in order.
func (m *Message) All(name string) []Segment {
	var out []Segment
	for _, s := range m.Segments {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

// Type returns MSH-9: message code, trigger event and structure. A missing
// structure is told from the first two.
func (m *Message) Type() (code, event, structure string) {
	h := m.Segments[0]
	code, event, structure = h.Field(9).Component(1).Text(), h.Field(9).Component(2).Text(), h.Field(9).Component(3).Text()
	if structure == "" && event != "" {
		structure = code + "_" + event
	}
	return code, event, structure
}
