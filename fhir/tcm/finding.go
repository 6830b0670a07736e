package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// The four examinations (四诊), codes of [SystemFourExam].
const (
	Inspection = "inspection" // 望诊
	Listening  = "listening"  // 闻诊
	Inquiry    = "inquiry"    // 问诊
	Palpation  = "palpation"  // 切诊
	Tongue     = "tongue"     // 舌象
	Pulse      = "pulse"      // 脉象
)

var findingNames = map[string]string{Inspection: "望诊", Listening: "闻诊", Inquiry: "问诊", Palpation: "切诊",
	Tongue: "舌象", Pulse: "脉象"}

// Finding is what one of the four examinations found: the doctor's words, and
// the terms they were coded with.
type Finding struct {
	Visit
	Kind     string
	Text     string
	Terms    []Term
	DeviceID string // the instrument, "" = the doctor
}

// Term is one coded term of a finding. Part is what it describes: for a tongue
// 舌色 舌形 舌态 苔质 苔色 舌下络脉, for a pulse its position (左寸(心) …) or "",
// codes of [SystemFourExam]; Text is a term of [SystemFourExam], or words.
type Term struct{ Part, Text string }

// ID is the Observation's resource id: one per visit and kind.
func (f Finding) ID() string { return ID("obs", f.EncounterID, f.Kind) }

// Resources builds the Observation; nothing where neither words nor terms are.
func (f Finding) Resources() []Resource {
	if f.Text == "" && len(f.Terms) == 0 {
		return nil
	}
	id := f.ID()
	out := r4.Observation{Id: &id, Status: r4.ObservationStatusFinal,
		Category: []r4.CodeableConcept{conceptValue("", Coding{"http://terminology.hl7.org/CodeSystem/observation-category", "exam", ""})},
		Code:     conceptValue(findingNames[f.Kind], Coding{SystemFourExam, f.Kind, findingNames[f.Kind]}),
		Subject:  ref("Patient", f.PatientID, ""), Encounter: ref("Encounter", f.EncounterID, ""),
		EffectiveDateTime: str(f.Time), ValueString: str(f.Text), Device: ref("Device", f.DeviceID, "")}
	for _, t := range f.Terms {
		part := t.Part
		if part == "" {
			part = f.Kind
		}
		out.Component = append(out.Component, r4.ObservationComponent{Code: conceptValue("", Coding{SystemFourExam, part, ""}),
			ValueCodeableConcept: concept(t.Text, Coding{SystemFourExam, t.Text, t.Text})})
	}
	if p := ref("Practitioner", f.DoctorID, ""); p != nil {
		out.Performer = []r4.Reference{*p}
	}
	return []Resource{{"Observation", id, out}}
}

// ReadFinding reads one back.
func ReadFinding(n fhir.Node) Finding {
	f := Finding{Visit: visitOf(n), Kind: coded(n.Get("code"), SystemFourExam).Code, Text: n.Get("valueString").Str()}
	f.Time = n.Get("effectiveDateTime").Str()
	f.DoctorID = refID(n.Get("performer").At(0), "Practitioner")
	f.DeviceID = refID(n.Get("device"), "Device")
	for c := range n.Get("component").Children() {
		t := Term{Part: coded(c.Get("code"), SystemFourExam).Code, Text: c.Path("valueCodeableConcept", "text").Str()}
		if t.Part == f.Kind {
			t.Part = ""
		}
		f.Terms = append(f.Terms, t)
	}
	return f
}
