package bundle

import (
	"encoding/json"
	"strconv"
	"strings"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

const (
	systemNull     = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
	systemAbsent   = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
	systemActClass = "http://terminology.hl7.org/CodeSystem/v3-ActClass"
	systemCurrency = "urn:iso:std:iso:4217"
	systemRFC3986  = "urn:ietf:rfc:3986"
	extVersion     = "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber"
)

// absent are FHIR's reasons for the null flavors of HL7 v3.
var absent = map[string]string{"UNK": "unknown", "NI": "unknown", "ASKU": "asked-unknown", "NAV": "temp-unknown", "NASK": "not-asked",
	"MSK": "masked", "NA": "not-applicable", "NINF": "negative-infinity", "PINF": "positive-infinity", "OTH": "unsupported"}

// classes are the act classes of entries that are no observations.
var classes = map[string]string{cda.Organizer: "CLUSTER", cda.Procedure: "PROC", cda.Act: "ACT", cda.Drug: "SBADM", "encounter": "ENC", "supply": "SPLY"}

func ptr[T any](v T) *T { return &v }

func str(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func coding(c tcm.Coding) r4.Coding {
	return r4.Coding{System: str(c.System), Code: str(c.Code), Display: str(c.Display)}
}

func concept(text string, list ...tcm.Coding) *r4.CodeableConcept {
	out := &r4.CodeableConcept{Text: str(text)}
	for _, c := range list {
		if c.Code != "" {
			out.Coding = append(out.Coding, coding(c))
		}
	}
	if out.Text == nil && out.Coding == nil {
		return nil
	}
	return out
}

// observing turns data elements into Observations.
type observing struct {
	*Mapper
	visit tcm.Visit
	key   string // of the document
	out   []tcm.Resource
	notes
}

// observation writes an entry and the entries inside it; it returns the id.
func (o *observing) observation(e *cda.Entry, place string) string {
	id := tcm.ID("de", o.key, place)
	at := len(o.out)
	o.out = append(o.out, tcm.Resource{Type: "Observation", ID: id})
	m := r4.Observation{Id: &id, Status: r4.ObservationStatusFinal, Code: elementConcept(e), Identifier: identifiers(e.ID),
		Subject: &r4.Reference{Reference: ptr("Patient/" + o.visit.PatientID)}}
	if o.visit.EncounterID != "" {
		m.Encounter = &r4.Reference{Reference: ptr("Encounter/" + o.visit.EncounterID)}
	}
	if c := classes[e.Kind]; c != "" {
		m.Category = []r4.CodeableConcept{*concept("", tcm.Coding{System: systemActClass, Code: c})}
	}
	if t, ok := o.dateTime(e.Time); ok {
		m.EffectiveDateTime = &t
	}
	if e.Text != "" {
		m.Note = []r4.Annotation{{Text: e.Text}}
	}
	v := o.value(e.Value, id)
	m.ValueString, m.ValueCodeableConcept, m.ValueQuantity, m.ValueBoolean, m.ValueInteger, m.ValueDateTime, m.DataAbsentReason =
		v.text, v.concept, v.quantity, v.flag, v.integer, v.moment, v.absent
	if med := e.Medicine; med != nil {
		o.medicine(&m, med)
	}
	if leaves(e.Parts) {
		m.Component = append(m.Component, o.components(e.Parts, id)...)
	} else {
		for i := range e.Parts {
			child := o.observation(&e.Parts[i], place+"."+strconv.Itoa(i))
			m.HasMember = append(m.HasMember, r4.Reference{Reference: ptr("Observation/" + child)})
		}
	}
	o.out[at].Model = m
	return id
}

// elementConcept is the code of a data element; where a qualifier names it, that
// is the text.
func elementConcept(e *cda.Entry) r4.CodeableConcept {
	text := e.Name()
	if text == "" && e.Medicine != nil {
		text = e.Medicine.Name
	}
	if text == "" && e.Code.Code == "" {
		text = e.Kind
	}
	return *concept(text, codingOf(e.Code))
}

func identifiers(id cda.ID) []r4.Identifier {
	if id == (cda.ID{}) {
		return nil
	}
	return []r4.Identifier{identifierOf(id)}
}

// identifierOf writes an instance identifier; a UUID or OID without an extension is
// the value itself.
func identifierOf(id cda.ID) r4.Identifier {
	root := oidPrefix + id.Root
	if strings.Count(id.Root, "-") == 4 {
		root = "urn:uuid:" + strings.ToLower(id.Root)
	}
	out := r4.Identifier{System: &root, Value: str(id.Extension)}
	if id.Extension == "" {
		out.System, out.Value = ptr(systemRFC3986), &root
	}
	if id.Authority != "" {
		out.Assigner = &r4.Reference{Display: &id.Authority}
	}
	return out
}

func readIdentifier(n fhir.Node) cda.ID {
	root, ext := n.Get("system").Str(), n.Get("value").Str()
	if root == systemRFC3986 {
		root, ext = ext, ""
	}
	root = strings.TrimPrefix(strings.TrimPrefix(root, oidPrefix), "urn:uuid:")
	return cda.ID{Root: root, Extension: ext, Authority: n.Path("assigner", "display").Str()}
}

// leaves reports whether parts can all be components: nothing but a code and a value.
func leaves(parts []cda.Entry) bool {
	for i := range parts {
		p := &parts[i]
		if p.Kind != cda.Observation || p.ID != (cda.ID{}) || p.Text != "" || p.Time != "" || p.Medicine != nil || len(p.Parts) > 0 {
			return false
		}
	}
	return true
}

func (o *observing) components(parts []cda.Entry, id string) []r4.ObservationComponent {
	out := make([]r4.ObservationComponent, len(parts))
	for i := range parts {
		v := o.value(parts[i].Value, id)
		out[i] = r4.ObservationComponent{Code: elementConcept(&parts[i]), ValueString: v.text, ValueCodeableConcept: v.concept,
			ValueQuantity: v.quantity, ValueBoolean: v.flag, ValueInteger: v.integer, ValueDateTime: v.moment, DataAbsentReason: v.absent}
	}
	return out
}

// answer is a value in one of FHIR's types.
type answer struct {
	text     *string
	concept  *r4.CodeableConcept
	quantity *r4.Quantity
	flag     *bool
	integer  *int
	moment   *string
	absent   *r4.CodeableConcept
}

func (o *observing) value(v cda.Value, id string) (a answer) {
	if v.Text == "" && v.Code.Code == "" && words(v.Code) == "" {
		if v.NullFlavor != "" || v.Type != "" {
			flavor := v.NullFlavor
			a.absent = concept("", tcm.Coding{System: systemAbsent, Code: first(absent[flavor], "unknown")}, tcm.Coding{System: systemNull, Code: flavor})
		}
		return a
	}
	switch v.Type {
	case "CD":
		a.concept = o.concept(v.Code)
	case "PQ", "MO", "REAL":
		if isNumber(v.Text) {
			a.quantity = quantity(v)
		}
	case "BL":
		if b, ok := flags[v.Text]; ok {
			a.flag = &b
		}
	case "INT":
		if n, err := strconv.Atoi(v.Text); err == nil && isNumber(v.Text) {
			a.integer = &n
		}
	case "TS":
		if t, ok := o.dateTime(v.Text); ok {
			a.moment = &t
		}
	case "ST":
		a.text = &v.Text
	}
	if a == (answer{}) {
		a.text = ptr(strings.TrimSpace(v.Text + " " + v.Unit))
		o.add("warning", "cda-value", "Observation/"+id, "值不是有效的 "+v.Type+"，按文本保留", "the value is no valid "+v.Type+" and was kept as text")
	}
	return a
}

var flags = map[string]bool{"true": true, "false": false, "1": true, "0": false, "T": true, "F": false}

func (o *observing) concept(c cda.Code) *r4.CodeableConcept {
	out := concept(first(c.Original, c.Display), codingOf(c))
	if c.Local != nil {
		if l := codingOf(*c.Local); l.Code != "" {
			out.Coding = append(out.Coding, coding(l))
		}
	}
	if out != nil && len(out.Coding) > 0 && c.Version != "" && c.System != cda.SystemTCM {
		out.Coding[0].Version = &c.Version
	}
	return out
}

func quantity(v cda.Value) *r4.Quantity {
	q := &r4.Quantity{Value: ptr(json.Number(v.Text)), Unit: str(v.Unit)}
	if v.Type == "MO" {
		q.System, q.Code = ptr(systemCurrency), ptr("CNY")
	}
	return q
}

// medicine keeps what was given: the drug as the value, the rest as components.
func (o *observing) medicine(m *r4.Observation, med *cda.Medicine) {
	m.ValueCodeableConcept = o.concept(cda.Code{Code: med.Code.Code, System: med.Code.System, SystemName: med.Code.SystemName, Display: med.Code.Display, Original: med.Name})
	for _, c := range []struct {
		text string
		code cda.Code
	}{{"用药途径", med.Route}, {"频次", med.Frequency}, {"剂型", med.Form}} {
		if c.code != (cda.Code{}) {
			m.Component = append(m.Component, r4.ObservationComponent{Code: *concept(c.text), ValueCodeableConcept: o.concept(c.code)})
		}
	}
	if med.Dose.Text != "" {
		v := o.value(med.Dose, *m.Id)
		m.Component = append(m.Component, r4.ObservationComponent{Code: *concept("剂量"), ValueQuantity: v.quantity, ValueString: v.text})
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
