package cda

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// Limits of a shared document: they are small, even with an embedded picture.
func limits(charset string) xmlread.Limits {
	l := xmlread.Default()
	l.Size, l.Depth, l.Tokens, l.Charset = 32<<20, 64, 1_000_000, charset
	return l
}

// Read reads a document in any charset that package xmlread knows; charset is
// what the transport stated, "" for none. Issues name what was read but has no
// value here. The error is fault.Invalid for what is no CDA at all.
func Read(data []byte, charset string) (*Document, []fault.Issue, error) {
	doc, err := xmlread.Parse(data, limits(charset))
	if err != nil {
		return nil, nil, err
	}
	root := doc.Root
	if root.Name.Local != "ClinicalDocument" || root.Name.Space != Namespace {
		return nil, nil, fault.New(fault.Invalid, "no CDA document").With(issue(root, "fatal", "structure", "cda-root",
			"根元素应为 urn:hl7-org:v3 的 ClinicalDocument", "the root element must be ClinicalDocument of urn:hl7-org:v3"))
	}
	r := &reader{}
	d := r.document(root)
	return d, r.issues, nil
}

// issue is a finding at an element.
func issue(e *xmlread.Element, severity, code, key, zh, en string) fault.Issue {
	is := fault.Issue{Severity: severity, Code: code, Key: key, Text: zh, TextEN: en, Expression: e.Path()}
	if e != nil {
		is.Line, is.Col = e.Position()
	}
	return is
}

type reader struct{ issues []fault.Issue }

// maxIssues bounds what one document can report.
const maxIssues = 200

func (r *reader) note(e *xmlread.Element, severity, code, key, zh, en string) {
	if len(r.issues) < maxIssues {
		r.issues = append(r.issues, issue(e, severity, code, key, zh, en))
	}
}

// rest notes the children of e that are none of the known ones.
func (r *reader) rest(e *xmlread.Element, known ...string) {
	if e == nil {
		return
	}
	for _, c := range e.Children {
		if !slices.Contains(known, c.Name.Local) {
			r.note(c, "information", "not-supported", "cda-unread", "元素 "+c.Name.Local+" 没有对应的位置，未转换",
				"element "+c.Name.Local+" has no place here and was not converted")
		}
	}
}

func (r *reader) document(e *xmlread.Element) *Document {
	code := e.Child("code")
	d := &Document{el: e, Template: code.Attr("code"), TemplateID: e.Child("templateId").Attr("root"), ID: readID(e.Child("id")),
		Title: e.Child("title").Value(), Time: e.Child("effectiveTime").Attr("value"), SetID: readID(e.Child("setId")),
		Version: e.Child("versionNumber").Attr("value")}
	d.Patient = r.patient(e.Find("recordTarget", "patientRole"))
	for a := range e.All("author") {
		role := a.Child("assignedAuthor")
		d.Authors = append(d.Authors, Author{Time: a.Child("time").Attr("value"), ID: readID(role.Child("id")),
			Name: personName(role.Find("assignedPerson", "name"))})
	}
	d.Custodian = readOrganization(e.Find("custodian", "assignedCustodian", "representedCustodianOrganization"))
	for _, c := range e.Children {
		if n := c.Name.Local; n == "authenticator" || n == "legalAuthenticator" {
			d.Signers = append(d.Signers, readSigner(c, n == "legalAuthenticator"))
		}
	}
	d.Stay = readStay(e.Find("componentOf", "encompassingEncounter"))
	r.rest(e, "componentOf", "realmCode", "typeId", "templateId", "id", "code", "title", "effectiveTime", "confidentialityCode", "languageCode",
		"setId", "versionNumber", "recordTarget", "author", "custodian", "authenticator", "legalAuthenticator", "component")
	if body := e.Find("component", "nonXMLBody"); body != nil {
		r.note(body, "error", "not-supported", "cda-non-xml", "正文是非结构化内容（nonXMLBody），不能转换", "a nonXMLBody cannot be converted")
	}
	for c := range e.Find("component", "structuredBody").All("component") {
		for s := range c.All("section") {
			d.Sections = r.section(d.Sections, s)
		}
	}
	return d
}

