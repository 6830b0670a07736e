package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Provenance says which message made a visit's resources what they are. Its id
// derives from the content that the message carried, so the same content again
// is recognised even after newer content replaced it.
type Provenance struct {
	Visit
	ContentID string // digest of the content
	MessageID string // inbound message
	Source    string // configured source name
}

// ID is the Provenance's resource id.
func (p Provenance) ID() string { return ID("prov", p.EncounterID, p.ContentID) }

// Resources builds the Provenance; Time is when the message was received.
func (p Provenance) Resources() []Resource {
	id := p.ID()
	return []Resource{{"Provenance", id, r4.Provenance{Id: &id, Recorded: p.Time,
		Target: []r4.Reference{must(ref("Encounter", p.EncounterID, "")), must(ref("Patient", p.PatientID, ""))},
		Agent:  []r4.ProvenanceAgent{{Who: r4.Reference{Display: &p.Source}, OnBehalfOf: orgRef(p.OrgCode, "")}},
		Entity: []r4.ProvenanceEntity{{Role: r4.ProvenanceEntityRoleSource, What: r4.Reference{
			Identifier: &r4.Identifier{System: ptr(Base + "/sid/message"), Value: &p.MessageID}}}}}}}
}

// ReadProvenance reads one back. ContentID is not kept in it.
func ReadProvenance(n fhir.Node) Provenance {
	p := Provenance{MessageID: n.Path("entity", "what", "identifier", "value").Str(), Source: n.Path("agent", "who", "display").Str()}
	p.OrgCode = n.Path("agent", "onBehalfOf", "identifier", "value").Str()
	p.Time = n.Get("recorded").Str()
	p.EncounterID = refID(n.Get("target").At(0), "Encounter")
	p.PatientID = refID(n.Get("target").At(1), "Patient")
	return p
}
