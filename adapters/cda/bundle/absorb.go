package bundle

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// absorbing reads the facts of one document.
type absorbing struct {
	*Mapper
	doc      *cda.Document
	template *cda.Template
	facts    *Facts
	named    []namedDiagnosis // names of diagnoses, to be joined with their codes
	marks    [3][]string      // id extensions of the diagnoses, per kind
	coded    [3][]tcm.Coding
	herbText string
	section  cda.Section // being read
	herbs    []tcm.Ingredient
	drugs    []tcm.DrugRequest
	rx       tcm.HerbalPrescription
	total    string
	notes
}

type namedDiagnosis struct{ kind, name, mark string }

var kindIndex = map[string]int{tcm.Disease: 0, tcm.Syndrome: 1, tcm.Western: 2}

// absorb reads a document that was judged to follow t.
func (m *Mapper) absorb(d *cda.Document, t *cda.Template) (*Facts, *notes) {
	a := &absorbing{Mapper: m, doc: d, template: t, facts: &Facts{Template: t.Code, DocID: d.ID.Extension, Title: d.Title, Version: d.Version, Signers: d.Signers}}
	if d.SetID.Extension != "" && d.SetID != d.ID {
		a.facts.SetID = d.SetID
	}
	a.head()
	for i := range d.Sections {
		a.sectionOf(&d.Sections[i])
	}
	a.finish()
	return a.facts, &a.notes
}

func (a *absorbing) head() {
	f, d, p := a.facts, a.doc, &a.doc.Patient
	f.Time, _ = a.dateTime(d.Time)
	f.Organization = tcm.Organization{Code: d.Custodian.ID.Extension, Name: d.Custodian.Name}
	if f.Organization.Code == "" {
		f.Organization = tcm.Organization{Code: p.Organization.ID.Extension, Name: p.Organization.Name}
	}
	f.Patient = tcm.Patient{OrgCode: f.Organization.Code, Name: p.Name, Phone: p.Phone, Address: p.Address, Postcode: p.Postcode,
		Marital: codingOf(p.Marital), Ethnicity: codingOf(p.Ethnicity)}
	f.Patient.BirthDate, _ = a.dateTime(p.BirthTime[:min(8, len(p.BirthTime))])
	a.gender(p.Gender)
	a.numbers()
	if f.Encounter.Class == "" && a.template.Code == "C0003" {
		f.Encounter.Class = "EMER"
	}
	if len(d.Authors) > 0 {
		au := d.Authors[0]
		f.Doctor = tcm.Practitioner{OrgCode: f.Organization.Code, No: au.ID.Extension, Name: au.Name}
		f.AuthorTime, _ = a.dateTime(au.Time)
	}
	for _, au := range d.Authors[min(1, len(d.Authors)):] {
		f.Signers = append(f.Signers, cda.Signer{Time: au.Time, ID: au.ID, Role: "文档创作者", Name: au.Name})
	}
	a.patientKey()
	e := &f.Encounter
	e.OrgCode, e.OrgName, e.Status, e.Start = f.Organization.Code, f.Organization.Name, "finished", first(f.AuthorTime, f.Time)
	if f.Stay = d.Stay; f.Stay.Start != "" {
		if t, ok := a.dateTime(f.Stay.Start); ok {
			e.Start = t
		}
	}
	e.PatientName, e.DoctorName = p.Name, f.Doctor.Name
	if f.Doctor.No != "" {
		e.DoctorID = tcm.PractitionerID(f.Organization.Code, f.Doctor.No)
	}
	a.headElements()
}

func (a *absorbing) gender(c cda.Code) {
	switch c.Code {
	case "1":
		a.facts.Patient.Gender = "male"
	case "2":
		a.facts.Patient.Gender = "female"
	case "":
		if c.NullFlavor == "OTH" {
			a.facts.Patient.Gender = "other"
		}
	default:
		a.facts.Patient.Gender = "unknown"
		if c.Code != "0" {
			a.facts.GenderCode = cda.Code{Code: c.Code, System: cda.SystemGender, Display: c.Display}
		}
	}
}

// personal are identifier roots of people, not of what was done.
var personal = []string{cda.RootRecord, "2.16.156.10011.1.13", "2.16.156.10011.1.19"}

func (a *absorbing) numbers() {
	f := a.facts
	for _, id := range a.doc.Patient.IDs {
		switch {
		case id.Root == cda.RootOutpatient:
			f.Encounter.VisitNo = first(f.Encounter.VisitNo, id.Extension)
		case id.Root == cda.RootInpatient:
			f.Encounter.VisitNo, f.Encounter.Class = first(f.Encounter.VisitNo, id.Extension), "IMP"
		case id.Root == cda.RootRx && (a.template.Code == "C0004" || a.template.Code == "C0005"):
			a.rx.No = id.Extension
		case strings.EqualFold(id.Root, patientRoot(f.Organization.Code)):
			f.Patient.No = id.Extension
		case slices.Contains(personal, id.Root):
			f.PatientIDs = append(f.PatientIDs, id)
		default:
			f.Events = append(f.Events, id)
		}
	}
	for _, id := range a.doc.Patient.Numbers {
		if id.Root == cda.RootNationalID {
			f.Patient.NationalID = id.Extension
		} else {
			f.PatientIDs = append(f.PatientIDs, id)
		}
	}
}

