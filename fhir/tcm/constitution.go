package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// SystemConstitution is CV05.01.005 中医体质分类代码.
const SystemConstitution = Base + "/CodeSystem/cv05-01-005"

// Constitution is the score of one constitution type (体质) of a person.
type Constitution struct {
	Visit
	Type       Coding // CV05.01.005: 01 平和质 …
	Score      string // 转化分, decimal text
	Judgement  Coding // 是, 基本是, 倾向是, 否: [SystemJudgement]
	ResponseID string // QuestionnaireResponse
}

// ID is the Observation's resource id: one per person, time and type.
func (c Constitution) ID() string { return ID("con", c.PatientID, c.Time, c.Type.Code) }

// Resources builds the Observation.
func (c Constitution) Resources() []Resource {
	id := c.ID()
	out := r4.Observation{Id: &id, Status: r4.ObservationStatusFinal, Category: []r4.CodeableConcept{conceptValue("", Coding{"http://terminology.hl7.org/CodeSystem/observation-category", "survey", ""})},
		Code: conceptValue(c.Type.Display, c.Type), Subject: ref("Patient", c.PatientID, ""), Encounter: ref("Encounter", c.EncounterID, ""), EffectiveDateTime: str(c.Time),
		ValueQuantity: quantity(c.Score, "分")}
	if j := concept("", c.Judgement); j != nil {
		out.Interpretation = []r4.CodeableConcept{*j}
	}
	if r := ref("QuestionnaireResponse", c.ResponseID, ""); r != nil {
		out.DerivedFrom = []r4.Reference{*r}
	}
	if p := ref("Practitioner", c.DoctorID, ""); p != nil {
		out.Performer = []r4.Reference{*p}
	}
	return []Resource{{"Observation", id, out}}
}

// ReadConstitution reads one back.
func ReadConstitution(n fhir.Node) Constitution {
	c := Constitution{Visit: visitOf(n), Type: coded(n.Get("code"), SystemConstitution), Score: n.Path("valueQuantity", "value").Str(),
		Judgement: coded(n.Get("interpretation").At(0), SystemJudgement), ResponseID: refID(n.Get("derivedFrom").At(0), "QuestionnaireResponse")}
	c.Time, c.DoctorID = n.Get("effectiveDateTime").Str(), refID(n.Get("performer").At(0), "Practitioner")
	return c
}

// Plan is what is advised for a constitution (治未病调养方案).
type Plan struct {
	Visit
	Title    string
	Basis    []string // Observation ids of the constitution
	Measures []Measure
}

// Measure is one advice: its kind (情志, 饮食, 起居, 运动, 穴位) and what to do.
type Measure struct{ Kind, Text string }

// ID is the CarePlan's resource id: one per person and time.
func (p Plan) ID() string { return ID("plan", p.PatientID, p.Time) }

// Resources builds the CarePlan.
func (p Plan) Resources() []Resource {
	id := p.ID()
	out := r4.CarePlan{Id: &id, Status: r4.RequestStatusActive, Intent: r4.CarePlanIntentPlan, Title: str(p.Title), Subject: must(ref("Patient", p.PatientID, "")),
		Encounter: ref("Encounter", p.EncounterID, ""), Created: str(p.Time), Author: ref("Practitioner", p.DoctorID, "")}
	for _, b := range p.Basis {
		out.SupportingInfo = append(out.SupportingInfo, must(ref("Observation", b, "")))
	}
	for _, m := range p.Measures {
		out.Activity = append(out.Activity, r4.CarePlanActivity{Detail: &r4.CarePlanActivityDetail{Code: concept(m.Kind), Status: r4.CarePlanActivityStatusScheduled, Description: str(m.Text)}})
	}
	return []Resource{{"CarePlan", id, out}}
}

// ReadPlan reads one back.
func ReadPlan(n fhir.Node) Plan {
	p := Plan{Visit: visitOf(n), Title: n.Get("title").Str()}
	p.Time, p.DoctorID = n.Get("created").Str(), refID(n.Get("author"), "Practitioner")
	for b := range n.Get("supportingInfo").Children() {
		p.Basis = append(p.Basis, refID(b, "Observation"))
	}
	for a := range n.Get("activity").Children() {
		p.Measures = append(p.Measures, Measure{a.Path("detail", "code", "text").Str(), a.Path("detail", "description").Str()})
	}
	return p
}
