package record

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// Card is an insured person with the card.
type Card struct {
	Source    string
	Person    ncms.Person
	PatientID string // of a Patient the hall already has; "" = make one
	Make      bool   // make the Patient under PatientID
}

// CoverageID is the id of a card's Coverage.
func CoverageID(source, card string) string { return tcm.ID("cov", "ncms", source, card) }

// PatientID is the id of the Patient made for a person whom no hall knows.
func PatientID(source, person, card string) string {
	if person == "" {
		return tcm.ID("pat", "ncms-card", source, card)
	}
	return tcm.ID("pat", "ncms", source, person)
}

var genders = map[string]r4.AdministrativeGender{"1": r4.AdministrativeGenderMale, "2": r4.AdministrativeGenderFemale,
	"0": r4.AdministrativeGenderUnknown, "9": r4.AdministrativeGenderOther}

// Patient is the id of the person's Patient resource.
func (c Card) Patient() string {
	if c.PatientID != "" {
		return c.PatientID
	}
	return PatientID(c.Source, c.Person.Number, c.Person.Card)
}

// Resources builds the Coverage, and the Patient where PatientID is "" or Make is set.
func (c Card) Resources() []tcm.Resource {
	p, pid, cid := c.Person, c.Patient(), CoverageID(c.Source, c.Person.Card)
	var out []tcm.Resource
	if c.PatientID == "" || c.Make {
		patient := r4.Patient{Id: &pid, Active: ptr(true), BirthDate: str(p.Birth),
			Identifier: identifiers(sidPerson+c.Source, p.Number, tcm.SystemNationalID, p.NationalID)}
		if p.Name != "" {
			patient.Name = []r4.HumanName{{Text: &p.Name}}
		}
		if g, ok := genders[p.Sex]; ok {
			patient.Gender = &g
		}
		if p.Phone != "" {
			patient.Telecom = []r4.ContactPoint{{System: ptr(r4.ContactPointSystemPhone), Value: &p.Phone}}
		}
		if p.Address != "" {
			patient.Address = []r4.Address{{Text: &p.Address}}
		}
		out = append(out, tcm.Resource{Type: "Patient", ID: pid, Model: patient})
	}
	insurance := tcm.InsuranceOf(p.Insurance)
	cover := r4.Coverage{Id: &cid, Status: r4.FinancialResourceStatusCodesActive, Identifier: identifiers(sidCard+c.Source, p.Card),
		Type:         ptr(concept(insurance.Coding.Display, coding(insurance.Coding.System, insurance.Coding.Code, insurance.Coding.Display))),
		SubscriberId: str(p.Card), Beneficiary: reference("Patient", pid, sidPerson+c.Source, p.Number), Payor: []r4.Reference{insurer(c.Source)},
		Dependent: str(p.Book)}
	return append(out, tcm.Resource{Type: "Coverage", ID: cid, Model: cover})
}

// ReadCard reads the beneficiary of a Coverage back: patient id, card and person
// number.
func ReadCard(n fhir.Node) Card {
	b := n.Get("beneficiary")
	return Card{PatientID: id(b, "Patient"), Person: ncms.Person{Number: b.Path("identifier", "value").Str(), Card: numbered(n, sidCard)}}
}

// Eligibility is one look-up of a card.
type Eligibility struct {
	Card
	Hospital string
	Year     string
	At       string // FHIR dateTime
	Refused  string // the centre's words; "" = insured
}

// Resources builds the request and the response: one pair per hall, card and day.
func (e Eligibility) Resources() []tcm.Resource {
	pid, cid := e.Patient(), CoverageID(e.Source, e.Person.Card)
	day := e.At[:min(10, len(e.At))]
	qid, rid := tcm.ID("elq", e.Source, e.Hospital, e.Person.Card, day), tcm.ID("elr", e.Source, e.Hospital, e.Person.Card, day)
	patient, hall := reference("Patient", pid, sidPerson+e.Source, e.Person.Number), provider(e.Hospital)
	cover := reference("Coverage", cid, sidCard+e.Source, e.Person.Card)
	if e.Refused != "" { // nothing else is known of the person
		patient, cover = r4.Reference{Identifier: patient.Identifier, Display: ptr("未参保")}, r4.Reference{Identifier: cover.Identifier}
	}
	q := r4.CoverageEligibilityRequest{Id: &qid, Status: r4.FinancialResourceStatusCodesActive, Identifier: identifiers(sidCard+e.Source, e.Person.Card),
		Purpose: []r4.EligibilityRequestPurpose{r4.EligibilityRequestPurposeValidation}, Patient: patient, Created: e.At, Provider: &hall, Insurer: insurer(e.Source),
		Insurance: []r4.CoverageEligibilityRequestInsurance{{Focal: ptr(true), Coverage: cover}}}
	outcome, words := r4.ClaimProcessingCodesComplete, "参合有效"
	if e.Refused != "" {
		words = e.Refused
	}
	r := r4.CoverageEligibilityResponse{Id: &rid, Status: r4.FinancialResourceStatusCodesActive, Identifier: identifiers(sidCard+e.Source, e.Person.Card),
		Purpose: []r4.EligibilityResponsePurpose{r4.EligibilityResponsePurposeValidation}, Patient: patient, Created: e.At,
		Request: r4.Reference{Reference: ptr("CoverageEligibilityRequest/" + qid)}, Outcome: outcome, Disposition: &words, Insurer: insurer(e.Source),
		Insurance: []r4.CoverageEligibilityResponseInsurance{{Coverage: cover, Inforce: ptr(e.Refused == "")}}}
	return []tcm.Resource{{Type: "CoverageEligibilityRequest", ID: qid, Model: q}, {Type: "CoverageEligibilityResponse", ID: rid, Model: r}}
}
