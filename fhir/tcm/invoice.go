package tcm

import (
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Invoice is the bill of a visit (门诊发票): its number (FPHM), the account it
// is charged to, and its lines.
type Invoice struct {
	Visit
	No        string   // 发票号码
	ChargeIDs []string // ChargeItems
	Total     string   // money, decimal text
	Coverage  string   // Coverage id, "" = self-paid
}

// ID is the Invoice's resource id.
func (i Invoice) ID() string { return ID("inv", i.OrgCode, i.No) }

// AccountID is the id of the Account of the visit.
func (i Invoice) AccountID() string { return ID("acc", i.EncounterID) }

// Resources builds the Account and the Invoice.
func (i Invoice) Resources() []Resource {
	id, account := i.ID(), i.AccountID()
	subject := ref("Patient", i.PatientID, "")
	acc := r4.Account{Id: &account, Status: r4.AccountStatusActive, Type: concept("门诊"), Owner: orgRef(i.OrgCode, "")}
	if subject != nil {
		acc.Subject = []r4.Reference{*subject}
	}
	if c := ref("Coverage", i.Coverage, ""); c != nil {
		acc.Coverage = []r4.AccountCoverage{{Coverage: *c}}
	}
	inv := r4.Invoice{Id: &id, Status: r4.InvoiceStatusBalanced, Identifier: identifier("", SystemOf("invoice", i.OrgCode), i.No), Subject: subject, Date: str(i.Time),
		Issuer: orgRef(i.OrgCode, ""), Account: ref("Account", account, ""), TotalNet: money(i.Total)}
	for n, c := range i.ChargeIDs {
		inv.LineItem = append(inv.LineItem, r4.InvoiceLineItem{Sequence: ptr(n + 1), ChargeItemReference: must(ref("ChargeItem", c, ""))})
	}
	return []Resource{{"Account", account, acc}, {"Invoice", id, inv}}
}

// ReadInvoice reads one back from its two resources. EncounterID and DoctorID
// are not kept in them.
func ReadInvoice(account, invoice fhir.Node) Invoice {
	i := Invoice{Visit: visitOf(invoice), No: identified(invoice, Base+"/sid/invoice/"), Total: invoice.Path("totalNet", "value").Str(),
		Coverage: refID(account.Path("coverage", "coverage"), "Coverage")}
	i.OrgCode, i.Time = invoice.Path("issuer", "identifier", "value").Str(), invoice.Get("date").Str()
	for l := range invoice.Get("lineItem").Children() {
		i.ChargeIDs = append(i.ChargeIDs, refID(l.Get("chargeItemReference"), "ChargeItem"))
	}
	return i
}
