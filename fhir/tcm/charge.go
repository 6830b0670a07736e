package tcm

import (
	"strconv"
	"strings"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// Charge is one line of a visit's bill.
type Charge struct {
	Visit
	VisitNo  string
	No       string // charge number of the HIS
	Repeat   int    // 0; 1, 2 … when several lines share No
	Name     string
	Category string // as the HIS says it
	Quantity string
	Price    string // per unit
	Amount   string // of the line
}

// chargeCategories finds a charge's code by words in what the HIS calls it, in
// this order: 中成药 must come before 成药-less words, 颗粒 before 饮片.
var chargeCategories = []struct {
	code, name string
	words      []string
}{
	{Granule, "中药配方颗粒", []string{"颗粒", "granule"}},
	{Patent, "中成药", []string{"成药", "patent"}},
	{Decoction, "中药饮片", []string{"饮片", "草药", "中药", "decoction", "herb"}},
	{WesternRx, "西药", []string{"西药", "western"}},
	{"registration", "挂号费", []string{"挂号", "registration"}},
	{"consultation", "诊查费", []string{"诊查", "诊察", "诊疗", "consultation"}},
	{"laboratory", "检验费", []string{"检验", "化验", "laboratory"}},
	{"examination", "检查费", []string{"检查", "放射", "超声", "examination"}},
	{"material", "材料费", []string{"材料", "耗材", "material"}},
	{"treatment", "治疗费", []string{"治疗", "针灸", "推拿", "艾灸", "拔罐", "理疗", "煎药", "treatment"}},
}

// ChargeCategory codes a charge by the HIS's own word for its category;
// "other" when nothing is recognised.
func ChargeCategory(category string) Coding {
	low := strings.ToLower(category)
	for _, c := range chargeCategories {
		for _, w := range c.words {
			if strings.Contains(low, w) {
				return Coding{SystemCharge, c.code, c.name}
			}
		}
	}
	return Coding{SystemCharge, "other", "其他"}
}

// ID is the ChargeItem's resource id.
func (c Charge) ID() string {
	return ID("chg", c.OrgCode, c.VisitNo, c.No, strconv.Itoa(c.Repeat))
}

// Resources builds the ChargeItem.
func (c Charge) Resources() []Resource {
	id := c.ID()
	return []Resource{{"ChargeItem", id, r4.ChargeItem{Id: &id, Status: r4.ChargeItemStatusBilled,
		Identifier: identifier("", SystemOf("charge", c.OrgCode), c.No),
		Code:       conceptValue(c.Category, ChargeCategory(c.Category)), ProductCodeableConcept: concept(c.Name),
		Subject: must(ref("Patient", c.PatientID, "")), Context: ref("Encounter", c.EncounterID, ""),
		OccurrenceDateTime: str(c.Time), PerformingOrganization: orgRef(c.OrgCode, ""),
		Quantity: quantity(c.Quantity, ""), PriceOverride: money(c.Amount), Extension: moneyExt(ExtUnitPrice, c.Price)}}}
}

// ReadCharge reads one back. VisitNo and Repeat are not kept in it.
func ReadCharge(n fhir.Node) Charge {
	c := Charge{Visit: visitOf(n), No: n.Path("identifier", "value").Str(), Name: n.Path("productCodeableConcept", "text").Str(),
		Category: n.Path("code", "text").Str(), Quantity: n.Path("quantity", "value").Str(),
		Price: moneyOf(n, ExtUnitPrice), Amount: n.Path("priceOverride", "value").Str()}
	c.OrgCode = n.Path("performingOrganization", "identifier", "value").Str()
	c.Time = n.Get("occurrenceDateTime").Str()
	return c
}
