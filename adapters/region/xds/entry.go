// Package xds is the metadata by which a document is registered at another
// platform: an XDS document entry as ebRIM 3.0 (IHE ITI TF-3 §4.2), the content
// of ITI-42, made of a DocumentReference and read back into one. It does no I/O.
package xds

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Code is a coded value with its scheme.
type Code struct{ Scheme, Code, Display string }

// Entry is the metadata of one document.
type Entry struct {
	UniqueID     string // of the document, an OID or a URI
	EntryUUID    string
	PatientID    string // CX: id^^^&authority&ISO
	Status       string // current | superseded
	Title        string
	MimeType     string
	Hash         string // SHA-1, hex
	Size         int
	Creation     string // DTM, YYYYMMDDHHMMSS
	Language     string
	Author       string
	Institution  string // organisation code
	Class        Code
	Type         Code
	Format       Code
	Facility     Code
	Practice     Code
	URI          string // where the document can be fetched
	RepositoryID string
}

// FromDocumentReference reads the metadata of a DocumentReference; fault.Invalid
// where an entry's required parts are missing.
func FromDocumentReference(n fhir.Node) (Entry, error) {
	a := n.Path("content", "attachment")
	subject := n.Get("subject")
	e := Entry{UniqueID: n.Path("masterIdentifier", "value").Str(), EntryUUID: "urn:uuid:" + tcm.ID("doc", n.Get("id").Str()), Status: n.Get("status").Str(),
		Title: n.Get("description").Str(), MimeType: a.Get("contentType").Str(), Language: a.Get("language").Str(), URI: a.Get("url").Str(),
		Class: code(n.Path("category")), Type: code(n.Get("type")), Format: coding(n.Path("content", "format")), Facility: code(n.Path("context", "facilityType")),
		Practice: code(n.Path("context", "practiceSetting")), Author: n.Path("author", "display").Str(), Institution: n.Path("custodian", "identifier", "value").Str()}
	if e.UniqueID == "" {
		e.UniqueID = "urn:qihuang:document:" + n.Get("id").Str()
	}
	if e.Title == "" {
		e.Title = a.Get("title").Str()
	}
	if v := subject.Path("identifier", "value").Str(); v != "" {
		e.PatientID = v + "^^^&" + strings.TrimPrefix(subject.Path("identifier", "system").Str(), "urn:oid:") + "&ISO"
	} else if r := subject.Get("reference").Str(); r != "" {
		e.PatientID = strings.TrimPrefix(r, "Patient/") + "^^^&" + tcm.Base + "&ISO"
	}
	if h, err := base64.StdEncoding.DecodeString(a.Get("hash").Str()); err == nil {
		e.Hash = hex.EncodeToString(h)
	}
	if size, ok := a.Get("size").Int(); ok {
		e.Size = int(size)
	}
	for _, at := range []string{a.Get("creation").Str(), n.Get("date").Str()} {
		if t, err := time.Parse(time.RFC3339, at); err == nil && e.Creation == "" {
			e.Creation = t.UTC().Format("20060102150405")
		}
	}
	if e.PatientID == "" || e.MimeType == "" {
		return e, fault.New(fault.Invalid, "DocumentReference 缺少 subject 或 content.attachment.contentType，不能注册")
	}
	return e, nil
}

func code(n fhir.Node) Code {
	if n.Kind() == fhir.Array {
		n = n.First()
	}
	c := coding(n.Path("coding"))
	if c.Display == "" {
		c.Display = n.Get("text").Str()
	}
	return c
}

func coding(n fhir.Node) Code {
	if n.Kind() == fhir.Array {
		n = n.First()
	}
	return Code{n.Get("system").Str(), n.Get("code").Str(), n.Get("display").Str()}
}

func ptr[T any](v T) *T { return &v }

func str(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c Code) concept() *r4.CodeableConcept {
	if c.Code == "" && c.Display == "" {
		return nil
	}
	out := &r4.CodeableConcept{Text: str(c.Display)}
	if c.Code != "" {
		out.Coding = []r4.Coding{{System: str(c.Scheme), Code: &c.Code, Display: str(c.Display)}}
	}
	return out
}

