package tcm

import (
	"strings"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// The categories of a prescription, codes of [SystemCategory].
const (
	Decoction  = "decoction" // 中药饮片
	Granule    = "granule"   // 中药配方颗粒
	Paste      = "paste"     // 膏方
	Agreed     = "agreed"    // 协定方
	Patent     = "patent"    // 中成药
	WesternRx  = "western"   // 西药
	doseUnit   = "剂"
	rxIDPrefix = "rx"
)

var categoryNames = map[string]string{Decoction: "中药饮片", Granule: "中药配方颗粒", Paste: "膏方", Agreed: "协定方", Patent: "中成药", WesternRx: "西药"}

// HerbalPrescription is one 中药处方 (饮片 or 颗粒). It becomes a
// MedicationRequest and a Medication that share their id, so that a view of the
// ingredients needs no join to name its prescription.
type HerbalPrescription struct {
	Visit
	VisitNo   string
	No        string
	Category  string   // Decoction or Granule
	Formula   string   // 方名, may be ""
	Origin    Coding   // 所据方剂: a code of SZJG/T 38.2 or of the 伤寒论
	Doses     string   // 剂数, decimal text
	Usage     string   // 煎服法, words
	Frequency string   // words
	Route     Coding   // 用药途径, CV06.00.102
	Form      Coding   // 药物剂型, CV08.50.002
	Amount    string   // money of the whole prescription, decimal text
	Reasons   []string // Condition ids: 病名, 证候
	Cancelled bool
	Brewed    bool // 代煎: the pharmacy decocts
	Items     []Ingredient
}

// Ingredient is one herb of a prescription. Numbers are decimal text, "" = not said.
type Ingredient struct {
	Code, Name string // local drug code and name
	Dose       string // per dose
	Unit       string // of Dose and Quantity, "g"
	Quantity   string // total
	Price      string // per unit
	Amount     string // money of the line
	Note       string // 脚注: 先煎, 后下, 擘 …
	Processing string // 炮制
	Role       string // 君臣佐使: a code of [SystemRole]

	Specification string // 规格
}

// ID is the id of the MedicationRequest and of its Medication.
func (p HerbalPrescription) ID() string { return ID(rxIDPrefix, p.OrgCode, p.VisitNo, p.No) }

// Resources builds the MedicationRequest and the Medication.
func (p HerbalPrescription) Resources() []Resource {
	id := p.ID()
	req := p.Visit.request(id, p.No, p.Category, p.Amount)
	req.Status = requestStatus(p.Cancelled)
	req.MedicationReference = must(ref("Medication", id, p.Formula))
	if p.Usage != "" {
		req.Extension = append(req.Extension, r4.Extension{Url: ExtDecoction, ValueString: &p.Usage})
	}
	if p.Brewed {
		req.Extension = append(req.Extension, r4.Extension{Url: ExtBrewed, ValueBoolean: &p.Brewed})
	}
	if c := concept(p.Origin.Display, p.Origin); c != nil {
		req.Extension = append(req.Extension, r4.Extension{Url: ExtFormula, ValueCodeableConcept: c})
	}
	for _, id := range p.Reasons {
		req.ReasonReference = append(req.ReasonReference, must(ref("Condition", id, "")))
	}
	req.DosageInstruction = dosage(p.Usage, p.Frequency, p.Route, "", "")
	if p.Doses != "" {
		req.DispenseRequest = &r4.MedicationRequestDispenseRequest{Quantity: quantity(p.Doses, doseUnit)}
	}
	med := r4.Medication{Id: &id, Status: ptr("active"), Code: concept(p.Formula), Form: concept(categoryNames[p.Category], p.Form),
		Identifier: identifier("", SystemOf("prescription", p.OrgCode), p.No)}
	if med.Code == nil {
		med.Code = concept(categoryNames[p.Category] + "处方")
	}
	for _, it := range p.Items {
		med.Ingredient = append(med.Ingredient, it.model(p.OrgCode))
	}
	return []Resource{{"MedicationRequest", id, req}, {"Medication", id, med}}
}

// dosage is nil when nothing is said.
func dosage(text, frequency string, route Coding, dose, unit string) []r4.Dosage {
	d := r4.Dosage{Text: str(text), Route: concept("", route)}
	if frequency != "" {
		d.Timing = &r4.Timing{Code: concept(frequency)}
	}
	if q := quantity(dose, unit); q != nil {
		d.DoseAndRate = []r4.DosageDoseAndRate{{DoseQuantity: q}}
	}
	if d.Text == nil && d.Route == nil && d.Timing == nil && d.DoseAndRate == nil {
		return nil
	}
	return []r4.Dosage{d}
}

func requestStatus(cancelled bool) string {
	if cancelled {
		return "cancelled"
	}
	return "active"
}

// request is what herbal and other prescriptions have in common.
func (v Visit) request(id, no, category, total string) r4.MedicationRequest {
	group := identifier("", SystemOf("prescription", v.OrgCode), no)
	group[0].Assigner = orgRef(v.OrgCode, "")
	return r4.MedicationRequest{Id: &id, Status: "active", Intent: "order",
		Category: []r4.CodeableConcept{conceptValue("", Coding{SystemCategory, category, categoryNames[category]})},
		Subject:  must(ref("Patient", v.PatientID, "")), Encounter: ref("Encounter", v.EncounterID, ""),
		AuthoredOn: str(v.Time), Requester: ref("Practitioner", v.DoctorID, ""), GroupIdentifier: &group[0],
		Extension: moneyExt(ExtTotal, total)}
}

func (it Ingredient) model(orgCode string) r4.MedicationIngredient {
	out := r4.MedicationIngredient{ItemCodeableConcept: conceptValue(it.Name, Coding{SystemOf("drug", orgCode), it.Code, it.Name})}
	if it.Dose != "" {
		out.Strength = &r4.Ratio{Numerator: quantity(it.Dose, it.Unit), Denominator: quantity("1", doseUnit)}
	}
	if it.Note != "" {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtFootnote, ValueString: &it.Note})
		for _, m := range DecoctionMethods(it.Note) {
			out.Extension = append(out.Extension, r4.Extension{Url: ExtDecoctionMethod, ValueCoding: ptr(m.model())})
		}
	}
	if it.Processing != "" {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtProcessing, ValueString: &it.Processing})
	}
	if it.Role != "" {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtRole, ValueCoding: ptr(Coding{SystemRole, it.Role, roleNames[it.Role]}.model())})
	}
	if it.Quantity != "" {
		out.Extension = append(out.Extension, r4.Extension{Url: ExtTotalQuantity, ValueQuantity: quantity(it.Quantity, it.Unit)})
	}
	out.Extension = append(out.Extension, moneyExt(ExtUnitPrice, it.Price)...)
	out.Extension = append(out.Extension, moneyExt(ExtAmount, it.Amount)...)
	out.Extension = append(out.Extension, specification(it.Specification)...)
	return out
}

