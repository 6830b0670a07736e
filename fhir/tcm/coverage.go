package tcm

import (
	"strings"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Insurance is how a visit is paid: a code of CV07.10.005 医疗付费方式 where the
// words are understood, and the words as sent.
type Insurance struct {
	Coding Coding
	Text   string
}

// insuranceTypes maps what HIS systems say (words of the interface documents,
// 病人性质 of bsoft, 险种 codes of the national insurance platform) to CV07.10.005.
var insuranceTypes = map[string]string{
	"新农合": "03", "新型农村合作医疗": "03", "农合": "03", "合作医疗": "03", "6000": "03", "380": "03", "ncms": "03",
	"城乡居民": "02", "城乡居民医保": "02", "居民医保": "02", "城乡居民基本医疗保险": "02", "城镇居民基本医疗保险": "02", "390": "02",
	"医保": "01", "职工医保": "01", "城镇职工医保": "01", "职工基本医疗保险": "01", "城镇职工基本医疗保险": "01",
	"2000": "01", "3000": "01", "310": "01",
	"贫困救助": "04", "商业保险": "05", "商业医疗保险": "05", "公费": "06", "全公费": "06",
	"自费": "07", "全自费": "07", "1000": "07",
}

var insuranceNames = map[string]string{"01": "城镇职工基本医疗保险", "02": "城镇居民基本医疗保险", "03": "新型农村合作医疗",
	"04": "贫困救助", "05": "商业医疗保险", "06": "全公费", "07": "全自费", "08": "其他社会保险", "99": "其他"}

// InsuranceOf understands an insurance type as HIS systems write it. Unknown
// words are kept as text without a code.
func InsuranceOf(text string) Insurance {
	text = strings.TrimSpace(text)
	code, ok := insuranceTypes[strings.ToLower(text)]
	if !ok && insuranceNames[text] != "" {
		code = text
	}
	in := Insurance{Text: text}
	if code != "" {
		in.Coding = Coding{SystemPayment, code, insuranceNames[code]}
	}
	return in
}

// SelfPaid reports whether no insurer is involved.
func (i Insurance) SelfPaid() bool { return i.Coding.Code == "07" }

// Coverage is a patient's insurance of one type.
type Coverage struct {
	OrgCode   string
	PatientID string // resource id
	Insurance Insurance
}

// ID is the coverage's resource id: one per patient and type.
func (c Coverage) ID() string {
	key := c.Insurance.Coding.Code
	if key == "" {
		key = c.Insurance.Text
	}
	return ID("cov", c.PatientID, key)
}

// Resources builds the Coverage; nothing for self-paying and unknown patients.
func (c Coverage) Resources() []Resource {
	if c.Insurance == (Insurance{}) || c.Insurance.SelfPaid() {
		return nil
	}
	id, payor := c.ID(), c.Insurance.Coding.Display
	if payor == "" {
		payor = c.Insurance.Text
	}
	return []Resource{{"Coverage", id, r4.Coverage{Id: &id, Status: r4.FinancialResourceStatusCodesActive,
		Type:        concept(c.Insurance.Text, c.Insurance.Coding),
		Beneficiary: must(ref("Patient", c.PatientID, "")),
		Payor:       []r4.Reference{{Display: &payor}}}}}
}

// ReadCoverage reads one back; OrgCode is not kept in it.
func ReadCoverage(n fhir.Node) Coverage {
	return Coverage{PatientID: refID(n.Get("beneficiary"), "Patient"),
		Insurance: Insurance{Coding: coded(n.Get("type"), SystemPayment), Text: n.Path("type", "text").Str()}}
}
