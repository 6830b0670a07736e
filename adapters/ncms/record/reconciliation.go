package record

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// Mismatch is a kind of difference between the centre's list and a hall's rows.
type Mismatch string

// The six kinds.
const (
	VoidAtCentreOnly Mismatch = "1"
	MissingAtHall    Mismatch = "2"
	VoidTwiceAtHall  Mismatch = "3"
	PaidTwiceAtHall  Mismatch = "4"
	PaidDiffers      Mismatch = "5"
	TotalDiffers     Mismatch = "6"
)

// MismatchNames are the words of the interface.
var MismatchNames = map[Mismatch]string{VoidAtCentreOnly: "农合作废医院没作废", MissingAtHall: "农合报销医院无记录", VoidTwiceAtHall: "农合作废医院多条作废",
	PaidTwiceAtHall: "农合报销医院多条报销", PaidDiffers: "报销金额不匹配", TotalDiffers: "总金额不匹配"}

// Finding is one mismatch.
type Finding struct {
	Kind  Mismatch
	Entry ncms.Entry // as the centre has it
	Bill  *Bill      // the hall's row, if there is exactly one
}

// Reconciliation compares the centre's list of some days with a hall's rows.
type Reconciliation struct {
	Source   string
	Hospital string
	From, To string // YYYY-MM-DD
	At       string // FHIR dateTime
	Compared int    // entries of the centre
	Paid     ncms.Money
	Findings []Finding
	Orphans  []string // bxid of rows that the centre does not list
}

// ID is the resource id: doing it again for the same days replaces it.
func (r Reconciliation) ID() string {
	return tcm.ID("recon", "ncms", r.Source, r.Hospital, r.From, r.To)
}

// Resources builds the PaymentReconciliation.
func (r Reconciliation) Resources() []tcm.Resource {
	rid, hall, issuer := r.ID(), provider(r.Hospital), insurer(r.Source)
	outcome, words := r4.ClaimProcessingCodesComplete, "平账"
	if len(r.Findings) > 0 || len(r.Orphans) > 0 {
		words = "有差异"
	}
	out := r4.PaymentReconciliation{Id: &rid, Status: r4.FinancialResourceStatusCodesActive, Identifier: identifiers(sidMatch+r.Source, r.Hospital+"|"+r.From+"|"+r.To),
		Period: &r4.Period{Start: &r.From, End: &r.To}, Created: r.At, PaymentIssuer: &issuer, Requestor: &hall, Outcome: &outcome, Disposition: &words,
		PaymentDate: r.To, PaymentAmount: *money(r.Paid)}
	for _, f := range r.Findings {
		out.Detail = append(out.Detail, r.detail(f, hall))
	}
	for _, o := range r.Orphans {
		out.ProcessNote = append(out.ProcessNote, r4.PaymentReconciliationProcessNote{Type: ptr(r4.NoteTypeDisplay), Text: ptr("医院有结算、中心无记录：" + o)})
	}
	return []tcm.Resource{{Type: "PaymentReconciliation", ID: rid, Model: out}}
}

func (r Reconciliation) detail(f Finding, hall r4.Reference) r4.PaymentReconciliationDetail {
	e, name := f.Entry, MismatchNames[f.Kind]
	d := r4.PaymentReconciliationDetail{Identifier: &r4.Identifier{System: ptr(sidSettlement + r.Source), Value: str(e.ID)}, Type: concept(name, coding(SystemMismatch, string(f.Kind), name)),
		Submitter: &hall, Response: ptr(reference("ExplanationOfBenefit", BenefitID(r.Source, e.ID), sidSettlement+r.Source, e.ID)), Amount: money(e.Paid)}
	if f.Kind == TotalDiffers {
		d.Amount = money(e.Total)
	}
	if e.Visit != "" {
		d.Request = ptr(reference("Claim", ClaimID(r.Source, e.Visit), sidVisit+r.Source, e.Visit))
	}
	if len(e.Time) >= 10 {
		d.Date = ptr(e.Time[:10])
	}
	return d
}
