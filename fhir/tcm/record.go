package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Record is the outpatient record (门诊病历): its texts, and the table of
// contents of everything the visit produced.
type Record struct {
	Visit
	VisitNo    string
	VisitType  string // first | return | ""
	OrgName    string
	DoctorName string
	Principles []Coding // 治则治法

	ChiefComplaint  string
	PresentIllness  string
	PastHistory     string
	AllergyHistory  string
	PersonalHistory string
	FamilyHistory   string
	PhysicalExam    string
	Advice          string

	Entries []string // "Condition/…", "MedicationRequest/…" …: all parts of the visit
}

// section says how one part of the record is coded. LOINC codes are those of
// WS/T 500.2-2016 (C0002) and C-CDA; contents lists resource types.
type section struct {
	key, loinc, title string
	contents          []string
	text              func(*Record) *string
}

var sections = []section{
	{"chief-complaint", "10154-3", "主诉", nil, func(r *Record) *string { return &r.ChiefComplaint }},
	{"present-illness", "10164-2", "现病史", nil, func(r *Record) *string { return &r.PresentIllness }},
	{"past-history", "11348-0", "既往史", nil, func(r *Record) *string { return &r.PastHistory }},
	{"allergy-history", "48765-2", "过敏史", nil, func(r *Record) *string { return &r.AllergyHistory }},
	{"personal-history", "29762-2", "个人史", nil, func(r *Record) *string { return &r.PersonalHistory }},
	{"family-history", "10157-6", "家族史", nil, func(r *Record) *string { return &r.FamilyHistory }},
	{"physical-exam", "29545-1", "体格检查", nil, func(r *Record) *string { return &r.PhysicalExam }},
	{"four-examinations", "", "四诊", []string{"Observation"}, nil},
	{"diagnoses", "29548-5", "诊断", []string{"Condition"}, nil},
	{"prescriptions", "57828-6", "处方", []string{"MedicationRequest"}, nil},
	{"treatments", "29554-3", "治疗", []string{"Procedure"}, nil},
	{"charges", "", "费用", []string{"ChargeItem"}, nil},
	{"advice", "18776-5", "医嘱与建议", nil, func(r *Record) *string { return &r.Advice }},
}

// Resources builds the Composition.
func (r Record) Resources() []Resource {
	id := RecordID(r.OrgCode, r.VisitNo)
	out := r4.Composition{Id: &id, Status: r4.CompositionStatusFinal, Title: "门诊病历", Date: r.Time,
		Type:      conceptValue("", Coding{SystemLOINC, "34108-1", "Outpatient Note"}),
		Subject:   ref("Patient", r.PatientID, ""),
		Encounter: ref("Encounter", r.EncounterID, ""), Custodian: orgRef(r.OrgCode, r.OrgName)}
	if id := identifier("", SystemOf("visit", r.OrgCode), r.VisitNo); id != nil {
		out.Identifier = &id[0]
	}
	if c, ok := visitTypes[r.VisitType]; ok {
		out.Category = []r4.CodeableConcept{conceptValue("", c)}
	}
	out.Extension = principles(r.Principles)
	author := ref("Practitioner", r.DoctorID, r.DoctorName)
	if author == nil {
		author = orgRef(r.OrgCode, r.OrgName)
	}
	out.Author = []r4.Reference{must(author)}
	for _, s := range sections {
		if sec, ok := s.build(&r); ok {
			out.Section = append(out.Section, sec)
		}
	}
	return []Resource{{"Composition", id, out}}
}

func (s section) build(r *Record) (r4.CompositionSection, bool) {
	codings := []Coding{{SystemSection, s.key, s.title}, {SystemLOINC, s.loinc, ""}}
	out := r4.CompositionSection{Title: ptr(s.title), Code: concept("", codings...)}
	if s.text != nil {
		out.Text = narrative(*s.text(r))
		return out, out.Text != nil
	}
	for _, e := range r.Entries {
		for _, typ := range s.contents {
			if len(e) > len(typ) && e[:len(typ)] == typ && e[len(typ)] == '/' {
				out.Entry = append(out.Entry, r4.Reference{Reference: ptr(e)})
			}
		}
	}
	return out, out.Entry != nil
}

// ReadRecord reads one back.
func ReadRecord(n fhir.Node) Record {
	r := Record{Visit: visitOf(n), VisitNo: n.Path("identifier", "value").Str(), OrgName: n.Path("custodian", "display").Str()}
	r.OrgCode = n.Path("custodian", "identifier", "value").Str()
	r.Time, r.VisitType = n.Get("date").Str(), visitType(coded(n.Get("category").At(0), SystemVisitType).Code)
	r.Principles = readPrinciples(n)
	author := n.Get("author").At(0)
	if r.DoctorID = refID(author, "Practitioner"); r.DoctorID != "" {
		r.DoctorName = author.Get("display").Str()
	}
	for sec := range n.Get("section").Children() {
		key := coded(sec.Get("code"), SystemSection).Code
		for _, s := range sections {
			if s.key == key && s.text != nil {
				*s.text(&r) = plain(sec.Get("text"))
			}
		}
		for e := range sec.Get("entry").Children() {
			r.Entries = append(r.Entries, e.Get("reference").Str())
		}
	}
	return r
}
