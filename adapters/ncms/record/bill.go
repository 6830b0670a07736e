package record

import (
	"strconv"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// Bill is a hall's own record of a settlement: a row of NH_BSOFT_JSJL_MZ_DZ.
type Bill struct {
	Source   string
	ID       string // BXID
	Repeat   int    // 0; 1, 2 … when several rows of one message have the same key
	Serial   string // MZXH
	Invoice  string // FPHM
	Number   string // DJID
	Hospital string // JGID
	Card     string // ICKH
	At       string // JSRQ, FHIR dateTime
	Void     bool   // ZFPB
	Sums     ncms.Sums
}

// BillID is the id of the Invoice.
func (b Bill) BillID() string {
	return tcm.ID("inv", "ncms", b.Source, b.ID, b.Serial, b.Invoice, b.Number, strconv.Itoa(b.Repeat))
}

// Match is the key by which both sides find each other: FPHM + DJLSH.
func Match(invoice, number string) string { return invoice + "|" + number }

// Resources builds the Invoice.
func (b Bill) Resources() []tcm.Resource {
	bid, hall := b.BillID(), provider(b.Hospital)
	status := r4.InvoiceStatusIssued
	if b.Void {
		status = r4.InvoiceStatusCancelled
	}
	out := r4.Invoice{Id: &bid, Status: status, Identifier: identifiers(sidSettlement+b.Source, b.ID, sidInvoice+b.Source, b.Invoice,
		sidVisit+b.Source, b.Number, sidMatch+b.Source, Match(b.Invoice, b.Number), sidCard+b.Source, b.Card),
		Type: ptr(concept("新农合结算")), Date: str(b.At), Issuer: &hall}
	if b.Sums[ncms.SumTotal] != "" {
		out.TotalGross = sumMoney(b.Sums, ncms.SumTotal)
	}
	for _, k := range shown(b.Sums) {
		out.TotalPriceComponent = append(out.TotalPriceComponent, r4.InvoiceLineItemPriceComponent{Type: r4.InvoicePriceComponentTypeInformational, Code: ptr(category(k)), Amount: sumMoney(b.Sums, k)})
	}
	return []tcm.Resource{{Type: "Invoice", ID: bid, Model: out}}
}

// ReadBill reads one back.
func ReadBill(n fhir.Node, source string) Bill {
	b := Bill{Source: source, ID: numbered(n, sidSettlement), Invoice: numbered(n, sidInvoice), Number: numbered(n, sidVisit), Card: numbered(n, sidCard),
		Hospital: n.Path("issuer", "identifier", "value").Str(), At: n.Get("date").Str(), Void: n.Get("status").Str() == "cancelled", Sums: ncms.Sums{}}
	for p := range n.Get("totalPriceComponent").Each() {
		if k := p.Path("code", "coding", "code").Str(); k != "" {
			b.Sums[k] = p.Path("amount", "value").Str()
		}
	}
	return b
}

// MatchQuery finds the Invoices of one key.
func MatchQuery(source, invoice, number string) (system, value string) {
	return sidMatch + source, Match(invoice, number)
}
