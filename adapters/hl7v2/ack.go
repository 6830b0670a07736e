package hl7v2

import (
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Acknowledgement codes of table 0008.
const (
	AA, AE, AR = "AA", "AE", "AR" // original mode: accepted, error, rejected
	CA, CE, CR = "CA", "CE", "CR" // enhanced mode: commit accepted, error, rejected
)

// Mode says how a sender wants to be acknowledged.
type Mode struct {
	Enhanced bool
	accept   string // MSH-15
}

// Mode reads MSH-15 and MSH-16: enhanced mode as soon as one of them is valued
// (HL7 v2.5.1, 2.9.2).
func (m *Message) Mode() Mode {
	h := m.Segments[0]
	a, b := h.Field(15).Text(), h.Field(16).Text()
	return Mode{Enhanced: a != "" || b != "", accept: a}
}

// Wants reports whether an acknowledgement of a success or a failure is due, by
// table 0155. In enhanced mode with nothing said in MSH-15 none is.
func (m Mode) Wants(success bool) bool {
	if !m.Enhanced {
		return true
	}
	switch m.accept {
	case "AL":
		return true
	case "ER":
		return !success
	case "SU":
		return success
	}
	return false
}

// Code is the acknowledgement code for the outcome err: nil is accepted, the
// sender's mistakes are rejected, ours are errors.
func (m Mode) Code(err error) string {
	codes := [3]string{AA, AE, AR}
	if m.Enhanced {
		codes = [3]string{CA, CE, CR}
	}
	switch {
	case err == nil:
		return codes[0]
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Unsupported), fault.Is(err, fault.TooCostly):
		return codes[2]
	}
	return codes[1]
}

// Ack builds the acknowledgement of m, or of something unreadable if m is nil:
// MSH, MSA and, for a failure, ERR with the place and the reason in Chinese.
// controlID becomes MSH-10; set is the character set the bytes will be in.
func Ack(m *Message, code string, err error, controlID, set string, at time.Time) []byte {
	d := Standard()
	var from, to [2]Value
	id, version, event, processing := "", "2.5.1", "", "P"
	if m != nil {
		d = m.Delimiters
		h := m.Segments[0]
		from, to = [2]Value{h.Field(3), h.Field(4)}, [2]Value{h.Field(5), h.Field(6)}
		id, event = h.Field(10).Text(), h.Field(9).Component(2).Text()
		if v := h.Field(12).Text(); v != "" {
			version = v
		}
		if p := h.Field(11).Text(); p != "" {
			processing = p
		}
	}
	declared := "UNICODE UTF-8"
	if set == "GB18030" {
		declared = "GB 18030-2000"
	}
	w := NewBuilder(d)
	w.Header(to[0], to[1], from[0], from[1], at.Format("20060102150405-0700"), "", Parts{"ACK", event, "ACK"}, controlID, processing, version,
		"", "", "", "", "", declared)
	if err == nil {
		return w.Segment("MSA", code, id).Bytes()
	}
	text, place, hl7 := reason(err)
	w.Segment("MSA", code, id, text)
	return w.Segment("ERR", "", place, Parts{hl7, "", "HL70357"}, "E", "", "", "", text).Bytes()
}

// reason gives the text, the place (ERR-2: segment ^ sequence) and the code of
// table 0357.
func reason(err error) (text string, place Parts, code string) {
	text, code = err.Error(), "207"
	if is := fault.IssuesOf(err); len(is) > 0 {
		text = is[0].Text
		if is[0].Expression != "" {
			place = pathParts(is[0].Expression)
		}
		switch is[0].Code {
		case "structure":
			code = "100"
		case "required":
			code = "101"
		case "value":
			code = "102"
		case "code-invalid":
			code = "103"
		}
	}
	if fault.Is(err, fault.Unsupported) {
		code = "200"
	}
	return text, place, code
}

func pathParts(expression string) Parts {
	p, err := ParsePath(expression)
	if err != nil {
		return nil
	}
	return Parts{p.segment, itoa(p.nth + 1), itoa(p.field), itoa(p.repeat + 1), itoa(p.component), itoa(p.subcomponent)}
}
