package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Dispense is the handing out of a prescription (调剂) with its four signatures.
type Dispense struct {
	Visit
	RequestID string // MedicationRequest
	// practitioner ids, "" = not signed
	Reviewed, Compounded, Checked, HandedOver string
}

// signatures are the four steps in their order, codes of [SystemDispense].
func (d *Dispense) signatures() []struct {
	code, name string
	who        *string
} {
	return []struct {
		code, name string
		who        *string
	}{{"review", "审核", &d.Reviewed}, {"compound", "调配", &d.Compounded}, {"check", "核对", &d.Checked}, {"handover", "发药", &d.HandedOver}}
}

// ID is the MedicationDispense's resource id: one per prescription.
func (d Dispense) ID() string { return ID("disp", d.RequestID) }

// Resources builds the MedicationDispense.
func (d Dispense) Resources() []Resource {
	id := d.ID()
	out := r4.MedicationDispense{Id: &id, Status: "completed", MedicationReference: must(ref("Medication", d.RequestID, "")), Subject: ref("Patient", d.PatientID, ""),
		Context: ref("Encounter", d.EncounterID, ""), WhenHandedOver: str(d.Time), AuthorizingPrescription: []r4.Reference{must(ref("MedicationRequest", d.RequestID, ""))}}
	for _, s := range d.signatures() {
		if *s.who != "" {
			out.Performer = append(out.Performer, r4.MedicationDispensePerformer{Function: concept("", Coding{SystemDispense, s.code, s.name}), Actor: must(ref("Practitioner", *s.who, ""))})
		}
	}
	return []Resource{{"MedicationDispense", id, out}}
}

// ReadDispense reads one back. OrgCode and DoctorID are not kept in it.
func ReadDispense(n fhir.Node) Dispense {
	d := Dispense{Visit: visitOf(n), RequestID: refID(n.Get("authorizingPrescription").At(0), "MedicationRequest")}
	d.Time = n.Get("whenHandedOver").Str()
	for p := range n.Get("performer").Children() {
		code := coded(p.Get("function"), SystemDispense).Code
		for _, s := range d.signatures() {
			if s.code == code {
				*s.who = refID(p.Get("actor"), "Practitioner")
			}
		}
	}
	return d
}