// readStay reads the encounter a document belongs to; at most eight places.
func readStay(e *xmlread.Element) Stay {
	t := e.Child("effectiveTime")
	s := Stay{Start: first(t.Child("low").Attr("value"), t.Attr("value")), End: t.Child("high").Attr("value")}
	for o := e.Find("location", "healthCareFacility", "serviceProviderOrganization"); o != nil && len(s.Places) < 8; o = o.Find("asOrganizationPartOf", "wholeOrganization") {
		if p := readOrganization(o); p != (Organization{}) {
			s.Places = append(s.Places, p)
		}
	}
	return s
}

func readID(e *xmlread.Element) ID {
	if e == nil {
		return ID{}
	}
	return ID{Root: e.Attr("root"), Extension: strings.TrimSpace(e.Attr("extension")), Authority: e.Attr("assigningAuthorityName")}
}

func readIDs(e *xmlread.Element) []ID {
	var out []ID
	for c := range e.All("id") {
		if id := readID(c); id != (ID{}) {
			out = append(out, id)
		}
	}
	return out
}

func readOrganization(e *xmlread.Element) Organization {
	return Organization{ID: readID(e.Child("id")), Name: e.Child("name").Value()}
}

// personName joins the parts of a name that has no text of its own.
func personName(e *xmlread.Element) string {
	if v := e.Value(); v != "" || e == nil {
		return v
	}
	var family, given string
	for _, c := range e.Children {
		switch c.Name.Local {
		case "family":
			family += c.Value()
		case "given":
			given += c.Value()
		}
	}
	return family + given
}

func readSigner(e *xmlread.Element, legal bool) Signer {
	who := e.Child("assignedEntity")
	return Signer{Legal: legal, Time: e.Child("time").Attr("value"), ID: readID(who.Child("id")),
		Role: who.Child("code").Attr("displayName"), Name: personName(who.Find("assignedPerson", "name"))}
}

func (r *reader) patient(e *xmlread.Element) Patient {
	p := e.Child("patient")
	out := Patient{el: e, IDs: readIDs(e), Numbers: readIDs(p), Name: personName(p.Child("name")), Gender: readCode(p.Child("administrativeGenderCode")),
		BirthTime: p.Child("birthTime").Attr("value"), Age: p.Child("age").Attr("value"), AgeUnit: p.Child("age").Attr("unit"),
		Marital: readCode(p.Child("maritalStatusCode")), Ethnicity: readCode(p.Child("ethnicGroupCode")),
		Phone: strings.TrimPrefix(e.Child("telecom").Attr("value"), "tel:")}
	if a := e.Child("addr"); a != nil {
		out.Postcode = a.Child("postalCode").Value()
		out.Address = a.Value()
		for _, c := range a.Children {
			if c.Name.Local != "postalCode" {
				out.Address += c.Value()
			}
		}
	}
	org := e.Child("providerOrganization")
	out.Department, out.Organization = readOrganization(org), readOrganization(org.Find("asOrganizationPartOf", "wholeOrganization"))
	if out.Organization == (Organization{}) && out.Department.ID.Root == RootOrg {
		out.Department, out.Organization = Organization{}, out.Department
	}
	if out.Department.ID == (ID{Root: RootDepartment}) {
		out.Department.ID = ID{}
	}
	r.rest(e, "id", "addr", "telecom", "patient", "providerOrganization")
	r.rest(p, "id", "name", "administrativeGenderCode", "birthTime", "age", "maritalStatusCode", "ethnicGroupCode")
	return out
}

// section reads a section; those inside it follow it as sections of their own.
func (r *reader) section(to []Section, e *xmlread.Element) []Section {
	s := Section{el: e, Code: readCode(e.Child("code")), Title: e.Child("title").Value(), Text: r.narrative(e.Child("text"))}
	for en := range e.All("entry") {
		for _, c := range en.Children {
			s.Entries = r.entry(s.Entries, c)
		}
	}
	r.rest(e, "templateId", "id", "code", "title", "text", "entry", "component")
	to = append(to, s)
	for c := range e.All("component") {
		for inner := range c.All("section") {
			to = r.section(to, inner)
		}
	}
	return to
}
