// Package record is the shape of settlements in FHIR R4: one domain value per
// file with its builder and reader.
//
//	card             Coverage (identifier = card), Patient unless the hall knows one
//	eligibility      CoverageEligibilityRequest, CoverageEligibilityResponse
//	registration     Claim (identifier = djid); use preauthorization until settled, then claim
//	trial            ClaimResponse, use preauthorization
//	settlement       ExplanationOfBenefit (identifiers = bxid, invoice); cancelled when reversed
//	hall's own row   Invoice (NH_BSOFT_JSJL_MZ_DZ)
//	step under way   Task
//	reconciliation   PaymentReconciliation
//
// Every id derives from the source's name and the business key, so whoever
// learns of a settlement (facade, list, file, billing push) writes the same one.
package record

import (
	"encoding/json"
	"strings"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// Identifier and code systems; the numbers of one source get its name at the end.
const (
	sidCard       = tcm.Base + "/sid/ncms-card/"
	sidPerson     = tcm.Base + "/sid/ncms-person/"
	sidVisit      = tcm.Base + "/sid/ncms-registration/"
	sidSettlement = tcm.Base + "/sid/ncms-settlement/"
	sidInvoice    = tcm.Base + "/sid/ncms-invoice/"
	sidMatch      = tcm.Base + "/sid/ncms-match/" // FPHM|DJLSH
	sidCatalogue  = tcm.Base + "/sid/ncms-catalogue/"

	// SystemSum codes the sums sum01 … sum40.
	SystemSum = tcm.Base + "/CodeSystem/ncms-sum"
	// SystemMismatch codes the six kinds of mismatch.
	SystemMismatch = tcm.Base + "/CodeSystem/ncms-mismatch"
	// SystemStep codes the steps of a [Task].
	SystemStep = tcm.Base + "/CodeSystem/ncms-step"

	systemClaimType    = "http://terminology.hl7.org/CodeSystem/claim-type"
	systemPriority     = "http://terminology.hl7.org/CodeSystem/processpriority"
	systemAdjudication = "http://terminology.hl7.org/CodeSystem/adjudication"
)

func ptr[T any](v T) *T { return &v }

// str is nil for "".
func str(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func concept(text string, codings ...r4.Coding) r4.CodeableConcept {
	out := r4.CodeableConcept{Text: str(text)}
	for _, c := range codings {
		if c.Code != nil {
			out.Coding = append(out.Coding, c)
		}
	}
	return out
}

func coding(system, code, display string) r4.Coding {
	return r4.Coding{System: &system, Code: str(code), Display: str(display)}
}

// reference names a resource by id and by the number people know it by.
func reference(typ, id, system, value string) r4.Reference {
	out := r4.Reference{Reference: ptr(typ + "/" + id)}
	if value != "" {
		out.Identifier = &r4.Identifier{System: &system, Value: &value}
	}
	return out
}

// provider refers to a hall by its code at the scheme.
func provider(hospital string) r4.Reference {
	return reference("Organization", tcm.OrganizationID(hospital), tcm.SystemOrg, hospital)
}

// insurer names the centre: the scheme is no organisation of ours.
func insurer(source string) r4.Reference { return r4.Reference{Display: ptr("结算中心 " + source)} }

func identifiers(pairs ...string) []r4.Identifier {
	var out []r4.Identifier
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, r4.Identifier{System: &pairs[i], Value: &pairs[i+1]})
		}
	}
	return out
}

func money(m ncms.Money) *r4.Money {
	return &r4.Money{Value: ptr(json.Number(ncms.FormatMoney(m))), Currency: ptr("CNY")}
}

// amount reads a Money element; zero if there is none.
func amount(n fhir.Node) ncms.Money {
	m, _ := ncms.ParseMoney("value", n.Get("value").Str()) // as this package wrote it
	return m
}

// numbered returns the value of the identifier of one system.
func numbered(n fhir.Node, system string) string {
	for id := range n.Get("identifier").Each() {
		if strings.HasPrefix(id.Get("system").Str(), system) {
			return id.Get("value").Str()
		}
	}
	return ""
}

// id is the id in a literal reference to a resource of type typ, else "".
func id(n fhir.Node, typ string) string {
	out, ok := strings.CutPrefix(n.Get("reference").Str(), typ+"/")
	if !ok {
		return ""
	}
	return out
}
