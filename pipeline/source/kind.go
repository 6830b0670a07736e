package source

import (
	"bytes"

	"github.com/qihuang-health/qihuang/fhir"
)

// The kinds of messages whose sender does not say more. A source's configured
// map overrides them.
const (
	KindFHIR  = "fhir"      // a resource or Bundle, JSON or XML
	KindRows  = "rows"      // rows of a table, see adapters/table
	KindVisit = "his-visit" // a visit document
	KindCDA   = "cda"       // a clinical document
	KindV2    = "hl7v2"     // an HL7 v2 message
	KindJSON  = "json"      // any other JSON
	KindXML   = "xml"       // any other XML
)

// KindOf tells by its content what a message is: "" if it is nothing we know.
func KindOf(body []byte) (kind, contentType string) {
	head := bytes.TrimLeft(body[:min(len(body), 4096)], "\ufeff \t\r\n\x0b")
	switch {
	case len(head) == 0:
		return "", ""
	case bytes.HasPrefix(head, []byte("MSH")):
		return KindV2, "x-application/hl7-v2+er7"
	case head[0] == '<':
		return kindOfXML(head), "application/xml"
	case head[0] == '{' || head[0] == '[':
		return kindOfJSON(body), "application/json"
	}
	return "", ""
}

// kindOfXML looks at the beginning only: the reader proper comes later.
func kindOfXML(head []byte) string {
	switch {
	case bytes.Contains(head, []byte("ClinicalDocument")):
		return KindCDA
	case bytes.Contains(head, []byte(`"http://hl7.org/fhir"`)), bytes.Contains(head, []byte(`'http://hl7.org/fhir'`)):
		return KindFHIR
	}
	return KindXML
}

func kindOfJSON(body []byte) string {
	tree, err := fhir.Parse(body)
	if err != nil {
		return KindJSON // its reader will say what is wrong
	}
	root := tree.Root()
	switch {
	case root.Get("resourceType").Exists():
		return KindFHIR
	case root.Get("table").Exists() && root.Get("rows").Exists():
		return KindRows
	case root.Get("orgCode").Exists() && root.Get("visitNo").Exists():
		return KindVisit
	}
	return KindJSON
}
