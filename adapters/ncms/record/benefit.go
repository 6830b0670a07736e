package record

import (
	"encoding/json"
	"slices"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// standard are the adjudication codes of HL7 for the sums every settlement has.
var standard = map[string]string{ncms.SumTotal: "submitted", ncms.SumScheme: "benefit", ncms.SumPatient: "copay", "sum04": "eligible"}

// sumCount is the sum that counts instead of paying: 本年累计补偿次数.
const sumCount = "sum08"

func category(key string) r4.CodeableConcept {
	return concept(ncms.SumNames[key], coding(SystemSum, key, ncms.SumNames[key]), coding(systemAdjudication, standard[key], ""))
}

// shown lists the sums to keep, in order: the three always, others if not zero.
func shown(s ncms.Sums) []string {
	var out []string
	for k := range s {
		m, err := s.Money(k)
		if err == nil && k != sumCount && (!m.IsZero() || k == ncms.SumTotal || k == ncms.SumScheme || k == ncms.SumPatient) {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

func sumMoney(s ncms.Sums, key string) *r4.Money {
	m, _ := s.Money(key) // shown took only amounts
	return money(m)
}

// ReadSums reads the sums out of total[] and adjudication[].
func ReadSums(n fhir.Node) ncms.Sums {
	out := ncms.Sums{}
	for t := range n.Get("total").Each() {
		if k := t.Path("category", "coding", "code").Str(); k != "" {
			out[k] = t.Path("amount", "value").Str()
		}
	}
	for a := range n.Get("adjudication").Each() {
		if k := a.Path("category", "coding", "code").Str(); k != "" {
			out[k] = a.Get("value").Str()
		}
	}
	return out
}

// Trial is what the scheme would pay for a visit.
type Trial struct {
	Claim Claim
	Sums  ncms.Sums
	Note  string
	At    string
}

// TrialID is the id of a visit's latest ClaimResponse.
func TrialID(source, number string) string { return tcm.ID("trial", source, number) }

// Resources builds the ClaimResponse.
func (t Trial) Resources() []tcm.Resource {
	c := t.Claim
	tid := TrialID(c.Source, c.Number)
	hall := provider(c.Hospital)
	out := r4.ClaimResponse{Id: &tid, Status: r4.FinancialResourceStatusCodesActive, Use: r4.UsePreauthorization, Identifier: identifiers(sidVisit+c.Source, c.Number),
		Type: concept("", coding(systemClaimType, claimKinds[c.Inpatient], "")), Patient: reference("Patient", c.PatientID, sidPerson+c.Source, c.Person),
		Created: t.At, Insurer: insurer(c.Source), Requestor: &hall, Request: ptr(reference("Claim", c.ID(), sidVisit+c.Source, c.Number)),
		Outcome: r4.ClaimProcessingCodesComplete, Disposition: str(t.Note), PreAuthRef: str(c.Number)}
	for _, k := range shown(t.Sums) {
		out.Total = append(out.Total, r4.ClaimResponseTotal{Category: category(k), Amount: *sumMoney(t.Sums, k)})
	}
	if v := t.Sums[sumCount]; v != "" {
		out.Adjudication = []r4.ClaimResponseItemAdjudication{{Category: category(sumCount), Value: ptr(json.Number(v))}}
	}
	return []tcm.Resource{{Type: "ClaimResponse", ID: tid, Model: out}}
}

// Benefit is a settlement: what the scheme paid.
type Benefit struct {
	Source    string
	ID        string // bxid
	Invoice   string // fphm
	Number    string // djid
	Hospital  string
	Card      string
	Person    string
	PatientID string
	Inpatient bool
	Sums      ncms.Sums
	At        string // FHIR dateTime
	Cancelled bool
	Note      string // what a person should look at
	Trialled  bool   // there is a ClaimResponse
	Teller    string // who told: centre | hospital | file
	Diagnoses []ncms.Diagnosis
}

// The tellers of a settlement, the most trusted first.
const (
	ByCentre   = "centre"
	ByFile     = "file"
	ByHospital = "hospital"
)

// BenefitID is the id of a settlement's ExplanationOfBenefit.
func BenefitID(source, id string) string { return tcm.ID("eob", source, id) }

const tellerURI = tcm.Base + "/ncms-teller/"

// Resources builds the ExplanationOfBenefit.
func (b Benefit) Resources() []tcm.Resource {
	eid, hall := BenefitID(b.Source, b.ID), provider(b.Hospital)
	status := r4.ExplanationOfBenefitStatusActive
	if b.Cancelled {
		status = r4.ExplanationOfBenefitStatusCancelled
	}
	out := r4.ExplanationOfBenefit{Id: &eid, Meta: &r4.Meta{Source: ptr(tellerURI + b.Teller)}, Status: status, Use: r4.UseClaim,
		Identifier: identifiers(sidSettlement+b.Source, b.ID, sidInvoice+b.Source, b.Invoice),
		Type:       concept("", coding(systemClaimType, claimKinds[b.Inpatient], "")), Patient: reference("Patient", b.PatientID, sidPerson+b.Source, b.Person),
		Created: b.At, Insurer: insurer(b.Source), Provider: hall, Outcome: r4.ClaimProcessingCodesComplete,
		Insurance: []r4.ExplanationOfBenefitInsurance{{Focal: true, Coverage: reference("Coverage", CoverageID(b.Source, b.Card), sidCard+b.Source, b.Card)}}}
	if b.Number != "" {
		out.Claim = ptr(reference("Claim", ClaimID(b.Source, b.Number), sidVisit+b.Source, b.Number))
		if b.Trialled {
			out.ClaimResponse = &r4.Reference{Reference: ptr("ClaimResponse/" + TrialID(b.Source, b.Number))}
		}
	}
	for _, k := range shown(b.Sums) {
		out.Total = append(out.Total, r4.ExplanationOfBenefitTotal{Category: category(k), Amount: *sumMoney(b.Sums, k)})
	}
	if v := b.Sums[sumCount]; v != "" {
		out.Adjudication = []r4.ExplanationOfBenefitItemAdjudication{{Category: category(sumCount), Value: ptr(json.Number(v))}}
	}
	if b.Sums[ncms.SumScheme] != "" {
		out.Payment = &r4.ExplanationOfBenefitPayment{Amount: sumMoney(b.Sums, ncms.SumScheme)}
		if len(b.At) >= 10 {
			out.Payment.Date = ptr(b.At[:10])
		}
	}
	for i, d := range b.Diagnoses {
		out.Diagnosis = append(out.Diagnosis, r4.ExplanationOfBenefitDiagnosis{Sequence: i + 1, DiagnosisCodeableConcept: concept(d.Name, diagnosisCoding(d)),
			Type: []r4.CodeableConcept{concept("", coding(tcm.SystemDiagnosisKind, diagnosisKinds[d.Kind], ""))}})
	}
	if b.Note != "" {
		out.ProcessNote = []r4.ExplanationOfBenefitProcessNote{{Number: ptr(1), Text: &b.Note}}
	}
	return []tcm.Resource{{Type: "ExplanationOfBenefit", ID: eid, Model: out}}
}

// ReadBenefit reads one back.
func ReadBenefit(n fhir.Node, source string) Benefit {
	teller := n.Path("meta", "source").Str()
	if len(teller) > len(tellerURI) {
		teller = teller[len(tellerURI):]
	}
	return Benefit{Source: source, ID: numbered(n, sidSettlement), Invoice: numbered(n, sidInvoice), Number: n.Path("claim", "identifier", "value").Str(),
		Hospital: n.Path("provider", "identifier", "value").Str(), Card: n.Path("insurance", "coverage", "identifier", "value").Str(),
		Person: n.Path("patient", "identifier", "value").Str(), PatientID: id(n.Get("patient"), "Patient"),
		Inpatient: n.Path("type", "coding", "code").Str() == claimKinds[true], Sums: ReadSums(n), At: n.Get("created").Str(),
		Cancelled: n.Get("status").Str() == "cancelled", Note: n.Path("processNote", "text").Str(), Trialled: n.Get("claimResponse").Exists(), Teller: teller}
}
