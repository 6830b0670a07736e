package tcm

import (
	"strconv"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Treatment is a non-drug TCM technique done at a visit (中医技术: 针灸, 推拿 …).
type Treatment struct {
	Visit
	VisitNo                 string
	Repeat                  int // 0; 1, 2 … when the same one stands again
	Code, Name              string
	Acupoints               []Coding // 腧穴
	Quantity, Price, Amount string
}

// ID is the Procedure's resource id.
func (t Treatment) ID() string {
	key := t.Code
	if key == "" {
		key = t.Name
	}
	return ID("proc", t.OrgCode, t.VisitNo, key, strconv.Itoa(t.Repeat))
}

// Resources builds the Procedure.
func (t Treatment) Resources() []Resource {
	id := t.ID()
	out := r4.Procedure{Id: &id, Status: r4.EventStatusCompleted,
		Category: concept("", Coding{SystemCharge, "treatment", "治疗费"}),
		Code:     concept(t.Name, Coding{SystemOf("treatment", t.OrgCode), t.Code, t.Name}),
		Subject:  must(ref("Patient", t.PatientID, "")), Encounter: ref("Encounter", t.EncounterID, ""),
		PerformedDateTime: str(t.Time)}
	for _, a := range t.Acupoints {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtAcupoint, ValueCodeableConcept: concept(a.Display, a)})
	}
	if t.Quantity != "" {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtTotalQuantity, ValueQuantity: quantity(t.Quantity, "")})
	}
	out.Extension = append(out.Extension, moneyExt(ExtUnitPrice, t.Price)...)
	out.Extension = append(out.Extension, moneyExt(ExtAmount, t.Amount)...)
	if p := ref("Practitioner", t.DoctorID, ""); p != nil {
		out.Performer = []r4.ProcedurePerformer{{Actor: *p}}
	}
	return []Resource{{"Procedure", id, out}}
}

// ReadTreatment reads one back. OrgCode, VisitNo and Repeat are not kept in it.
func ReadTreatment(n fhir.Node) Treatment {
	t := Treatment{Visit: visitOf(n), Code: n.Path("code", "coding", "code").Str(), Name: n.Path("code", "text").Str(),
		Quantity: extension(n, ExtTotalQuantity).Path("valueQuantity", "value").Str(),
		Price:    moneyOf(n, ExtUnitPrice), Amount: moneyOf(n, ExtAmount)}
	for e := range n.Get("extension").Children() {
		if e.Get("url").Str() == ExtAcupoint {
			t.Acupoints = append(t.Acupoints, codingOf(e.Path("valueCodeableConcept", "coding").At(0)))
		}
	}
	t.Time = n.Get("performedDateTime").Str()
	t.DoctorID = refID(n.Path("performer", "actor"), "Practitioner")
	return t
}
