package his

import (
	"iter"
	"time"
)

// Document is one visit as a township HIS tells it (POST /ingest/his). The
// struct is the one description of the format: the decoder and the published
// JSON Schema both read its tags.
//
//	json  member name
//	need  "key" = required; the value may not be empty
//	doc   what it is, shown in the schema
//
// Numbers may come as JSON numbers or as text; null, "" and the text "null" mean
// absent; members we do not know are ignored with a warning.
type Document struct {
	OrgCode   string    `json:"orgCode" need:"key" doc:"机构编码"`
	OrgName   string    `json:"orgName" doc:"机构名称"`
	VisitNo   string    `json:"visitNo" need:"key" doc:"就诊序号（JZXH），机构内唯一"`
	VisitTime Moment    `json:"visitTime" need:"key" doc:"就诊时间"`
	VisitType VisitType `json:"visitType" doc:"first 初诊 | return 复诊"`
	Doctor    Doctor    `json:"doctor" doc:"接诊医师"`
	Patient   Patient   `json:"patient" need:"key" doc:"患者"`

	Diagnoses  []Diagnosis           `json:"diagnoses" doc:"诊断，第一条为主诊断"`
	Record     Record                `json:"record" doc:"门诊病历文本"`
	Four       FourExaminations      `json:"fourExaminations" doc:"四诊"`
	Herbal     []HerbalPrescription  `json:"herbalPrescriptions" doc:"中药处方（饮片、颗粒）"`
	WesternRx  []WesternPrescription `json:"westernPrescriptions" doc:"西药、中成药处方"`
	Treatments []Treatment           `json:"treatments" doc:"中医技术等非药物治疗"`
	Charges    []Charge              `json:"charges" doc:"费用明细"`
}

// times are the times told of the visit's parts; a part without one is left out.
func (d *Document) times() iter.Seq[Moment] {
	return func(yield func(Moment) bool) {
		told := func(t Moment) bool { return t.IsZero() || yield(t) }
		for _, p := range d.Herbal {
			if !told(p.Time) {
				return
			}
		}
		for _, p := range d.WesternRx {
			if !told(p.Time) {
				return
			}
		}
		for _, c := range d.Charges {
			if !told(c.Time) {
				return
			}
		}
	}
}

// Doctor is the doctor seen.
type Doctor struct {
	ID   string `json:"id" doc:"工号"`
	Name string `json:"name" doc:"姓名"`
}

// Patient is the person seen.
type Patient struct {
	ID            string `json:"id" need:"key" doc:"HIS 患者编号（BRID），机构内唯一"`
	Name          string `json:"name" doc:"姓名"`
	Gender        Gender `json:"gender" doc:"male | female | other | unknown；也接受 男、女、M、F 与 GB/T 2261.1 代码"`
	BirthDate     Day    `json:"birthDate" doc:"出生日期"`
	IDNo          string `json:"idNo" doc:"居民身份证号，可缺"`
	Phone         string `json:"phone" doc:"联系电话"`
	Address       string `json:"address" doc:"住址"`
	InsuranceType string `json:"insuranceType" doc:"医疗付费方式：新农合、城乡居民、职工医保、自费…"`
}

// Diagnosis is a TCM disease with its syndrome, a western disease, or both.
type Diagnosis struct {
	DiseaseCode  string `json:"diseaseCode" doc:"中医病名代码，GB/T 15657（1995 或 2021 版）"`
	DiseaseName  string `json:"diseaseName" doc:"中医病名"`
	SyndromeCode string `json:"syndromeCode" doc:"证候代码，GB/T 15657"`
	SyndromeName string `json:"syndromeName" doc:"证候名称"`
	ICD10        string `json:"icd10" doc:"ICD-10 代码"`
	Name         string `json:"name" doc:"西医诊断名称"`
}

// Record is the text of the outpatient record.
type Record struct {
	ChiefComplaint  string `json:"chiefComplaint" doc:"主诉"`
	PresentIllness  string `json:"presentIllness" doc:"现病史"`
	PastHistory     string `json:"pastHistory" doc:"既往史"`
	AllergyHistory  string `json:"allergyHistory" doc:"过敏史"`
	PersonalHistory string `json:"personalHistory" doc:"个人史"`
	FamilyHistory   string `json:"familyHistory" doc:"家族史"`
	PhysicalExam    string `json:"physicalExam" doc:"体格检查"`
	Advice          string `json:"advice" doc:"医嘱与建议"`
}

