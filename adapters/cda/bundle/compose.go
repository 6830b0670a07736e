package bundle

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Options choose what a document is made of.
type Options struct {
	Template     string // C0002; "" = as the Composition says
	Prescription string // number, for C0004 and C0005; "" = the first
}

// ToCDA writes the resources of a Bundle as one shared document. The issues name
// what the template has no place for. fault.Invalid if the resources do not say
// which document, whose or of which visit.
func (m *Mapper) ToCDA(root fhir.Node, opt Options) ([]byte, []fault.Issue, error) {
	g, err := m.gather(root)
	if err != nil {
		return nil, nil, err
	}
	if opt.Template != "" {
		g.facts.Template = strings.ToUpper(opt.Template)
	}
	t, err := m.template(g.facts.Template)
	if err != nil {
		return nil, nil, err
	}
	d, issues := m.compose(g.facts, t, opt)
	return cda.Append(make([]byte, 0, 16<<10), d, t), append(g.issues, issues...), nil
}

func (m *Mapper) template(code string) (*cda.Template, error) {
	t := m.catalogue.Template(code)
	if t == nil {
		return nil, invalid("cda-template", "不知道生成哪一种共享文档：请用 template=C0001…C0053 指定，或在 Composition.type 中注明（"+code+"）",
			"which document is wanted? name one of C0001…C0053 by template= or in Composition.type", "Composition.type")
	}
	return t, nil
}

func invalid(key, zh, en, expression string) error {
	return fault.New(fault.Invalid, "%s", en).With(fault.Issue{Severity: "error", Code: "required", Key: key, Text: zh, TextEN: en, Expression: expression})
}

// enough refuses what no document can be made of.
func (g *gathering) enough(root fhir.Node) error {
	f := g.facts
	switch {
	case root.ResourceType() != "Bundle":
		return invalid("cda-bundle", "需要一个 Bundle（document、collection 或 searchset），是 "+root.ResourceType(), "a Bundle is needed", root.ResourceType())
	case f.Encounter.PatientID == "":
		return invalid("cda-patient", "Bundle 中没有 Patient", "the Bundle has no Patient", "Bundle.entry")
	case f.Organization.Code == "":
		return invalid("cda-organization", "缺少机构代码（Organization.identifier、Encounter.serviceProvider.identifier 或 Composition.custodian.identifier）",
			"the organisation code is missing", "Composition.custodian")
	case f.Encounter.VisitNo == "" && f.Patient.No == "" && f.Patient.NationalID == "" && len(f.Events)+len(f.PatientIDs) == 0:
		return invalid("cda-identifier", "缺少就诊号与患者标识", "visit number and patient identifier are missing", "Encounter.identifier")
	}
	return nil
}

// composing fills one template.
type composing struct {
	*Mapper
	*Facts
	template *cda.Template
	herbal   *tcm.HerbalPrescription // of C0005
	drugs    []*tcm.DrugRequest      // of C0004
	rx       string                  // number of the prescription
	used     map[string]bool         // facts that were written
	placed   []bool                  // Elements that were written
	notes
}

func (m *Mapper) compose(f *Facts, t *cda.Template, opt Options) (*cda.Document, []fault.Issue) {
	c := &composing{Mapper: m, Facts: f, template: t, used: map[string]bool{}, placed: make([]bool, len(f.Elements))}
	c.choose(opt.Prescription)
	d := &cda.Document{Template: t.Code, TemplateID: t.OID, Title: t.Title, Time: m.timestamp(f.Time), Version: f.Version}
	if f.Title != "" && f.Template == t.Code && f.Title != "门诊病历" {
		d.Title = f.Title
	}
	d.ID = cda.ID{Root: cda.RootDocument, Extension: first(f.DocID, c.documentID())}
	if d.SetID = f.SetID; d.SetID == (cda.ID{}) && f.Version != "" {
		d.SetID = d.ID
	}
	d.Patient = c.person()
	who := c.doctor()
	d.Authors = []cda.Author{{Time: first(m.timestamp(f.AuthorTime), d.Time), ID: cda.ID{Root: cda.RootAuthor, Extension: who.No}, Name: who.Name}}
	d.Custodian = cda.Organization{ID: cda.ID{Root: cda.RootOrg, Extension: f.Organization.Code}, Name: f.Organization.Name}
	d.Signers, d.Stay = f.Signers, f.Stay
	for i := range t.Sections {
		d.Sections = append(d.Sections, c.section(i))
	}
	c.foreign(d)
	c.unplaced()
	return d, c.issues
}

func (c *composing) doctor() tcm.Practitioner {
	d := c.Facts.Doctor
	d.Name = first(d.Name, first(c.Encounter.DoctorName, c.Record.DoctorName))
	return d
}

// documentID derives a number from what the document is about.
func (c *composing) documentID() string {
	parts := []string{c.Organization.Code, first(c.Encounter.VisitNo, c.Patient.No), c.template.Code}
	if c.rx != "" {
		parts = append(parts, c.rx)
	}
	return strings.Join(parts, "-")
}

