package xds

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// The identifiers of ITI TF-3 tables 4.2.5.1 and 4.2.5.2.
const (
	objectType      = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1" // stable document entry
	statusPrefix    = "urn:oasis:names:tc:ebxml-regrep:StatusType:"
	schemeUniqueID  = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
	schemePatientID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
	schemeAuthor    = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
	schemeClass     = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
	schemeType      = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
	schemeFormat    = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
	schemeFacility  = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
	schemePractice  = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"

	nsRIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
	nsLCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
)

// SubmitObjectsRequest writes entries as the content of ITI-42.
func SubmitObjectsRequest(entries ...Entry) []byte {
	var b strings.Builder
	b.WriteString(`<lcm:SubmitObjectsRequest xmlns:lcm="` + nsLCM + `" xmlns:rim="` + nsRIM + `"><rim:RegistryObjectList>`)
	for i := range entries {
		entries[i].write(&b)
	}
	b.WriteString(`</rim:RegistryObjectList></lcm:SubmitObjectsRequest>`)
	return []byte(b.String())
}

func (e *Entry) write(b *strings.Builder) {
	esc := soap.Escape
	status := "Approved"
	if e.Status == "superseded" {
		status = "Deprecated"
	}
	b.WriteString(`<rim:ExtrinsicObject id="` + esc(e.EntryUUID) + `" mimeType="` + esc(e.MimeType) + `" objectType="` + objectType + `" status="` + statusPrefix + status + `">`)
	slot := func(name, value string) {
		if value != "" {
			b.WriteString(`<rim:Slot name="` + name + `"><rim:ValueList><rim:Value>` + esc(value) + `</rim:Value></rim:ValueList></rim:Slot>`)
		}
	}
	slot("creationTime", e.Creation)
	slot("hash", e.Hash)
	if e.Size > 0 {
		slot("size", itoa(e.Size))
	}
	slot("languageCode", e.Language)
	slot("repositoryUniqueId", e.RepositoryID)
	slot("URI", e.URI)
	if e.Title != "" {
		b.WriteString(`<rim:Name><rim:LocalizedString xml:lang="zh-CN" value="` + esc(e.Title) + `"/></rim:Name>`)
	}
	n := 0
	class := func(scheme string, c Code) {
		if c.Code == "" {
			return
		}
		n++
		b.WriteString(`<rim:Classification id="c` + itoa(n) + `" classificationScheme="` + scheme + `" classifiedObject="` + esc(e.EntryUUID) + `" nodeRepresentation="` + esc(c.Code) + `">`)
		slot("codingScheme", c.Scheme)
		b.WriteString(`<rim:Name><rim:LocalizedString value="` + esc(c.Display) + `"/></rim:Name></rim:Classification>`)
	}
	if e.Author != "" || e.Institution != "" {
		b.WriteString(`<rim:Classification id="a1" classificationScheme="` + schemeAuthor + `" classifiedObject="` + esc(e.EntryUUID) + `" nodeRepresentation="">`)
		slot("authorPerson", e.Author)
		slot("authorInstitution", e.Institution)
		b.WriteString(`</rim:Classification>`)
	}
	class(schemeClass, e.Class)
	class(schemeType, e.Type)
	class(schemeFormat, e.Format)
	class(schemeFacility, e.Facility)
	class(schemePractice, e.Practice)
	for i, x := range []struct{ scheme, name, value string }{{schemePatientID, "XDSDocumentEntry.patientId", e.PatientID}, {schemeUniqueID, "XDSDocumentEntry.uniqueId", e.UniqueID}} {
		b.WriteString(`<rim:ExternalIdentifier id="e` + itoa(i+1) + `" registryObject="` + esc(e.EntryUUID) + `" identificationScheme="` + x.scheme + `" value="` + esc(x.value) +
			`"><rim:Name><rim:LocalizedString value="` + x.name + `"/></rim:Name></rim:ExternalIdentifier>`)
	}
	b.WriteString(`</rim:ExtrinsicObject>`)
}

// maxEntries bounds one submission.
const maxEntries = 1000

// Parse reads the document entries of a submission; fault.Invalid with the place
// of what is missing.
func Parse(text []byte) ([]Entry, error) {
	doc, err := xmlread.Parse(text, xmlread.Default())
	if err != nil {
		return nil, err
	}
	list := doc.Root
	if list.Child("RegistryObjectList") != nil {
		list = list.Child("RegistryObjectList")
	}
	var out []Entry
	for o := range list.All("ExtrinsicObject") {
		if len(out) == maxEntries {
			return nil, fault.New(fault.TooCostly, "一次最多注册 %d 份文档", maxEntries)
		}
		e, err := read(o)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, "没有文档条目（ExtrinsicObject）")
	}
	return out, nil
}

func read(o *xmlread.Element) (Entry, error) {
	e := Entry{EntryUUID: o.Attr("id"), MimeType: o.Attr("mimeType"), Status: "current", Title: localized(o), Creation: slot(o, "creationTime"), Hash: slot(o, "hash"),
		Language: slot(o, "languageCode"), RepositoryID: slot(o, "repositoryUniqueId"), URI: slot(o, "URI")}
	if strings.HasSuffix(o.Attr("status"), "Deprecated") {
		e.Status = "superseded"
	}
	e.Size, _ = strconv.Atoi(slot(o, "size")) // absent or wrong = unknown
	targets := map[string]*Code{schemeClass: &e.Class, schemeType: &e.Type, schemeFormat: &e.Format, schemeFacility: &e.Facility, schemePractice: &e.Practice}
	for c := range o.All("Classification") {
		if c.Attr("classificationScheme") == schemeAuthor {
			e.Author, e.Institution = slot(c, "authorPerson"), slot(c, "authorInstitution")
		} else if t := targets[c.Attr("classificationScheme")]; t != nil {
			*t = Code{slot(c, "codingScheme"), c.Attr("nodeRepresentation"), localized(c)}
		}
	}
	for x := range o.All("ExternalIdentifier") {
		switch x.Attr("identificationScheme") {
		case schemePatientID:
			e.PatientID = x.Attr("value")
		case schemeUniqueID:
			e.UniqueID = x.Attr("value")
		}
	}
	for name, v := range map[string]string{"uniqueId": e.UniqueID, "patientId": e.PatientID, "mimeType": e.MimeType} {
		if v == "" {
			line, col := o.Position()
			text := "文档条目缺少 " + name
			return e, fault.New(fault.Invalid, "%s", text).With(fault.Issue{Severity: "error", Code: "required", Key: "missing-metadata", Text: text, Expression: o.Path(), Line: line, Col: col})
		}
	}
	return e, nil
}

// slot is the first value of a slot.
func slot(o *xmlread.Element, name string) string {
	for s := range o.All("Slot") {
		if s.Attr("name") == name {
			if v := s.Find("ValueList", "Value"); v != nil {
				return v.Value()
			}
		}
	}
	return ""
}

func localized(o *xmlread.Element) string {
	if l := o.Find("Name", "LocalizedString"); l != nil {
		return l.Attr("value")
	}
	return ""
}
