package tcm

import (
	"strconv"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// The kinds of a diagnosis, codes of [SystemDiagnosisKind].
const (
	Disease  = "tcm-disease"  // 中医病名
	Syndrome = "tcm-syndrome" // 证候
	Western  = "western"      // 西医诊断, ICD-10
)

var kindNames = map[string]string{Disease: "中医病名", Syndrome: "中医证候", Western: "西医诊断"}

// Diagnosis is one diagnosis of a visit: a TCM disease with its syndrome, a
// western disease, or all of them together. Each becomes a Condition of its own.
type Diagnosis struct {
	Visit
	Rank     int    // 1 = main
	Disease  Coding // 病
	Syndrome Coding // 证
	Western  Coding // ICD-10
}

// ID is the resource id of the Condition of one kind.
func (d Diagnosis) ID(kind string) string {
	return ID("cond", d.EncounterID, kind, strconv.Itoa(d.Rank))
}

// Kinds lists the kinds present, in the order of [Diagnosis.Resources].
func (d Diagnosis) Kinds() []string {
	var out []string
	for _, k := range []string{Disease, Syndrome, Western} {
		if d.coding(k) != (Coding{}) {
			out = append(out, k)
		}
	}
	return out
}

func (d Diagnosis) coding(kind string) Coding {
	switch kind {
	case Disease:
		return d.Disease
	case Syndrome:
		return d.Syndrome
	}
	return d.Western
}

// Resources builds one Condition per kind: the syndrome and the western disease
// refer to the TCM disease.
func (d Diagnosis) Resources() []Resource {
	var out []Resource
	for _, kind := range d.Kinds() {
		id, c := d.ID(kind), d.coding(kind)
		m := r4.Condition{Id: &id,
			ClinicalStatus:     concept("", Coding{"http://terminology.hl7.org/CodeSystem/condition-clinical", "active", ""}),
			VerificationStatus: concept("", Coding{"http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", ""}),
			Category: []r4.CodeableConcept{
				conceptValue("", Coding{"http://terminology.hl7.org/CodeSystem/condition-category", "encounter-diagnosis", ""}),
				conceptValue("", Coding{SystemDiagnosisKind, kind, kindNames[kind]})},
			Code: concept(c.Display, c), Subject: must(ref("Patient", d.PatientID, "")),
			Encounter: ref("Encounter", d.EncounterID, ""), RecordedDate: str(d.Time),
			Recorder: ref("Practitioner", d.DoctorID, "")}
		if d.Disease != (Coding{}) && kind != Disease {
			url := ExtSyndromeOf
			if kind == Western {
				url = ExtPairedWith
			}
			m.Extension = []r4.Extension{{Url: url, ValueReference: ref("Condition", d.ID(Disease), "")}}
		}
		out = append(out, Resource{"Condition", id, m})
	}
	return out
}

// Condition is one Condition read back.
type Condition struct {
	Visit
	ID      string
	Kind    string // Disease, Syndrome or Western
	Coding  Coding
	Disease string // id of the TCM disease this syndrome or western diagnosis belongs to
}

// ReadCondition reads one of a diagnosis's Conditions back.
func ReadCondition(n fhir.Node) Condition {
	c := Condition{Visit: visitOf(n), ID: n.Get("id").Str(), Coding: codingOf(n.Path("code", "coding").At(0))}
	if c.Coding.Display == "" {
		c.Coding.Display = n.Path("code", "text").Str()
	}
	c.Time = n.Get("recordedDate").Str()
	c.DoctorID = refID(n.Get("recorder"), "Practitioner")
	for cat := range n.Get("category").Children() {
		if k := coded(cat, SystemDiagnosisKind).Code; k != "" {
			c.Kind = k
		}
	}
	for _, url := range []string{ExtSyndromeOf, ExtPairedWith} {
		if id := refID(extension(n, url).Get("valueReference"), "Condition"); id != "" {
			c.Disease = id
		}
	}
	return c
}