// choose picks the prescription a prescription document is about.
func (c *composing) choose(no string) {
	switch c.template.Code {
	case "C0005":
		for i := range c.Herbal {
			if no == "" || c.Herbal[i].No == no {
				c.herbal, c.rx = &c.Herbal[i], c.Herbal[i].No
				return
			}
		}
		c.chooseDrugs(no, true)
	case "C0004":
		c.chooseDrugs(no, false)
	}
	if no != "" && c.rx == "" {
		c.add("error", "cda-prescription", "MedicationRequest.groupIdentifier", "没有处方号为 "+no+" 的处方", "there is no such prescription")
	}
}

// chooseDrugs takes the drugs of one prescription: C0004 holds 西药, C0005 中成药.
func (c *composing) chooseDrugs(no string, patent bool) {
	for i := range c.Facts.Drugs {
		d := &c.Facts.Drugs[i]
		if (no == "" || d.No == no) && (c.rx == "" || d.No == c.rx) && patent == (d.Category == tcm.Patent) {
			c.drugs, c.rx = append(c.drugs, d), d.No
		}
	}
}

// patientRoot is the instance root of an organisation's patient numbers: national
// documents have no identifier for them, so it is a UUID (version 5, URL) of the
// FHIR system.
func patientRoot(orgCode string) string {
	space := []byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	sum := sha1.Sum(append(space, tcm.SystemOf("patient", orgCode)...))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// person writes recordTarget.
func (c *composing) person() cda.Patient {
	f, p := c.Facts, c.Facts.Patient
	out := cda.Patient{Name: p.Name, BirthTime: c.timestamp(p.BirthDate), Phone: p.Phone, Address: p.Address, Postcode: p.Postcode,
		Organization: cda.Organization{ID: cda.ID{Root: cda.RootOrg, Extension: f.Organization.Code}, Name: f.Organization.Name},
		Gender:       c.gender(), Marital: c.code(p.Marital), Ethnicity: c.code(p.Ethnicity)}
	add := func(root, ext string) {
		if ext != "" {
			out.IDs = append(out.IDs, cda.ID{Root: root, Extension: ext})
		}
	}
	if f.Encounter.Class == "IMP" {
		add(cda.RootInpatient, f.Encounter.VisitNo)
	} else {
		add(cda.RootOutpatient, f.Encounter.VisitNo)
	}
	if c.rx != f.DocID { // a document without a number of its prescription
		add(cda.RootRx, c.rx)
	}
	out.IDs = append(out.IDs, f.Events...)
	if p.No != "" {
		out.IDs = append(out.IDs, cda.ID{Root: patientRoot(f.Organization.Code), Extension: p.No, Authority: "院内患者编号"})
	}
	out.IDs = append(out.IDs, f.PatientIDs...)
	if p.NationalID != "" {
		out.Numbers = []cda.ID{{Root: cda.RootNationalID, Extension: p.NationalID}}
	}
	out.Age, out.AgeUnit = age(p.BirthDate, f.Time)
	for i := range f.Elements {
		e := &f.Elements[i]
		if e.Section.Title != headerTitle {
			continue
		}
		switch e.Entry.Code.Code {
		case "DE08.10.026.00":
			out.Department = cda.Organization{ID: e.Entry.ID, Name: e.Entry.Value.Text}
		case "DE02.01.026.00":
			out.Age, out.AgeUnit = e.Entry.Value.Text, e.Entry.Value.Unit
		default:
			continue
		}
		c.placed[i] = true
	}
	return out
}

var genderCodes = map[string]string{"male": "1", "female": "2", "unknown": "0"}

func (c *composing) gender() cda.Code {
	code := c.GenderCode.Code
	if code == "" {
		code = genderCodes[c.Facts.Patient.Gender]
	}
	if code == "" {
		return cda.Code{NullFlavor: map[bool]string{true: "OTH", false: "NI"}[c.Facts.Patient.Gender == "other"]}
	}
	out := cda.Code{Code: code, System: cda.SystemGender, SystemName: "生理性别代码表(GB/T 2261.1)"}
	if t := c.catalogue.Table(cda.SystemGender); t != nil {
		out.Display = t.Codes[code]
	}
	return out
}

// age is the full years from birth to the document's day; months below one year.
func age(birth, at string) (value, unit string) {
	b, err := time.Parse("2006-01-02", birth)
	if err != nil || len(at) < 10 {
		return "", ""
	}
	t, err := time.Parse("2006-01-02", at[:10])
	if err != nil || t.Before(b) {
		return "", ""
	}
	months := (t.Year()-b.Year())*12 + int(t.Month()-b.Month())
	if t.Day() < b.Day() {
		months--
	}
	if months < 12 {
		return itoa(months), "月"
	}
	return itoa(months / 12), "岁"
}
