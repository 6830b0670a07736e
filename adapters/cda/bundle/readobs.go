package bundle

import (
	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// kinds are the entry kinds by act class.
var kinds = map[string]string{"CLUSTER": cda.Organizer, "PROC": cda.Procedure, "ACT": cda.Act, "SBADM": cda.Drug, "ENC": "encounter", "SPLY": "supply"}

// entry reads an Observation of a data element back. find gives the members.
func (m *Mapper) entry(n fhir.Node, find func(ref string) fhir.Node, depth int) cda.Entry {
	e := cda.Entry{Kind: cda.Observation, Text: n.Path("note", "text").Str()}
	e.Code, e.Qualifier = m.elementCode(n.Get("code"))
	for cat := range n.Get("category").Each() {
		for c := range cat.Get("coding").Each() {
			if c.Get("system").Str() == systemActClass && kinds[c.Get("code").Str()] != "" {
				e.Kind = kinds[c.Get("code").Str()]
			}
		}
	}
	if id := n.Get("identifier").At(0); id.Exists() {
		e.ID = readIdentifier(id)
	}
	if t := n.Get("effectiveDateTime").Str(); t != "" {
		e.Time = m.timestamp(t)
	}
	e.Value = m.readValue(n)
	parts := n.Get("component")
	if e.Kind == cda.Drug {
		m.readMedicine(&e, parts)
	}
	for c := range parts.Each() {
		if e.Kind == cda.Drug && medicineParts[c.Path("code", "text").Str()] && !c.Path("code", "coding").Exists() {
			continue
		}
		p := cda.Entry{Kind: cda.Observation, Value: m.readValue(c)}
		p.Code, p.Qualifier = m.elementCode(c.Get("code"))
		e.Parts = append(e.Parts, p)
	}
	const deepest = 16
	for ref := range n.Get("hasMember").Each() {
		if child := find(ref.Get("reference").Str()); child.Exists() && depth < deepest {
			e.Parts = append(e.Parts, m.entry(child, find, depth+1))
		}
	}
	return e
}

var medicineParts = map[string]bool{"用药途径": true, "频次": true, "剂型": true, "剂量": true}

func (m *Mapper) readMedicine(e *cda.Entry, parts fhir.Node) {
	med := &cda.Medicine{Name: first(e.Value.Code.Original, words(e.Value.Code)), Code: e.Value.Code}
	med.Code.Original = ""
	if med.Code.Code == "" {
		med.Code = cda.Code{}
	}
	for c := range parts.Each() {
		v := m.readValue(c)
		switch c.Path("code", "text").Str() {
		case "用药途径":
			med.Route = v.Code
		case "频次":
			med.Frequency = v.Code
		case "剂型":
			med.Form = v.Code
		case "剂量":
			med.Dose = v
		}
	}
	e.Medicine, e.Value, e.Code, e.Qualifier = med, cda.Value{}, cda.Code{}, ""
}

// elementCode reads the code of a data element; the qualifier is a text that
// differs from the code's name.
func (m *Mapper) elementCode(n fhir.Node) (c cda.Code, qualifier string) {
	text := n.Get("text").Str()
	first := n.Get("coding").At(0)
	if !first.Exists() {
		return cda.Code{NullFlavor: "OTH", Original: text}, ""
	}
	c = m.code(tcm.Coding{System: first.Get("system").Str(), Code: first.Get("code").Str(), Display: first.Get("display").Str()})
	if text != "" && text != c.Display {
		qualifier = text
	}
	return c, qualifier
}

// readValue reads value[x] of an Observation or a component.
func (m *Mapper) readValue(n fhir.Node) cda.Value {
	switch {
	case n.Get("valueString").Exists():
		return cda.Value{Type: "ST", Text: n.Get("valueString").Str()}
	case n.Get("valueCodeableConcept").Exists():
		return cda.Value{Type: "CD", Code: m.readConcept(n.Get("valueCodeableConcept"))}
	case n.Get("valueQuantity").Exists():
		q := n.Get("valueQuantity")
		v := cda.Value{Type: "PQ", Text: q.Get("value").Str(), Unit: q.Get("unit").Str()}
		if q.Get("system").Str() == systemCurrency {
			v.Type = "MO"
		}
		return v
	case n.Get("valueBoolean").Exists():
		b, _ := n.Get("valueBoolean").Bool()
		return cda.Value{Type: "BL", Text: map[bool]string{true: "true", false: "false"}[b]}
	case n.Get("valueInteger").Exists():
		return cda.Value{Type: "INT", Text: string(n.Get("valueInteger").Raw())}
	case n.Get("valueDateTime").Exists():
		return cda.Value{Type: "TS", Text: m.timestamp(n.Get("valueDateTime").Str())}
	case n.Get("dataAbsentReason").Exists():
		return cda.Value{Type: "ST", NullFlavor: flavorOf(n.Get("dataAbsentReason"))}
	}
	return cda.Value{}
}

func flavorOf(n fhir.Node) string {
	for c := range n.Get("coding").Each() {
		if c.Get("system").Str() == systemNull {
			return c.Get("code").Str()
		}
	}
	return "NI"
}

// readConcept reads a concept: its first coding that CDA can name, else words with
// the reason; a second coding is the sender's own.
func (m *Mapper) readConcept(n fhir.Node) cda.Code {
	text := n.Get("text").Str()
	var out cda.Code
	for c := range n.Get("coding").Each() {
		one := m.code(tcm.Coding{System: c.Get("system").Str(), Code: c.Get("code").Str(), Display: c.Get("display").Str()})
		switch {
		case out == (cda.Code{}):
			out = one
			if v := c.Get("version").Str(); v != "" {
				out.Version = v
			}
		case out.Local == nil && one.Local != nil:
			out.Local = one.Local
		case out.Local == nil:
			out.Local = &one
		}
	}
	switch {
	case out == (cda.Code{}):
		return cda.Code{NullFlavor: "OTH", Original: text}
	case text != "" && text != out.Display && out.Original == "":
		out.Original = text
	}
	return out
}

// isElement reports whether an Observation is a data element (or another entry of
// a document), not one of the four examinations.
func isElement(n fhir.Node) bool {
	for c := range n.Path("code", "coding").Each() {
		if c.Get("system").Str() == tcm.SystemFourExam {
			return false
		}
	}
	return true
}