func specification(text string) []r4.Extension {
	if text == "" {
		return nil
	}
	return []r4.Extension{{Url: ExtSpecification, ValueString: &text}}
}

// roleNames are 君臣佐使, codes of [SystemRole].
var roleNames = map[string]string{"jun": "君", "chen": "臣", "zuo": "佐", "shi": "使"}

// decoctionMethods is table LOCAL.decoction: no national coded list exists.
var decoctionMethods = []Coding{
	{SystemDecoction, "1", "先煎"}, {SystemDecoction, "2", "后下"}, {SystemDecoction, "3", "包煎"},
	{SystemDecoction, "4", "另煎"}, {SystemDecoction, "5", "烊化"}, {SystemDecoction, "6", "冲服"},
	{SystemDecoction, "7", "兑服"}, {SystemDecoction, "8", "捣碎"}, {SystemDecoction, "9", "煎汤代水"},
	{SystemDecoction, "10", "久煎"}, {SystemDecoction, "11", "研末吞服"}, {SystemDecoction, "12", "泡服"},
	{SystemDecoction, "13", "外用"}, {SystemDecoction, "14", "炖服"},
}

// DecoctionMethods finds the coded methods named in a footnote.
func DecoctionMethods(note string) []Coding {
	var out []Coding
	for _, m := range decoctionMethods {
		if strings.Contains(note, m.Display) {
			out = append(out, m)
		}
	}
	return out
}

// ReadHerbalPrescription reads one back from its two resources. VisitNo is not
// kept in them.
func ReadHerbalPrescription(request, medication fhir.Node) HerbalPrescription {
	p := HerbalPrescription{Visit: requestVisit(request), No: request.Path("groupIdentifier", "value").Str(),
		Category:  coded(request.Get("category").At(0), SystemCategory).Code,
		Formula:   request.Path("medicationReference", "display").Str(),
		Doses:     request.Path("dispenseRequest", "quantity", "value").Str(),
		Usage:     extension(request, ExtDecoction).Get("valueString").Str(),
		Frequency: request.Path("dosageInstruction", "timing", "code", "text").Str(),
		Amount:    moneyOf(request, ExtTotal), Cancelled: request.Get("status").Str() == "cancelled",
		Brewed: extension(request, ExtBrewed).Get("valueBoolean").Str() == "true",
		Origin: codingOf(extension(request, ExtFormula).Path("valueCodeableConcept", "coding").At(0)),
		Route:  codingOf(request.Path("dosageInstruction", "route", "coding").At(0)),
		Form:   codingOf(medication.Path("form", "coding").At(0))}
	for r := range request.Get("reasonReference").Children() {
		p.Reasons = append(p.Reasons, refID(r, "Condition"))
	}
	for in := range medication.Get("ingredient").Children() {
		p.Items = append(p.Items, readIngredient(in))
	}
	return p
}

func requestVisit(n fhir.Node) Visit {
	v := visitOf(n)
	v.OrgCode = n.Path("groupIdentifier", "assigner", "identifier", "value").Str()
	v.Time = n.Get("authoredOn").Str()
	v.DoctorID = refID(n.Get("requester"), "Practitioner")
	return v
}

func readIngredient(n fhir.Node) Ingredient {
	item := n.Get("itemCodeableConcept")
	it := Ingredient{Code: item.Path("coding", "code").Str(), Name: item.Get("text").Str(),
		Dose: n.Path("strength", "numerator", "value").Str(), Unit: n.Path("strength", "numerator", "unit").Str(),
		Quantity: extension(n, ExtTotalQuantity).Path("valueQuantity", "value").Str(),
		Price:    moneyOf(n, ExtUnitPrice), Amount: moneyOf(n, ExtAmount),
		Note: extension(n, ExtFootnote).Get("valueString").Str(), Processing: extension(n, ExtProcessing).Get("valueString").Str(),
		Role: extension(n, ExtRole).Path("valueCoding", "code").Str(), Specification: extension(n, ExtSpecification).Get("valueString").Str()}
	if it.Unit == "" {
		it.Unit = extension(n, ExtTotalQuantity).Path("valueQuantity", "unit").Str()
	}
	return it
}