// patientKey finds what the patient is known by: the number of the HIS, else the
// identity card, else another number of theirs, else the visit.
func (a *absorbing) patientKey() {
	f := a.facts
	key := f.Patient.No
	for _, other := range []string{f.Patient.NationalID, extension(f.PatientIDs), f.Encounter.VisitNo, extension(f.Events)} {
		if key == "" && other != "" {
			key = "cda:" + other
		}
	}
	f.Encounter.PatientID = tcm.PatientID(f.Organization.Code, key)
}

func extension(ids []cda.ID) string {
	for _, id := range ids {
		if id.Extension != "" {
			return id.Root + ":" + id.Extension
		}
	}
	return ""
}

// headElements keeps what the head says and FHIR has no element for.
func (a *absorbing) headElements() {
	p := &a.doc.Patient
	keep := func(e cda.Entry) {
		a.facts.Elements = append(a.facts.Elements, Element{Section: cda.Section{Title: headerTitle}, Entry: e})
	}
	element := func(de, name string, v cda.Value) cda.Entry {
		return cda.Entry{Kind: cda.Observation, Code: cda.Code{Code: de, System: cda.SystemElements, Display: name}, Value: v}
	}
	if p.Department.Name != "" {
		e := element("DE08.10.026.00", "科室名称", cda.Value{Type: "ST", Text: p.Department.Name})
		e.ID = p.Department.ID
		keep(e)
	}
	if p.BirthTime == "" && p.Age != "" {
		keep(element("DE02.01.026.00", "年龄", cda.Value{Type: "PQ", Text: p.Age, Unit: p.AgeUnit}))
	}
}

func (a *absorbing) sectionOf(s *cda.Section) {
	a.section = cda.Section{Code: s.Code, Title: s.Title}
	if n := a.template.Section(s.Code.Code, first(s.Code.Display, s.Title)); n >= 0 {
		t := &a.template.Sections[n]
		a.section = cda.Section{Code: cda.Code{Code: t.Code, System: cda.SystemLOINC, Display: t.Display}, Title: first(s.Title, t.Title)}
		if t.Code == "" {
			a.section.Code = cda.Code{Display: t.Display}
		}
	}
	if s.Text != "" && s.Text != Readable(s) {
		a.facts.Texts = append(a.facts.Texts, Element{Section: a.section, Entry: cda.Entry{Text: s.Text}})
	}
	for _, e := range s.Entries {
		if rest, ok := a.entry(e, nil); ok {
			a.facts.Elements = append(a.facts.Elements, Element{Section: a.section, Entry: rest})
		}
	}
}

// entry takes the facts out of an entry and its parts; what is left is a data
// element of its own, ok is false if nothing is.
func (a *absorbing) entry(e cda.Entry, parent *cda.Entry) (cda.Entry, bool) {
	if e.Kind == cda.Drug && (a.template.Code == "C0004" || a.template.Code == "C0005") {
		a.medicine(&e)
		return e, false
	}
	taken := a.take(&e, parent)
	var rest []cda.Entry
	for _, p := range e.Parts {
		if left, ok := a.entry(p, &e); ok {
			rest = append(rest, left)
		}
	}
	e.Parts = rest
	if !taken {
		return e, !e.Value.Empty() || e.Medicine != nil || e.Text != "" || len(rest) > 0 || e.Kind != cda.Observation
	}
	for i := range rest { // parts of a fact that are none stand for themselves
		a.facts.Elements = append(a.facts.Elements, Element{Section: a.section, Entry: rest[i]})
	}
	return e, false
}

// take makes a fact of an entry; false if it is a data element.
func (a *absorbing) take(e, parent *cda.Entry) bool {
	fact := a.fact(a.template.Code, e.Code.Code, a.canonical(e))
	if get := records[fact]; get != nil {
		to := get(&a.facts.Record)
		if *to != "" || e.Value.Type != "ST" || e.Value.Text == "" {
			return false
		}
		*to = e.Value.Text
		return true
	}
	switch {
	case strings.HasPrefix(fact, "diagnosis."), strings.HasPrefix(fact, "coded."):
		return a.diagnosis(fact, e)
	case strings.HasPrefix(fact, "herbal."):
		return a.herbal(fact, e)
	}
	switch fact {
	case "encounter.visitType":
		t := map[string]string{"1": "first", "2": "return"}[e.Value.Code.Code]
		a.facts.Encounter.VisitType = t
		return t != ""
	case "encounter.insurance":
		c := codingOf(e.Value.Code)
		a.facts.Encounter.Insurance = tcm.Insurance{Coding: c, Text: first(e.Value.Code.Original, words(e.Value.Code))}
		return true
	case "head:encounter.visitNo":
		return e.Value.Text == a.facts.Encounter.VisitNo
	case "head:doctor.name":
		return e.Value.Text == a.facts.Doctor.Name
	case "findings":
		return a.finding(e)
	case "principles":
		return a.principle(e)
	case "differentiation.summary":
		if e.Value.Type != "ST" || e.Value.Text == "" || a.facts.Reasoning.Summary != "" {
			return false
		}
		a.facts.Reasoning.Summary = e.Value.Text
		return true
	case "prescription.amount":
		a.total = e.Value.Text
		return isNumber(e.Value.Text)
	case "charges":
		return a.charges(e, parent)
	case "treatment.name":
		return a.treatment(e)
	}
	return false
}

// canonical is the template's own name for an entry's element.
func (a *absorbing) canonical(e *cda.Entry) string {
	if _, el := a.template.Element(e.Code.Code, e.Name()); el != nil && el.Name != e.Name() && !a.template.Twice(e.Code.Code) {
		return el.Name
	}
	return e.Name()
}
