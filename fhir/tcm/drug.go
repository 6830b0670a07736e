package tcm

import (
	"strconv"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
)

// DrugRequest is one drug of a western or patent prescription. Drugs of one
// prescription share No, which stands in groupIdentifier.
type DrugRequest struct {
	Visit
	VisitNo  string
	No       string
	Category string // Patent or WesternRx
	Total    string // money of the whole prescription
	Repeat   int    // 0; 1, 2 … when the same drug stands again on the prescription

	Cancelled bool

	Code, Name            string
	Quantity, Unit        string
	Price, Amount, Dosage string

	Specification  string
	Dose, DoseUnit string // of one administration
	Frequency      string // words
	Route, Form    Coding // CV06.00.102 用药途径, CV08.50.002 药物剂型
}

// ID is the MedicationRequest's resource id.
func (d DrugRequest) ID() string {
	key := d.Code
	if key == "" {
		key = d.Name
	}
	return ID(rxIDPrefix, d.OrgCode, d.VisitNo, d.No, key, strconv.Itoa(d.Repeat))
}

// Resources builds the MedicationRequest.
func (d DrugRequest) Resources() []Resource {
	id := d.ID()
	req := d.Visit.request(id, d.No, d.Category, d.Total)
	req.Status = requestStatus(d.Cancelled)
	req.MedicationCodeableConcept = conceptValue(d.Name, Coding{SystemOf("drug", d.OrgCode), d.Code, d.Name})
	req.Extension = append(req.Extension, moneyExt(ExtUnitPrice, d.Price)...)
	req.Extension = append(req.Extension, moneyExt(ExtAmount, d.Amount)...)
	req.Extension = append(req.Extension, specification(d.Specification)...)
	if d.Form.Code != "" {
		req.Extension = append(req.Extension, r4.Extension{Url: ExtDosageForm, ValueCoding: ptr(d.Form.model())})
	}
	req.DosageInstruction = dosage(d.Dosage, d.Frequency, d.Route, d.Dose, d.DoseUnit)
	if d.Quantity != "" {
		req.DispenseRequest = &r4.MedicationRequestDispenseRequest{Quantity: quantity(d.Quantity, d.Unit)}
	}
	return []Resource{{"MedicationRequest", id, req}}
}

// ReadDrugRequest reads one back. VisitNo and Repeat are not kept in it.
func ReadDrugRequest(n fhir.Node) DrugRequest {
	drug, q, how := n.Get("medicationCodeableConcept"), n.Path("dispenseRequest", "quantity"), n.Get("dosageInstruction").At(0)
	dose := how.Path("doseAndRate", "doseQuantity")
	return DrugRequest{Visit: requestVisit(n), No: n.Path("groupIdentifier", "value").Str(),
		Category: coded(n.Get("category").At(0), SystemCategory).Code, Total: moneyOf(n, ExtTotal),
		Cancelled: n.Get("status").Str() == "cancelled",
		Code:      drug.Path("coding", "code").Str(), Name: drug.Get("text").Str(),
		Quantity: q.Get("value").Str(), Unit: q.Get("unit").Str(),
		Price: moneyOf(n, ExtUnitPrice), Amount: moneyOf(n, ExtAmount), Dosage: how.Get("text").Str(),
		Specification: extension(n, ExtSpecification).Get("valueString").Str(), Dose: dose.Get("value").Str(), DoseUnit: dose.Get("unit").Str(),
		Frequency: how.Path("timing", "code", "text").Str(), Route: codingOf(how.Path("route", "coding").At(0)),
		Form: codingOf(extension(n, ExtDosageForm).Get("valueCoding"))}
}

// Drug is an entry of an organisation's drug dictionary (药品目录).
type Drug struct {
	OrgCode       string
	Code, Name    string
	Specification string
	Inactive      bool
}

// Resources builds the Medication.
func (d Drug) Resources() []Resource {
	id, status := DrugID(d.OrgCode, d.Code), "active"
	if d.Inactive {
		status = "inactive"
	}
	med := r4.Medication{Id: &id, Status: &status, Code: concept(d.Name, Coding{SystemOf("drug", d.OrgCode), d.Code, d.Name}),
		Identifier: identifier("", SystemOf("drug", d.OrgCode), d.Code)}
	med.Identifier[0].Assigner = orgRef(d.OrgCode, "")
	med.Extension = specification(d.Specification)
	return []Resource{{"Medication", id, med}}
}

// ReadDrug reads one back.
func ReadDrug(n fhir.Node) Drug {
	return Drug{OrgCode: n.Path("identifier", "assigner", "identifier", "value").Str(),
		Code: identified(n, Base+"/sid/drug/"), Name: n.Path("code", "text").Str(),
		Specification: extension(n, ExtSpecification).Get("valueString").Str(), Inactive: n.Get("status").Str() == "inactive"}
}
