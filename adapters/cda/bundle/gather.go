package bundle

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
)

// gathering reads the resources of one Bundle.
type gathering struct {
	*Mapper
	facts   *Facts
	nodes   map[string]fhir.Node // by Type/id and by fullUrl
	section map[string]cda.Section
	members map[string]bool // Observations inside others
	notes
}

// gather reads what a Bundle (or a single resource) says. Resources that no fact
// covers are noted.
func (m *Mapper) gather(root fhir.Node) (*gathering, error) {
	g := &gathering{Mapper: m, facts: &Facts{}, nodes: map[string]fhir.Node{}, section: map[string]cda.Section{}, members: map[string]bool{}}
	var list []fhir.Node
	if root.ResourceType() == "Bundle" {
		for e := range root.Get("entry").Children() {
			if r := e.Get("resource"); r.Exists() {
				list = append(list, r)
				g.nodes[r.ResourceType()+"/"+r.Get("id").Str()] = r
				if u := e.Get("fullUrl").Str(); u != "" {
					g.nodes[u] = r
				}
			}
		}
	} else {
		list = []fhir.Node{root}
	}
	for _, typ := range []string{"Composition", "Organization", "Practitioner", "Patient", "Encounter"} {
		for _, r := range list {
			if r.ResourceType() == typ {
				g.head(typ, r)
			}
		}
	}
	g.attesters()
	g.clinical(list)
	return g, g.complete(root)
}

// find resolves a reference inside the Bundle.
func (g *gathering) find(ref string) fhir.Node {
	if n, ok := g.nodes[ref]; ok {
		return n
	}
	if r := fhir.ParseReference(ref); r.Type != "" {
		return g.nodes[r.Type+"/"+r.ID]
	}
	return fhir.Node{}
}

func (g *gathering) head(typ string, r fhir.Node) {
	f := g.facts
	switch typ {
	case "Composition":
		if f.Record.EncounterID != "" || f.Template != "" {
			g.add("warning", "cda-second", "Composition/"+r.Get("id").Str(), "一个文档只有一个 Composition，其余未写入", "only the first Composition is written")
			return
		}
		g.composition(r)
	case "Organization":
		o := tcm.ReadOrganization(r)
		if f.Organization.Code == "" || o.Code == f.Organization.Code {
			f.Organization = o
		}
	case "Practitioner":
		if p := tcm.ReadPractitioner(r); f.Doctor.No == "" && p.No != "" {
			f.Doctor = p
		}
	case "Patient":
		g.patient(r)
	case "Encounter":
		f.Encounter = tcm.ReadEncounter(r)
		f.Stay = cda.Stay{End: g.timestamp(r.Path("period", "end").Str())}
		for l := range r.Get("location").Each() {
			at := l.Get("location")
			o := cda.Organization{Name: at.Get("display").Str()}
			if id := at.Get("identifier"); id.Exists() {
				o.ID = readIdentifier(id)
			}
			f.Stay.Places = append(f.Stay.Places, o)
		}
	}
}

func (g *gathering) patient(r fhir.Node) {
	f := g.facts
	f.Patient = tcm.ReadPatient(r)
	for id := range r.Get("identifier").Each() {
		if s := id.Get("system").Str(); strings.HasPrefix(s, oidPrefix) && s != tcm.SystemNationalID {
			f.PatientIDs = append(f.PatientIDs, readIdentifier(id))
		}
	}
	for e := range r.Get("extension").Each() {
		if e.Get("url").Str() == tcm.ExtGender {
			v := e.Get("valueCoding")
			f.GenderCode = cda.Code{Code: v.Get("code").Str(), System: cda.SystemGender, Display: v.Get("display").Str()}
		}
	}
	if f.Encounter.PatientID == "" {
		f.Encounter.PatientID = r.Get("id").Str()
	}
}

