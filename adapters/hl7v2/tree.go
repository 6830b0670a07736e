package hl7v2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// parents says after which segments a segment belongs to a group of the
// standard (chapters 3, 4, 6, 7, 10 of v2.5.1): it hangs under the last of them
// that stands before it, whatever lies between. Segments that are not here, and
// those that none of their parents precedes, stand at the top.
var parents = map[string][]string{
	"MRG": {"PID"},
	"NTE": {"OBX", "OBR", "RXO", "RXE", "RXD", "RXC", "ORC", "SCH", "AIS", "AIG", "AIL", "AIP", "AL1", "PID", "FT1", "SPM", "TXA"},
	"OBX": {"OBR", "RXA", "RXE", "RXO", "RXD", "SPM", "TXA"},
	"OBR": {"ORC"}, "RXO": {"ORC"}, "RXE": {"ORC"}, "RXD": {"ORC"}, "RXG": {"ORC"}, "RXA": {"ORC"},
	"RXR": {"RXO", "RXE", "RXD", "RXG", "RXA"}, "RXC": {"RXO", "RXE", "RXD", "RXG"}, "CDO": {"RXE", "RXD"},
	"TQ1": {"ORC"}, "TQ2": {"ORC"}, "CTI": {"OBR"},
	"SPM": {"OBR"}, "SAC": {"SPM"}, "INV": {"SAC"},
	"AIS": {"RGS"}, "AIG": {"RGS"}, "AIL": {"RGS"}, "AIP": {"RGS"},
	"IN2": {"IN1"}, "IN3": {"IN1"}, "PR1": {"FT1"}, "CTD": {"PRD"},
	"STF": {"MFE"}, "PRA": {"MFE"}, "LOC": {"MFE"}, "CDM": {"MFE"}, "ITM": {"MFE"},
	"PRT": {"OBX", "OBR", "ORC", "SCH", "TXA", "AIS", "AIG", "AIL", "AIP", "PV1", "PID", "PRB"},
}

// specimenFirst are the parents in OUL messages, where the specimen leads and
// the order follows its observation request.
var specimenFirst = map[string][]string{"SPM": nil, "OBR": {"SPM"}, "ORC": {"OBR"}, "TQ1": {"OBR"}, "OBX": {"OBR", "SPM"}}

// Parent returns the segments a segment may hang under in a message with this
// code (MSH-9.1), nil if it stands at the top.
func Parent(code, segment string) []string {
	if code == "OUL" {
		if p, ok := specimenFirst[segment]; ok {
			return p
		}
	}
	return parents[segment]
}

// branch is a segment with those that hang under it.
type branch struct {
	seg   *Segment
	below []*branch
}

// nest makes the segments' trees.
func (m *Message) nest() []*branch {
	code, _, _ := m.Type()
	all := make([]branch, len(m.Segments))
	last := make(map[string]*branch, 16)
	var top []*branch
	for i := range m.Segments {
		b := &all[i]
		b.seg = &m.Segments[i]
		var parent *branch
		for _, p := range Parent(code, b.seg.Name) {
			if c := last[p]; c != nil && (parent == nil || c.seg.Line > parent.seg.Line) {
				parent = c
			}
		}
		if parent != nil {
			parent.below = append(parent.below, b)
		} else {
			top = append(top, b)
		}
		last[b.seg.Name] = b
	}
	return top
}

// AppendTree appends the message as JSON for engines that walk trees:
//
//	{"MSH":[{"line":1,"f9":[{"c1":"ADT","c2":"A04"}],…}],"PID":[{…,"f3":[{"c1":"1","c4":"H","c4s2":"1.2.3"}]}]}
//
// One array per segment name, nested as [Parent] says; fN is a field with its
// repetitions, cN the text of component N, cNsM that of its subcomponent M from
// the second on. Empty parts are left out; an explicit null is the text `""`.
func (m *Message) AppendTree(dst []byte) []byte {
	dst = append(dst, '{')
	dst = appendBranches(dst, m.nest(), false)
	return append(dst, '}')
}

func appendBranches(dst []byte, list []*branch, comma bool) []byte {
	for i, b := range list {
		if slices.ContainsFunc(list[:i], func(o *branch) bool { return o.seg.Name == b.seg.Name }) {
			continue
		}
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(append(append(dst, '"'), b.seg.Name...), `":[`...)
		for j, o := range list[i:] {
			if o.seg.Name != b.seg.Name {
				continue
			}
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = o.append(dst)
		}
		dst = append(dst, ']')
	}
	return dst
}

func (b *branch) append(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"line":`...), int64(b.seg.Line), 10)
	for n := 1; n <= b.seg.Len(); n++ {
		if v := b.seg.Field(n); !v.Empty() {
			dst = strconv.AppendInt(append(dst, `,"f`...), int64(n), 10)
			dst = append(v.appendRepeats(append(dst, `":[`...)), ']')
		}
	}
	return append(appendBranches(dst, b.below, true), '}')
}

func (v Value) appendRepeats(dst []byte) []byte {
	if v.lit {
		return append(fhir.AppendString(append(dst, `{"c1":`...), v.raw), '}')
	}
	rest := v.raw
	for i := 0; ; i++ {
		one, tail, more := cutByte(rest, v.d.Repetition)
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = v.appendComponents(append(dst, '{'), one)
		dst = append(dst, '}')
		if rest = tail; !more {
			return dst
		}
	}
}

func (v Value) appendComponents(dst []byte, raw string) []byte {
	first := true
	for c := 1; ; c++ {
		comp, tail, more := cutByte(raw, v.d.Component)
		for s := 1; comp != ""; s++ {
			sub, rest, deeper := cutByte(comp, v.d.Subcomponent)
			if sub != "" {
				if !first {
					dst = append(dst, ',')
				}
				first = false
				dst = strconv.AppendInt(append(dst, `"c`...), int64(c), 10)
				if s > 1 {
					dst = strconv.AppendInt(append(dst, 's'), int64(s), 10)
				}
				dst = fhir.AppendString(append(dst, `":`...), unescape(sub, v.d))
			}
			if comp = rest; !deeper {
				break
			}
		}
		if raw = tail; !more {
			return dst
		}
	}
}

func cutByte(s string, sep byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
