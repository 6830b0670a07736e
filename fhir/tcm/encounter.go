package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Encounter is an outpatient visit (门诊就诊).
type Encounter struct {
	OrgCode, OrgName string
	VisitNo          string
	Status           string // planned | in-progress | finished | cancelled
	Class            string // v3-ActCode; "" = AMB
	Start, End       string // FHIR dateTimes; End may be "": still open, or not told
	PatientID        string // resource id
	PatientName      string
	DoctorID         string // resource id, may be ""
	DoctorName       string
	VisitType        string // first | return | ""
	Insurance        Insurance
	Diagnoses        []string // Condition ids, the main one first
}

var encounterStatus = map[string]r4.EncounterStatus{"in-progress": r4.EncounterStatusInProgress,
	"finished": r4.EncounterStatusFinished, "planned": r4.EncounterStatusPlanned, "cancelled": r4.EncounterStatusCancelled}

var visitTypes = map[string]Coding{"first": {SystemVisitType, "1", "初诊"}, "return": {SystemVisitType, "2", "复诊"}}

// visitType finds the kind of a visit by its code of DE06.00.196.00.
func visitType(code string) string {
	for kind, c := range visitTypes {
		if c.Code == code {
			return kind
		}
	}
	return ""
}

// Resources builds the Encounter.
func (e Encounter) Resources() []Resource {
	id := EncounterID(e.OrgCode, e.VisitNo)
	out := r4.Encounter{Id: &id, Identifier: identifier("VN", SystemOf("visit", e.OrgCode), e.VisitNo),
		Status: encounterStatus[e.Status], Class: e.class().model(),
		ServiceType: concept("中医"), Subject: ref("Patient", e.PatientID, e.PatientName),
		ServiceProvider: orgRef(e.OrgCode, e.OrgName)}
	if e.Start != "" {
		out.Period = &r4.Period{Start: &e.Start}
		if e.End != "" {
			out.Period.End = &e.End
		}
	}
	if e.DoctorID != "" {
		out.Participant = []r4.EncounterParticipant{{Individual: ref("Practitioner", e.DoctorID, e.DoctorName)}}
	}
	if c, ok := visitTypes[e.VisitType]; ok {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtVisitType, ValueCoding: ptr(c.model())})
	}
	if c := concept(e.Insurance.Text, e.Insurance.Coding); c != nil {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtInsuranceType, ValueCodeableConcept: c})
	}
	for i, d := range e.Diagnoses {
		out.Diagnosis = append(out.Diagnosis, r4.EncounterDiagnosis{Condition: must(ref("Condition", d, "")), Rank: ptr(i + 1)})
	}
	return []Resource{{"Encounter", id, out}}
}

func (e Encounter) class() Coding {
	switch e.Class {
	case "EMER":
		return Coding{SystemActCode, "EMER", "emergency"}
	case "IMP":
		return Coding{SystemActCode, "IMP", "inpatient encounter"}
	}
	return Coding{SystemActCode, "AMB", "ambulatory"}
}

// ReadEncounter reads one back.
func ReadEncounter(n fhir.Node) Encounter {
	doctor := n.Path("participant", "individual")
	e := Encounter{
		OrgCode: n.Path("serviceProvider", "identifier", "value").Str(), OrgName: n.Path("serviceProvider", "display").Str(),
		VisitNo: identified(n, Base+"/sid/visit/"), Status: n.Get("status").Str(), Start: n.Path("period", "start").Str(), End: n.Path("period", "end").Str(),
		PatientID: refID(n.Get("subject"), "Patient"), PatientName: n.Path("subject", "display").Str(),
		DoctorID: refID(doctor, "Practitioner"), DoctorName: doctor.Get("display").Str(),
	}
	if c := n.Path("class", "code").Str(); c != "AMB" {
		e.Class = c
	}
	e.VisitType = visitType(extension(n, ExtVisitType).Path("valueCoding", "code").Str())
	paid := extension(n, ExtInsuranceType).Get("valueCodeableConcept")
	e.Insurance = Insurance{Coding: coded(paid, SystemPayment), Text: paid.Get("text").Str()}
	for d := range n.Get("diagnosis").Children() {
		e.Diagnoses = append(e.Diagnoses, refID(d.Get("condition"), "Condition"))
	}
	return e
}