// ID is the id of the DocumentReference that an entry of another platform becomes.
func (e Entry) ID(source string) string { return tcm.ID("docref", source, e.UniqueID) }

// DocumentReference builds the resource of an entry that source registered.
// binary is the id of the stored document, "" if only its address is known.
func (e Entry) DocumentReference(source, binary string) tcm.Resource {
	id := e.ID(source)
	patient, authority, _ := strings.Cut(e.PatientID, "^^^&")
	authority, _, _ = strings.Cut(authority, "&")
	if authority != "" && !strings.Contains(authority, ":") {
		authority = "urn:oid:" + authority
	}
	out := r4.DocumentReference{Id: &id, Status: r4.DocumentReferenceStatusCurrent, MasterIdentifier: &r4.Identifier{System: ptr("urn:ietf:rfc:3986"), Value: ptr(uri(e.UniqueID))},
		Subject: &r4.Reference{Identifier: &r4.Identifier{System: str(authority), Value: &patient}}, Type: e.Type.concept(), Description: str(e.Title),
		Content: []r4.DocumentReferenceContent{{Attachment: r4.Attachment{ContentType: &e.MimeType, Language: str(e.Language), Url: str(e.URI), Title: str(e.Title)}}}}
	if e.Status == "superseded" {
		out.Status = r4.DocumentReferenceStatusSuperseded
	}
	a := &out.Content[0].Attachment
	if binary != "" {
		a.Url = ptr("Binary/" + binary)
	}
	if h, err := hex.DecodeString(e.Hash); err == nil && len(h) == 20 {
		a.Hash = ptr(base64.StdEncoding.EncodeToString(h))
	}
	if e.Size > 0 {
		a.Size = &e.Size
	}
	if t, err := time.Parse("20060102150405", e.Creation); err == nil {
		a.Creation, out.Date = ptr(t.UTC().Format(time.RFC3339)), ptr(t.UTC().Format(time.RFC3339))
	}
	if c := e.Class.concept(); c != nil {
		out.Category = []r4.CodeableConcept{*c}
	}
	if e.Format.Code != "" {
		out.Content[0].Format = &r4.Coding{System: str(e.Format.Scheme), Code: &e.Format.Code, Display: str(e.Format.Display)}
	}
	if e.Author != "" {
		out.Author = []r4.Reference{{Display: &e.Author}}
	}
	if e.Institution != "" {
		out.Custodian = &r4.Reference{Identifier: &r4.Identifier{System: ptr(tcm.SystemOrg), Value: &e.Institution}}
	}
	if e.Facility != (Code{}) || e.Practice != (Code{}) {
		out.Context = &r4.DocumentReferenceContext{FacilityType: e.Facility.concept(), PracticeSetting: e.Practice.concept()}
	}
	return tcm.Resource{Type: "DocumentReference", ID: id, Model: out}
}

// uri writes a unique id as FHIR's masterIdentifier does.
func uri(id string) string {
	if strings.Trim(id, "0123456789.") == "" {
		return "urn:oid:" + id
	}
	return id
}

func itoa(n int) string { return strconv.Itoa(n) }

// Seal sets size and hash of the document.
func (e *Entry) Seal(document []byte) {
	sum := sha1.Sum(document) //nolint:gosec // ITI TF-3 §4.2.3.2.10 says SHA-1
	e.Size, e.Hash = len(document), hex.EncodeToString(sum[:])
}

// Check compares a document with the entry's size and hash, where it has them.
func (e *Entry) Check(document []byte) error {
	is := Entry{}
	is.Seal(document)
	if e.Size != 0 && e.Size != is.Size || e.Hash != "" && !strings.EqualFold(e.Hash, is.Hash) {
		return fault.New(fault.Invalid, "文档与元数据的 size 或 hash 不符")
	}
	return nil
}
