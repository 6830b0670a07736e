package sim

// visit is one visit as the hub's JSON visit document; it is what a real HIS
// would send, written down here a second time on purpose: the simulator shares
// no code with the door it tests.
type visit struct {
	OrgCode    string         `json:"orgCode"`
	OrgName    string         `json:"orgName"`
	VisitNo    string         `json:"visitNo"`
	VisitTime  string         `json:"visitTime"`
	VisitType  string         `json:"visitType"`
	Doctor     person         `json:"doctor"`
	Patient    patient        `json:"patient"`
	Diagnoses  []diagnosis    `json:"diagnoses"`
	Record     record         `json:"record"`
	Four       four           `json:"fourExaminations"`
	Herbal     []prescription `json:"herbalPrescriptions,omitempty"`
	Western    []prescription `json:"westernPrescriptions,omitempty"`
	Treatments []line         `json:"treatments,omitempty"`
	Charges    []line         `json:"charges"`
}

type person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type patient struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Gender        string `json:"gender"`
	BirthDate     string `json:"birthDate"`
	IDNo          string `json:"idNo,omitempty"`
	Phone         string `json:"phone"`
	Address       string `json:"address"`
	InsuranceType string `json:"insuranceType"`
}

type diagnosis struct {
	DiseaseCode  string `json:"diseaseCode"`
	DiseaseName  string `json:"diseaseName"`
	SyndromeCode string `json:"syndromeCode,omitempty"`
	SyndromeName string `json:"syndromeName,omitempty"`
	ICD10        string `json:"icd10,omitempty"`
	Name         string `json:"name,omitempty"`
}

type record struct {
	ChiefComplaint string `json:"chiefComplaint"`
	PresentIllness string `json:"presentIllness"`
	PastHistory    string `json:"pastHistory"`
	AllergyHistory string `json:"allergyHistory"`
	PhysicalExam   string `json:"physicalExam"`
	Advice         string `json:"advice"`
}

type four struct {
	Inspection string `json:"inspection"`
	Listening  string `json:"listening"`
	Inquiry    string `json:"inquiry"`
	Palpation  string `json:"palpation"`
	Tongue     string `json:"tongue,omitempty"`
	Pulse      string `json:"pulse,omitempty"`
}

type prescription struct {
	No        string `json:"no"`
	Time      string `json:"time"`
	Type      string `json:"type,omitempty"`
	Formula   string `json:"formula,omitempty"`
	Doses     int    `json:"doses,omitempty"`
	Usage     string `json:"usage,omitempty"`
	Frequency string `json:"frequency,omitempty"`
	Amount    yuan   `json:"amount"`
	Items     []item `json:"items"`
}

type item struct {
	Code     string `json:"code"`
	Name     string `json:"name"`
	Dose     int    `json:"dose,omitempty"`
	Unit     string `json:"unit"`
	Quantity int    `json:"quantity"`
	Price    yuan   `json:"price"`
	Amount   yuan   `json:"amount"`
	Note     string `json:"note,omitempty"`
	Usage    string `json:"usage,omitempty"`
}

type line struct {
	No       string `json:"no,omitempty"`
	Code     string `json:"code,omitempty"`
	Name     string `json:"name"`
	Category string `json:"category,omitempty"`
	Quantity int    `json:"quantity"`
	Price    yuan   `json:"price"`
	Amount   yuan   `json:"amount"`
	Time     string `json:"time,omitempty"`
}

// yuan is money in cents, written with two decimals.
type yuan int64

// MarshalJSON writes an exact decimal.
func (y yuan) MarshalJSON() ([]byte, error) { return []byte(y.String()), nil }

// String writes the amount in yuan.
func (y yuan) String() string {
	b := []byte{byte('0' + y/10%10), byte('0' + y%10)}
	n := int64(y) / 100
	out := []byte{}
	for n > 0 || len(out) == 0 {
		out = append([]byte{byte('0' + n%10)}, out...)
		n /= 10
	}
	return string(out) + "." + string(b)
}
