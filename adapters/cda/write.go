package cda

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Append writes the document as XML in UTF-8 behind dst. Equal documents give
// equal bytes. Characters that XML cannot hold are written as U+FFFD.
func Append(dst []byte, d *Document, t *Template) []byte {
	w := writer{b: dst, template: t}
	w.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`)
	w.raw(`<realmCode code="CN"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_MT000040"/>`)
	w.empty("templateId", "root", t.OID)
	w.id("id", d.ID)
	w.empty("code", "code", t.Code, "codeSystem", SystemDocuments, "codeSystemName", "卫生信息共享文档规范编码体系")
	w.text("title", first(d.Title, t.Title))
	w.time("effectiveTime", d.Time)
	w.raw(`<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25" codeSystemName="Confidentiality" displayName="正常访问保密级别"/><languageCode code="zh-CN"/>`)
	if d.SetID != (ID{}) {
		w.id("setId", d.SetID)
	}
	if d.Version != "" {
		w.empty("versionNumber", "value", d.Version)
	}
	w.patient(&d.Patient)
	for _, a := range d.Authors {
		w.author(a)
	}
	w.raw(`<custodian typeCode="CST"><assignedCustodian classCode="ASSIGNED"><representedCustodianOrganization classCode="ORG" determinerCode="INSTANCE">`)
	w.organization(d.Custodian)
	w.raw(`</representedCustodianOrganization></assignedCustodian></custodian>`)
	w.signers(d.Signers)
	w.stay(d.Stay)
	w.raw(`<component><structuredBody>`)
	for i := range d.Sections {
		w.section(&d.Sections[i])
	}
	w.raw("</structuredBody></component></ClinicalDocument>\n")
	return w.b
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

type writer struct {
	b        []byte
	template *Template
}

func (w *writer) raw(s string) { w.b = append(w.b, s...) }

// empty writes an element of attributes (name, value pairs); empty values are
// left out.
func (w *writer) empty(name string, attrs ...string) {
	w.open(name, attrs...)
	w.b = append(w.b[:len(w.b)-1], "/>"...)
}

func (w *writer) open(name string, attrs ...string) {
	w.b = append(append(w.b, '<'), name...)
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] == "" {
			continue
		}
		w.b = append(append(append(w.b, ' '), attrs[i]...), `="`...)
		w.escape(attrs[i+1], true)
		w.b = append(w.b, '"')
	}
	w.b = append(w.b, '>')
}

func (w *writer) close(name string) {
	w.b = append(append(append(w.b, "</"...), name...), '>')
}

func (w *writer) text(name, s string, attrs ...string) {
	w.open(name, attrs...)
	w.escape(s, false)
	w.close(name)
}