// composition reads the document's own data and where its parts stand.
func (g *gathering) composition(r fhir.Node) {
	f := g.facts
	f.Record, f.Title, f.Version = tcm.ReadRecord(r), r.Get("title").Str(), r.Path("meta", "versionId").Str()
	for e := range r.Get("extension").Each() {
		switch e.Get("url").Str() {
		case extVersion:
			f.Version = e.Get("valueString").Str()
		case tcm.ExtDocumentSet:
			f.SetID = readIdentifier(e.Get("valueIdentifier"))
		}
	}
	f.Time = r.Get("date").Str()
	for c := range r.Path("type", "coding").Each() {
		switch {
		case c.Get("system").Str() == oidPrefix+cda.SystemDocuments:
			f.Template = c.Get("code").Str()
		case c.Get("code").Str() == "34108-1" && f.Template == "":
			f.Template = "C0002"
		}
	}
	if id := readIdentifier(r.Get("identifier")); id.Root == cda.RootDocument {
		f.DocID = id.Extension
	}
	for e := range r.Get("event").Each() {
		for d := range e.Get("detail").Each() {
			if id := d.Get("identifier"); id.Exists() {
				f.Events = append(f.Events, readIdentifier(id))
			}
		}
	}
	for s := range r.Get("section").Children() {
		sec := cda.Section{Title: s.Get("title").Str()}
		guide := false
		for c := range s.Path("code", "coding").Each() {
			switch c.Get("system").Str() {
			case tcm.SystemLOINC:
				sec.Code = cda.Code{Code: c.Get("code").Str(), System: cda.SystemLOINC, Display: c.Get("display").Str()}
			case tcm.SystemSection:
				guide = true
			}
		}
		for e := range s.Get("entry").Each() {
			g.section[e.Get("reference").Str()] = sec
		}
		if div := s.Path("text", "div").Str(); div != "" && !guide {
			f.Texts = append(f.Texts, Element{Section: sec, Entry: cda.Entry{Text: plain(div)}})
		}
	}
	g.readTime(r)
}

func (g *gathering) readTime(r fhir.Node) {
	for a := range r.Get("attester").Each() {
		if a.Get("mode").Str() == "personal" {
			g.facts.AuthorTime = a.Get("time").Str()
		}
	}
}

// attesters reads who signed: a PractitionerRole names role and person.
func (g *gathering) attesters() {
	for _, r := range g.nodes {
		if r.ResourceType() != "Composition" {
			continue
		}
		g.facts.Signers = nil
		for a := range r.Get("attester").Each() {
			mode := a.Get("mode").Str()
			if mode == "personal" {
				continue
			}
			s := cda.Signer{Legal: mode == "legal", Time: g.timestamp(a.Get("time").Str()), Name: a.Path("party", "display").Str()}
			if role := g.find(a.Path("party", "reference").Str()); role.ResourceType() == "PractitionerRole" {
				s.Role = role.Path("code", "text").Str()
				s.Name = first(role.Path("practitioner", "display").Str(), s.Name)
				if id := role.Get("identifier").At(0); id.Exists() {
					s.ID = readIdentifier(id)
				}
			}
			g.facts.Signers = append(g.facts.Signers, s)
		}
	}
}

// covered are the types that the head reads, or that stand for nothing of their own.
var covered = []string{"Composition", "Organization", "Practitioner", "PractitionerRole", "Patient", "Encounter", "Coverage", "Medication", "OperationOutcome", "Provenance"}

func (g *gathering) clinical(list []fhir.Node) {
	for _, r := range list {
		if r.ResourceType() == "Observation" {
			for m := range r.Get("hasMember").Each() {
				if n := g.find(m.Get("reference").Str()); n.Exists() {
					g.members[n.Get("id").Str()] = true
				}
			}
		}
	}
	conditions := []tcm.Condition{}
	for _, r := range list {
		f, typ := g.facts, r.ResourceType()
		switch typ {
		case "Condition":
			if c, ok := g.coded(r); ok {
				f.Coded = append(f.Coded, c)
			} else {
				conditions = append(conditions, tcm.ReadCondition(r))
			}
		case "Observation":
			g.observation(r)
		case "ClinicalImpression":
			f.Reasoning = tcm.ReadDifferentiation(r)
		case "MedicationRequest":
			g.prescription(r)
		case "Procedure":
			f.Treatments = append(f.Treatments, tcm.ReadTreatment(r))
		case "ChargeItem":
			f.Charges = append(f.Charges, tcm.ReadCharge(r))
		default:
			if !slices.Contains(covered, typ) {
				g.add("warning", "cda-unplaced", typ+"/"+r.Get("id").Str(), typ+" 在共享文档中没有位置，未写入", typ+" has no place in shared documents and was not written")
			}
		}
	}
	g.facts.Diagnoses = g.diagnoses(conditions)
}

