package bundle

import (
	"strconv"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// building makes the resources of one document.
type building struct {
	*Mapper
	*Facts
	visit    tcm.Visit
	key      string // of the document, for ids
	out      []tcm.Resource
	sections []r4.CompositionSection
	notes
}

// CompositionID is the id of the Composition of a document.
func CompositionID(orgCode, documentID string) string { return tcm.ID("cda", orgCode, documentID) }

// build makes the resources, the Composition first.
func (m *Mapper) build(f *Facts) ([]tcm.Resource, *notes) {
	b := &building{Mapper: m, Facts: f, visit: f.visit(), key: f.Organization.Code + "|" + f.DocID}
	if f.Encounter.VisitNo == "" {
		b.visit.EncounterID = tcm.ID("enc", f.Organization.Code, "cda:"+f.DocID)
	}
	b.people()
	b.encounter()
	b.orders()
	b.elements()
	return append([]tcm.Resource{b.composition()}, b.out...), &b.notes
}

func (b *building) people() {
	f := b.Facts
	b.out = append(b.out, f.Organization.Resources()...)
	if f.Doctor.No != "" {
		b.out = append(b.out, f.Doctor.Resources()...)
	}
	p := f.Patient.Resources()[0]
	m := p.Model.(r4.Patient)
	m.Id, p.ID = &b.visit.PatientID, b.visit.PatientID
	for _, id := range f.PatientIDs {
		m.Identifier = append(m.Identifier, identifierOf(id))
	}
	if f.GenderCode.Code != "" {
		m.Extension = append(m.Extension, r4.Extension{Url: tcm.ExtGender,
			ValueCoding: ptr(coding(tcm.Coding{System: oidPrefix + cda.SystemGender, Code: f.GenderCode.Code, Display: f.GenderCode.Display}))})
	}
	p.Model = m
	b.out = append(b.out, p)
	b.out = append(b.out, tcm.Coverage{OrgCode: f.Organization.Code, PatientID: b.visit.PatientID, Insurance: f.Encounter.Insurance}.Resources()...)
}

func (b *building) encounter() {
	e := b.Facts.Encounter
	for i := range b.Diagnoses {
		d := &b.Diagnoses[i]
		d.Visit = b.visit
		for _, r := range d.Resources() {
			e.Diagnoses = append(e.Diagnoses, r.ID)
			b.part(r)
		}
	}
	r := e.Resources()[0]
	m := r.Model.(r4.Encounter)
	m.Id, r.ID = &b.visit.EncounterID, b.visit.EncounterID
	if e.Class == "IMP" || e.Class == "EMER" {
		m.ServiceType = nil
	}
	b.stay(&m)
	r.Model = m
	b.out = append(b.out, r)
	for i := range b.Coded {
		b.coded(&b.Coded[i], i)
	}
}

// stay writes when and where the patient lay.
func (b *building) stay(m *r4.Encounter) {
	if end, ok := b.dateTime(b.Stay.End); ok {
		if m.Period == nil {
			m.Period = &r4.Period{}
		}
		m.Period.End = &end
	}
	for _, p := range b.Stay.Places {
		at := r4.Reference{Display: str(p.Name)}
		if p.ID != (cda.ID{}) {
			at.Identifier = ptr(identifierOf(p.ID))
		}
		m.Location = append(m.Location, r4.EncounterLocation{Location: at})
	}
}

// part adds a resource and names it in the record's contents.
func (b *building) part(r tcm.Resource) {
	b.out = append(b.out, r)
	b.Record.Entries = append(b.Record.Entries, r.Type+"/"+r.ID)
}

// coded writes a diagnosis of a role of its own: the data element is a category.
func (b *building) coded(x *Coded, i int) {
	d := tcm.Diagnosis{Visit: b.visit, Rank: 1}
	switch x.Kind {
	case tcm.Disease:
		d.Disease = x.Coding
	case tcm.Syndrome:
		d.Syndrome = x.Coding
	default:
		d.Western = x.Coding
	}
	r := d.Resources()[0]
	m := r.Model.(r4.Condition)
	r.ID = tcm.ID("cond", b.key, x.Entry.Code.Code, x.Entry.Name(), strconv.Itoa(i))
	m.Id = &r.ID
	m.Category = append(m.Category, elementConcept(&x.Entry))
	r.Model = m
	b.out = append(b.out, r)
	b.entry(x.Section, "Condition/"+r.ID)
}

func (b *building) orders() {
	for i := range b.Findings {
		f := b.Findings[i]
		f.Visit = b.visit
		for _, r := range f.Resources() {
			b.part(r)
		}
	}
	b.reasoning()
	no := b.Facts.Encounter.VisitNo
	for _, p := range b.Herbal {
		p.Visit, p.VisitNo = b.visit, no
		rs := p.Resources()
		b.part(rs[0])
		b.out = append(b.out, rs[1:]...)
	}
	seen := map[string]int{}
	for _, d := range b.Facts.Drugs {
		d.Visit, d.VisitNo, d.Repeat = b.visit, no, seen[d.Code+"|"+d.Name]
		seen[d.Code+"|"+d.Name]++
		b.part(d.Resources()[0])
	}
	for _, t := range b.Treatments {
		at := t.Time
		t.Visit, t.VisitNo, t.Repeat = b.visit, no, seen["t|"+t.Name]
		t.Time = first(at, b.visit.Time)
		seen["t|"+t.Name]++
		b.part(t.Resources()[0])
	}
	for _, c := range b.Charges {
		at := c.Time
		c.Visit, c.VisitNo, c.Repeat = b.visit, no, seen["c|"+c.No]
		c.Time = first(at, b.visit.Time)
		seen["c|"+c.No]++
		b.part(c.Resources()[0])
	}
}

// reasoning writes the differentiation, if the document told of it.
func (b *building) reasoning() {
	d := b.Reasoning
	if d.Summary == "" {
		return
	}
	d.Visit = b.visit
	for _, f := range b.Findings {
		f.Visit = b.visit
		d.Findings = append(d.Findings, f.ID())
	}
	for i := range b.Diagnoses {
		if x := &b.Diagnoses[i]; x.Syndrome != (tcm.Coding{}) {
			d.SyndromeIDs = append(d.SyndromeIDs, x.ID(tcm.Syndrome))
		}
	}
	b.out = append(b.out, d.Resources()...)
	b.entry(cda.Section{Title: "诊断", Code: cda.Code{Code: "29548-5", Display: "Diagnosis"}}, "ClinicalImpression/"+d.ID())
}

// elements writes the data elements as Observations, in their sections.
func (b *building) elements() {
	o := &observing{Mapper: b.Mapper, visit: b.visit, key: b.key}
	for i := range b.Elements {
		e := &b.Elements[i]
		id := o.observation(&e.Entry, strconv.Itoa(i))
		b.entry(e.Section, "Observation/"+id)
	}
	b.out = append(b.out, o.out...)
	b.issues = append(b.issues, o.issues...)
	for i := range b.Texts {
		s := b.sectionFor(b.Texts[i].Section)
		s.Text = &r4.Narrative{Status: r4.NarrativeStatusAdditional, Div: xhtml(b.Texts[i].Entry.Text)}
	}
}

func (b *building) entry(section cda.Section, ref string) {
	s := b.sectionFor(section)
	s.Entry = append(s.Entry, r4.Reference{Reference: &ref})
}

// sectionFor is the Composition's section of a document's section.
func (b *building) sectionFor(s cda.Section) *r4.CompositionSection {
	code := concept(s.Title, tcm.Coding{System: tcm.SystemLOINC, Code: s.Code.Code, Display: s.Code.Display})
	if s.Code.Code == "" || len(s.Code.Code) > 10 {
		code = concept(first(s.Code.Display, s.Title))
	}
	for i := range b.sections {
		if old := &b.sections[i]; *old.Title == s.Title && same(old.Code, code) {
			return old
		}
	}
	b.sections = append(b.sections, r4.CompositionSection{Title: ptr(s.Title), Code: code})
	return &b.sections[len(b.sections)-1]
}

func same(a, b *r4.CodeableConcept) bool {
	if a == nil || b == nil || len(a.Coding) == 0 || len(b.Coding) == 0 {
		return (a == nil || len(a.Coding) == 0) && (b == nil || len(b.Coding) == 0)
	}
	return *a.Coding[0].Code == *b.Coding[0].Code
}

func (b *building) composition() tcm.Resource {
	f := b.Facts
	rec := f.Record
	rec.Visit = b.visit
	rec.Visit.OrgCode, rec.VisitType = f.Organization.Code, f.Encounter.VisitType
	r := rec.Resources()[0]
	m := r.Model.(r4.Composition)
	r.ID = CompositionID(f.Organization.Code, f.DocID)
	m.Id, m.Title, m.Date = &r.ID, f.Title, f.Time
	m.Type = *concept("", tcm.Coding{System: oidPrefix + cda.SystemDocuments, Code: f.Template, Display: b.catalogue.Template(f.Template).Title})
	if f.Template == "C0002" || f.Template == "C0003" {
		m.Type.Coding = append(m.Type.Coding, coding(tcm.Coding{System: tcm.SystemLOINC, Code: "34108-1", Display: "Outpatient Note"}))
	}
	m.Identifier = ptr(identifierOf(cda.ID{Root: cda.RootDocument, Extension: f.DocID}))
	if f.Doctor.No == "" && f.Doctor.Name != "" {
		m.Author = []r4.Reference{{Display: &f.Doctor.Name}}
	}
	if f.Version != "" {
		m.Extension = append(m.Extension, r4.Extension{Url: extVersion, ValueString: &f.Version})
	}
	if f.SetID != (cda.ID{}) {
		m.Extension = append(m.Extension, r4.Extension{Url: tcm.ExtDocumentSet, ValueIdentifier: ptr(identifierOf(f.SetID))})
	}
	m.Event = b.events()
	m.Attester = b.attesters()
	m.Section = append(m.Section, b.sections...)
	r.Model = m
	return r
}

func (b *building) events() []r4.CompositionEvent {
	if len(b.Events) == 0 {
		return nil
	}
	var e r4.CompositionEvent
	for _, id := range b.Events {
		e.Detail = append(e.Detail, r4.Reference{Identifier: ptr(identifierOf(id))})
	}
	return []r4.CompositionEvent{e}
}

// attesters writes who signed; the role is a PractitionerRole of its own.
func (b *building) attesters() []r4.CompositionAttester {
	var out []r4.CompositionAttester
	if b.AuthorTime != "" {
		out = append(out, r4.CompositionAttester{Mode: r4.CompositionAttestationModePersonal, Time: &b.AuthorTime})
	}
	for i, s := range b.Signers {
		a := r4.CompositionAttester{Mode: r4.CompositionAttestationModeProfessional, Party: &r4.Reference{Display: str(s.Name)}}
		if s.Legal {
			a.Mode = r4.CompositionAttestationModeLegal
		}
		if t, ok := b.dateTime(s.Time); ok {
			a.Time = &t
		}
		if s.Role != "" || s.ID != (cda.ID{}) {
			id := tcm.ID("role", b.key, strconv.Itoa(i))
			role := r4.PractitionerRole{Id: &id, Identifier: identifiers(s.ID), Practitioner: &r4.Reference{Display: str(s.Name)},
				Organization: &r4.Reference{Reference: ptr("Organization/" + tcm.OrganizationID(b.Organization.Code))}}
			if s.Role != "" {
				role.Code = []r4.CodeableConcept{*concept(s.Role)}
			}
			b.out = append(b.out, tcm.Resource{Type: "PractitionerRole", ID: id, Model: role})
			a.Party.Reference = ptr("PractitionerRole/" + id)
		}
		out = append(out, a)
	}
	return out
}

// appendString quotes text as JSON.
func appendString(b []byte, s string) []byte { return fhir.AppendString(b, s) }