// escape writes character data; line ends in attributes stay line ends.
func (w *writer) escape(s string, attr bool) {
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '&' && c != '<' && c != '>' && c != '"' {
			w.b = append(w.b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '&':
			w.raw("&amp;")
		case r == '<':
			w.raw("&lt;")
		case r == '>':
			w.raw("&gt;")
		case r == '"' && attr:
			w.raw("&quot;")
		case r == '\r', attr && (r == '\n' || r == '\t'):
			w.raw("&#" + strconv.Itoa(int(r)) + ";")
		case r < 0x20 && r != '\n' && r != '\t', r == 0xFFFE, r == 0xFFFF:
			w.raw("\uFFFD")
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
}

func (w *writer) id(name string, id ID) {
	if id == (ID{}) {
		w.empty(name, "nullFlavor", "NI")
		return
	}
	w.empty(name, "root", id.Root, "extension", id.Extension, "assigningAuthorityName", id.Authority)
}

func (w *writer) time(name, ts string) {
	if ts == "" {
		w.empty(name, "nullFlavor", "NI")
		return
	}
	w.empty(name, "value", ts)
}

// code writes a coded element, with the attributes given before its own.
func (w *writer) code(name string, c Code, attrs ...string) {
	attrs = append(attrs, "code", c.Code, "codeSystem", c.System, "codeSystemName", c.SystemName, "codeSystemVersion", c.Version,
		"displayName", c.Display, "nullFlavor", c.NullFlavor)
	if c.Original == "" && c.Local == nil {
		w.empty(name, attrs...)
		return
	}
	w.open(name, attrs...)
	w.inside(c)
	w.close(name)
}

func (w *writer) inside(c Code) {
	if c.Original != "" {
		w.text("originalText", c.Original)
	}
	if c.Local != nil {
		w.code("translation", *c.Local)
	}
}

func (w *writer) organization(o Organization) {
	w.id("id", o.ID)
	if o.Name != "" {
		w.text("name", o.Name)
	}
}

func (w *writer) patient(p *Patient) {
	w.raw(`<recordTarget typeCode="RCT" contextControlCode="OP"><patientRole classCode="PAT">`)
	for _, id := range p.IDs {
		w.id("id", id)
	}
	if len(p.IDs) == 0 {
		w.id("id", ID{})
	}
	if p.Address != "" || p.Postcode != "" {
		w.open("addr", "use", "H")
		if p.Address != "" {
			w.text("streetAddressLine", p.Address)
		}
		if p.Postcode != "" {
			w.text("postalCode", p.Postcode)
		}
		w.close("addr")
	}
	if p.Phone != "" {
		w.empty("telecom", "value", p.Phone)
	}
	w.raw(`<patient classCode="PSN" determinerCode="INSTANCE">`)
	for _, id := range p.Numbers {
		w.id("id", id)
	}
	w.text("name", p.Name)
	w.optional("administrativeGenderCode", p.Gender)
	if p.BirthTime != "" {
		w.empty("birthTime", "value", p.BirthTime)
	}
	w.optional("maritalStatusCode", p.Marital)
	w.optional("ethnicGroupCode", p.Ethnicity)
	if p.Age != "" {
		w.empty("age", "unit", p.AgeUnit, "value", p.Age)
	}
	w.raw(`</patient>`)
	w.provider(p)
	w.raw(`</patientRole></recordTarget>`)
}

func (w *writer) optional(name string, c Code) {
	if c != (Code{}) {
		w.code(name, c)
	}
}

func (w *writer) provider(p *Patient) {
	if p.Department == (Organization{}) && p.Organization == (Organization{}) {
		return
	}
	w.raw(`<providerOrganization>`)
	dept := p.Department
	dept.ID.Root = first(dept.ID.Root, RootDepartment)
	w.organization(dept)
	w.raw(`<asOrganizationPartOf><wholeOrganization>`)
	w.organization(p.Organization)
	w.raw(`</wholeOrganization></asOrganizationPartOf></providerOrganization>`)
}

func (w *writer) author(a Author) {
	w.raw(`<author typeCode="AUT" contextControlCode="OP">`)
	w.time("time", a.Time)
	w.raw(`<assignedAuthor classCode="ASSIGNED">`)
	w.id("id", a.ID)
	w.open("assignedPerson")
	w.text("name", a.Name)
	w.raw(`</assignedPerson></assignedAuthor></author>`)
}

// signers writes the legal authenticator first, as the schema demands.
func (w *writer) signers(list []Signer) {
	for _, legal := range []bool{true, false} {
		name := "authenticator"
		if legal {
			name = "legalAuthenticator"
		}
		for _, s := range list {
			if s.Legal != legal {
				continue
			}
			w.open(name)
			w.time("time", s.Time)
			w.raw(`<signatureCode code="S"/><assignedEntity>`)
			w.id("id", s.ID)
			if s.Role != "" {
				w.empty("code", "displayName", s.Role)
			}
			w.raw(`<assignedPerson classCode="PSN" determinerCode="INSTANCE">`)
			w.text("name", s.Name)
			w.raw(`</assignedPerson></assignedEntity>`)
			w.close(name)
		}
	}
}

// stay writes the places one inside the other.
func (w *writer) stay(s Stay) {
	if s.Empty() {
		return
	}
	w.raw("<componentOf><encompassingEncounter><effectiveTime>")
	for _, t := range []struct{ name, value string }{{"low", s.Start}, {"high", s.End}} {
		if t.value != "" {
			w.empty(t.name, "value", t.value)
		}
	}
	w.raw("</effectiveTime>")
	if len(s.Places) > 0 {
		w.raw("<location><healthCareFacility><serviceProviderOrganization>")
		for i, p := range s.Places {
			if i > 0 {
				w.raw("<asOrganizationPartOf><wholeOrganization>")
			}
			w.organization(p)
		}
		for range s.Places[1:] {
			w.raw("</wholeOrganization></asOrganizationPartOf>")
		}
		w.raw("</serviceProviderOrganization></healthCareFacility></location>")
	}
	w.raw("</encompassingEncounter></componentOf>")
}

func (w *writer) section(s *Section) {
	w.raw(`<component><section>`)
	w.code("code", s.Code)
	if s.Title != "" {
		w.text("title", s.Title)
	}
	w.narrative(s.Text)
	for i := range s.Entries {
		w.raw("<entry>")
		w.entry(&s.Entries[i])
		w.raw("</entry>")
	}
	w.raw(`</section></component>`)
}

// narrative writes text as paragraphs, so that line ends are seen.
func (w *writer) narrative(s string) {
	if s == "" {
		w.raw("<text/>")
		return
	}
	w.raw("<text>")
	for line := range strings.SplitSeq(s, "\n") {
		w.text("paragraph", line)
	}
	w.raw("</text>")
}