func (g *gathering) observation(r fhir.Node) {
	id := r.Get("id").Str()
	switch {
	case g.members[id]:
	case isElement(r):
		el := Element{Section: g.section["Observation/"+id], Entry: g.entry(r, g.find, 0), ID: id}
		if el.Section.Title == headerTitle {
			el.Section.Code = cda.Code{}
		}
		g.facts.Elements = append(g.facts.Elements, el)
	default:
		g.facts.Findings = append(g.facts.Findings, tcm.ReadFinding(r))
	}
}

func (g *gathering) prescription(r fhir.Node) {
	if ref := r.Path("medicationReference", "reference").Str(); ref != "" {
		p := tcm.ReadHerbalPrescription(r, g.find(ref))
		p.OrgCode = first(p.OrgCode, g.facts.Organization.Code)
		g.facts.Herbal = append(g.facts.Herbal, p)
		return
	}
	g.facts.Drugs = append(g.facts.Drugs, tcm.ReadDrugRequest(r))
}

// coded reads a Condition that is one data element of its own.
func (g *gathering) coded(r fhir.Node) (Coded, bool) {
	for cat := range r.Get("category").Each() {
		for c := range cat.Get("coding").Each() {
			if c.Get("system").Str() != oidPrefix+cda.SystemElements {
				continue
			}
			code, qualifier := g.elementCode(cat)
			cond := tcm.ReadCondition(r)
			e := cda.Entry{Kind: cda.Observation, Code: code, Qualifier: qualifier}
			return Coded{Element: Element{Section: g.section["Condition/"+cond.ID], Entry: e, ID: cond.ID}, Kind: cond.Kind, Coding: cond.Coding}, true
		}
	}
	return Coded{}, false
}

// diagnoses puts the Conditions of one diagnosis together: what names a TCM
// disease belongs to it; the order is that of the Encounter.
func (g *gathering) diagnoses(list []tcm.Condition) []tcm.Diagnosis {
	rank := map[string]int{}
	for i, id := range g.facts.Encounter.Diagnoses {
		rank[id] = i + 1
	}
	slices.SortStableFunc(list, func(a, b tcm.Condition) int {
		ra, rb := rank[a.ID], rank[b.ID]
		if (ra == 0) != (rb == 0) {
			return rb - ra
		}
		return ra - rb
	})
	var out []tcm.Diagnosis
	at := map[string]int{} // id of a TCM disease → index in out
	for _, c := range list {
		key := first(c.Disease, c.ID)
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, tcm.Diagnosis{Visit: c.Visit, Rank: i + 1})
		}
		switch c.Kind {
		case tcm.Disease:
			out[i].Disease = c.Coding
		case tcm.Syndrome:
			out[i].Syndrome = c.Coding
		default:
			out[i].Western = c.Coding
		}
	}
	return out
}

// complete derives what one resource leaves to another.
func (g *gathering) complete(root fhir.Node) error {
	f := g.facts
	f.Organization.Code = first(first(f.Organization.Code, f.Encounter.OrgCode), first(f.Record.OrgCode, f.Patient.OrgCode))
	f.Organization.Name = first(f.Organization.Name, first(f.Encounter.OrgName, f.Record.OrgName))
	f.Encounter.OrgCode, f.Encounter.OrgName = f.Organization.Code, f.Organization.Name
	if f.Doctor.No == "" {
		f.Doctor.Name = first(f.Doctor.Name, first(f.Encounter.DoctorName, f.Record.DoctorName))
	}
	f.Doctor.OrgCode = first(f.Doctor.OrgCode, f.Organization.Code)
	f.Encounter.VisitNo, f.Encounter.VisitType = first(f.Encounter.VisitNo, f.Record.VisitNo), first(f.Encounter.VisitType, f.Record.VisitType)
	if f.Record.Principles == nil {
		f.Record.Principles = f.Reasoning.Principles
	}
	f.Time = first(f.Time, f.Encounter.Start)
	if !f.Stay.Empty() || f.Encounter.Class == "IMP" && f.Encounter.Start != first(f.AuthorTime, f.Time) {
		f.Stay.Start = g.timestamp(f.Encounter.Start)
	}
	for i := range f.Herbal {
		f.Herbal[i].VisitNo = f.Encounter.VisitNo
	}
	for i := range f.Drugs {
		f.Drugs[i].VisitNo = f.Encounter.VisitNo
	}
	return g.enough(root)
}
