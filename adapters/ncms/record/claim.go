package record

import (
	"encoding/json"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// Claim is a visit registered at the centre with its bill.
type Claim struct {
	Source    string
	Hospital  string
	Number    string // djid
	Card      string
	Person    string // grbh
	PatientID string
	Year      string
	Date      string // YYYY-MM-DD
	Inpatient bool
	StayNo    string
	VisitNo   string
	Insurance string
	Diagnoses []ncms.Diagnosis
	Items     []ncms.Item
	Settled   bool // use claim, else preauthorization
	Cancelled bool
}

// ClaimID is the id of a registration's Claim.
func ClaimID(source, number string) string { return tcm.ID("claim", source, number) }

// ID is the Claim's resource id.
func (c Claim) ID() string { return ClaimID(c.Source, c.Number) }

// Total is the sum of the items.
func (c Claim) Total() ncms.Money {
	var sum ncms.Money
	for _, i := range c.Items {
		sum = sum.Add(i.Amount)
	}
	return sum
}

// diagnosisSystems are the code systems by kind: western, TCM disease, syndrome.
func diagnosisCoding(d ncms.Diagnosis) r4.Coding {
	system, ok := tcm.CodingSystem(d.Code, d.Kind == "" || d.Kind == "1")
	if !ok {
		system = sidCatalogue + "diseases"
	}
	return coding(system, d.Code, d.Name)
}

var claimKinds = map[bool]string{false: "professional", true: "institutional"}

// Resources builds the Claim.
func (c Claim) Resources() []tcm.Resource {
	cid := c.ID()
	out := r4.Claim{Id: &cid, Status: r4.FinancialResourceStatusCodesActive, Use: r4.UsePreauthorization,
		Identifier: identifiers(sidVisit+c.Source, c.Number), Type: concept("", coding(systemClaimType, claimKinds[c.Inpatient], "")),
		Patient: reference("Patient", c.PatientID, sidPerson+c.Source, c.Person), Created: c.Date, Insurer: ptr(insurer(c.Source)), Provider: provider(c.Hospital),
		Priority: concept("", coding(systemPriority, "normal", "")),
		Insurance: []r4.ClaimInsurance{{Sequence: 1, Focal: true, Coverage: reference("Coverage", CoverageID(c.Source, c.Card), sidCard+c.Source, c.Card),
			BusinessArrangement: str(c.Insurance)}}}
	if c.Settled {
		out.Use = r4.UseClaim
	}
	if c.Cancelled {
		out.Status = r4.FinancialResourceStatusCodesCancelled
	}
	if c.VisitNo != "" {
		out.SupportingInfo = append(out.SupportingInfo, r4.ClaimSupportingInfo{Sequence: 1, Category: concept("门诊号"), ValueString: &c.VisitNo})
	}
	if c.StayNo != "" {
		out.SupportingInfo = append(out.SupportingInfo, r4.ClaimSupportingInfo{Sequence: len(out.SupportingInfo) + 1, Category: concept("住院号"), ValueString: &c.StayNo})
	}
	for i, d := range c.Diagnoses {
		out.Diagnosis = append(out.Diagnosis, r4.ClaimDiagnosis{Sequence: i + 1, DiagnosisCodeableConcept: concept(d.Name, diagnosisCoding(d)),
			Type: []r4.CodeableConcept{concept("", coding(tcm.SystemDiagnosisKind, diagnosisKinds[d.Kind], ""))}})
	}
	for i, item := range c.Items {
		out.Item = append(out.Item, c.item(i+1, item))
	}
	if len(c.Items) > 0 {
		out.Total = money(c.Total())
	}
	return []tcm.Resource{{Type: "Claim", ID: cid, Model: out}}
}

var diagnosisKinds = map[string]string{"": "western", "1": "western", "2": "tcm-disease", "3": "tcm-syndrome"}

func (c Claim) item(n int, i ncms.Item) r4.ClaimItem {
	out := r4.ClaimItem{Sequence: n, Net: money(i.Amount),
		ProductOrService: concept(i.Name, coding(sidCatalogue+c.Source, i.SchemeCode, i.SchemeName), coding(tcm.SystemOf("drug", c.Hospital), i.Code, i.Name)),
		Category:         ptr(concept(map[bool]string{true: "药品", false: "诊疗"}[i.Drug]))}
	if len(i.Date) >= 10 {
		out.ServicedDate = ptr(i.Date[:10])
	}
	if q, err := ncms.ParseMoney("quantity", i.Quantity); err == nil && i.Quantity != "" {
		out.Quantity = &r4.Quantity{Value: ptr(json.Number(q.String())), Unit: str(i.Unit)}
	}
	if p, err := ncms.ParseMoney("price", i.Price); err == nil && i.Price != "" {
		out.UnitPrice = &r4.Money{Value: ptr(json.Number(p.String())), Currency: ptr("CNY")}
	}
	if f, err := ncms.ParseMoney("doses", i.Doses); err == nil && i.Doses != "" {
		out.Factor = ptr(json.Number(f.String()))
	}
	return out
}

// ReadClaim reads one back, with what a later step needs: of the items amounts,
// codes and names.
func ReadClaim(n fhir.Node, source string) Claim {
	c := Claim{Source: source, Number: numbered(n, sidVisit), Hospital: n.Path("provider", "identifier", "value").Str(),
		PatientID: id(n.Get("patient"), "Patient"), Person: n.Path("patient", "identifier", "value").Str(), Date: n.Get("created").Str(),
		Card: n.Path("insurance", "coverage", "identifier", "value").Str(), Insurance: n.Path("insurance", "businessArrangement").Str(),
		Inpatient: n.Path("type", "coding", "code").Str() == claimKinds[true], Settled: n.Get("use").Str() == "claim", Cancelled: n.Get("status").Str() == "cancelled"}
	if len(c.Date) >= 4 {
		c.Year = c.Date[:4]
	}
	for s := range n.Get("supportingInfo").Each() {
		switch s.Path("category", "text").Str() {
		case "门诊号":
			c.VisitNo = s.Get("valueString").Str()
		case "住院号":
			c.StayNo = s.Get("valueString").Str()
		}
	}
	for d := range n.Get("diagnosis").Each() {
		kind := "1"
		for k, v := range diagnosisKinds {
			if k != "" && v == d.Path("type", "coding", "code").Str() {
				kind = k
			}
		}
		cc := d.Get("diagnosisCodeableConcept")
		c.Diagnoses = append(c.Diagnoses, ncms.Diagnosis{Kind: kind, Code: cc.Path("coding", "code").Str(), Name: cc.Get("text").Str()})
	}
	for i := range n.Get("item").Each() {
		c.Items = append(c.Items, readItem(i))
	}
	return c
}

func readItem(n fhir.Node) ncms.Item {
	i := ncms.Item{Name: n.Path("productOrService", "text").Str(), Drug: n.Path("category", "text").Str() == "药品", Amount: amount(n.Get("net")),
		Quantity: n.Path("quantity", "value").Str(), Unit: n.Path("quantity", "unit").Str(), Price: n.Path("unitPrice", "value").Str(),
		Doses: n.Get("factor").Str(), Date: n.Get("servicedDate").Str()}
	for c := range n.Path("productOrService", "coding").Each() {
		if len(c.Get("system").Str()) > len(sidCatalogue) && c.Get("system").Str()[:len(sidCatalogue)] == sidCatalogue {
			i.SchemeCode, i.SchemeName = c.Get("code").Str(), c.Get("display").Str()
		} else {
			i.Code = c.Get("code").Str()
		}
	}
	return i
}