// FourExaminations is 四诊 in the doctor's words.
type FourExaminations struct {
	Inspection string `json:"inspection" doc:"望诊"`
	Listening  string `json:"listening" doc:"闻诊"`
	Inquiry    string `json:"inquiry" doc:"问诊"`
	Palpation  string `json:"palpation" doc:"切诊"`
	Tongue     string `json:"tongue" doc:"舌象"`
	Pulse      string `json:"pulse" doc:"脉象"`
}

// HerbalPrescription is one 中药处方.
type HerbalPrescription struct {
	No        string     `json:"no" need:"key" doc:"处方号"`
	Time      Moment     `json:"time" doc:"开方时间，缺省为就诊时间"`
	Type      HerbalKind `json:"type" doc:"decoction 饮片 | granule 颗粒；缺省按药名与用法判断"`
	Formula   string     `json:"formula" doc:"方名"`
	Doses     Decimal    `json:"doses" doc:"剂数"`
	Usage     string     `json:"usage" doc:"煎服法"`
	Frequency string     `json:"frequency" doc:"频次"`
	Amount    Decimal    `json:"amount" doc:"处方金额（元）"`
	Items     []Herb     `json:"items" doc:"药味"`
}

// Herb is one herb of a prescription.
type Herb struct {
	Code     string  `json:"code" doc:"院内药品编码"`
	Name     string  `json:"name" doc:"药名"`
	Dose     Decimal `json:"dose" doc:"每剂用量"`
	Unit     string  `json:"unit" doc:"用量单位，缺省 g"`
	Quantity Decimal `json:"quantity" doc:"总量"`
	Price    Decimal `json:"price" doc:"单价（元）"`
	Amount   Decimal `json:"amount" doc:"金额（元）"`
	Note     string  `json:"note" doc:"脚注：先煎、后下、擘…"`
}

// WesternPrescription is a prescription of western or patent drugs.
type WesternPrescription struct {
	No     string   `json:"no" need:"key" doc:"处方号"`
	Time   Moment   `json:"time" doc:"开方时间，缺省为就诊时间"`
	Type   DrugKind `json:"type" doc:"western 西药 | patent 中成药"`
	Amount Decimal  `json:"amount" doc:"处方金额（元）"`
	Items  []Drug   `json:"items" doc:"药品"`
}

// Drug is one drug of a western or patent prescription.
type Drug struct {
	Code     string  `json:"code" doc:"院内药品编码"`
	Name     string  `json:"name" doc:"药名"`
	Quantity Decimal `json:"quantity" doc:"数量"`
	Unit     string  `json:"unit" doc:"单位"`
	Price    Decimal `json:"price" doc:"单价（元）"`
	Amount   Decimal `json:"amount" doc:"金额（元）"`
	Usage    string  `json:"usage" doc:"用法用量"`
}

// Treatment is a non-drug therapy.
type Treatment struct {
	Code     string  `json:"code" doc:"项目编码"`
	Name     string  `json:"name" doc:"项目名称"`
	Quantity Decimal `json:"quantity" doc:"数量"`
	Price    Decimal `json:"price" doc:"单价（元）"`
	Amount   Decimal `json:"amount" doc:"金额（元）"`
}

// Charge is a line of the bill.
type Charge struct {
	No       string  `json:"no" need:"key" doc:"费用编号"`
	Name     string  `json:"name" doc:"项目名称"`
	Category string  `json:"category" doc:"费用类别：中药饮片、中药配方颗粒、中成药、西药、诊查费、治疗费…"`
	Quantity Decimal `json:"quantity" doc:"数量"`
	Price    Decimal `json:"price" doc:"单价（元）"`
	Amount   Decimal `json:"amount" doc:"金额（元），缺省为数量×单价"`
	Time     Moment  `json:"time" doc:"计费时间，缺省为就诊时间"`
}

// The scalar types of a document. Each is decoded by one entry of [scalars].
type (
	// Moment is a date and time; times without a zone are in the hub's zone.
	Moment struct{ time.Time }
	// Day is a date, YYYY-MM-DD.
	Day string
	// Decimal is an exact decimal in its shortest form; "" = absent.
	Decimal string
	// VisitType is first or return.
	VisitType string
	// Gender is an administrative gender of FHIR.
	Gender string
	// DrugKind is western or patent.
	DrugKind string
	// HerbalKind is decoction or granule.
	HerbalKind string
)
