package bundle

import (
	_ "embed"
	"encoding/json"
	"slices"
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

//go:embed data/mapping.json
var mappingJSON []byte

// Row maps one data element to FHIR.
type Row struct {
	DE        string   `json:"de"`
	Name      string   `json:"name,omitempty"`      // "" = whatever it is called
	Templates []string `json:"templates,omitempty"` // document codes; nil = every document
	Fact      string   `json:"fact"`                // which value of Facts
	FHIR      string   `json:"fhir"`                // where it stands: FHIRPath
}

func (r *Row) fits(template, name string) bool {
	return (r.Templates == nil || slices.Contains(r.Templates, template)) && (r.Name == "" || r.Name == name)
}

// Mapper maps documents. It is read-only and safe for concurrent use.
type Mapper struct {
	catalogue *cda.Catalogue
	checker   *cda.Checker
	zone      *time.Location
	rows      map[string][]Row
	order     []Row
	encoder   model.Encoder
}

// New returns a mapper; zone is that of times without one.
func New(c *cda.Catalogue, checker *cda.Checker, zone *time.Location) (*Mapper, error) {
	var file struct{ Rows []Row }
	if err := json.Unmarshal(mappingJSON, &file); err != nil {
		return nil, err
	}
	m := &Mapper{catalogue: c, checker: checker, zone: zone, rows: map[string][]Row{}, order: file.Rows}
	for _, r := range file.Rows {
		m.rows[r.DE] = append(m.rows[r.DE], r)
	}
	return m, nil
}

// Rows lists the mapping, for reports.
func (m *Mapper) Rows() []Row { return slices.Clone(m.order) }

// fact is the value that a data element of a template is; "" = a data element.
func (m *Mapper) fact(template, de, name string) string {
	for i := range m.rows[de] {
		if r := &m.rows[de][i]; r.fits(template, name) {
			return r.Fact
		}
	}
	return ""
}

// Facts are the domain values of one document.
type Facts struct {
	Template string // C0002
	DocID    string
	Title    string
	Time     string // FHIR dateTime
	Version  string
	SetID    cda.ID // of the series of versions; zero = as DocID

	Organization tcm.Organization
	Patient      tcm.Patient
	PatientIDs   []cda.ID // numbers of the person beside 身份证 and HIS number
	GenderCode   cda.Code // as sent, where FHIR's code is coarser
	Doctor       tcm.Practitioner
	AuthorTime   string
	Encounter    tcm.Encounter
	Stay         cda.Stay
	Events       []cda.ID // further numbers of the role: report, application …
	Record       tcm.Record
	Signers      []cda.Signer

	Diagnoses  []tcm.Diagnosis
	Reasoning  tcm.Differentiation
	Coded      []Coded
	Findings   []tcm.Finding
	Herbal     []tcm.HerbalPrescription
	Drugs      []tcm.DrugRequest
	Treatments []tcm.Treatment
	Charges    []tcm.Charge
	Elements   []Element
	Texts      []Element // narratives of sections; Entry.Text
}

// Coded is a diagnosis of a role of its own (入院诊断, 术前诊断 …): one data element.
type Coded struct {
	Element
	Kind   string // tcm.Disease, Syndrome, Western
	Coding tcm.Coding
}

// Element is a data element that no other fact covers, with its section.
type Element struct {
	Section cda.Section // code and title only
	Entry   cda.Entry
	ID      string // of the Observation it was read from
}

// visit is what a part of the document hangs on.
func (f *Facts) visit() tcm.Visit {
	v := tcm.Visit{OrgCode: f.Organization.Code, EncounterID: tcm.EncounterID(f.Organization.Code, f.Encounter.VisitNo),
		PatientID: f.Encounter.PatientID, DoctorID: f.Encounter.DoctorID, Time: f.Encounter.Start}
	return v
}

// note makes an issue of mapping.
func note(severity, key, expression, zh, en string) fault.Issue {
	return fault.Issue{Severity: severity, Code: "incomplete", Key: key, Expression: expression, Text: zh, TextEN: en}
}

// notes collects issues.
type notes struct{ issues []fault.Issue }

const maxNotes = 200

func (n *notes) add(severity, key, expression, zh, en string) {
	if len(n.issues) < maxNotes {
		n.issues = append(n.issues, note(severity, key, expression, zh, en))
	}
}

// headerTitle is the section of a Composition for elements of the document's head.
const headerTitle = "文档头"
