// Package patch applies JSON Patch (RFC 6902), FHIRPath Patch
// (https://hl7.org/fhir/R4/fhirpatch.html) and XML Patch (RFC 5261) to raw JSON
// resources. Every byte that an operation does not touch stays as it was, but for
// XML Patch, which goes by way of the XML form.
package patch

import (
	"mime"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of one patch, so that a small body cannot cause much work: an operation
// costs about one pass over the document.
const (
	maxOperations = 10_000    // of a JSON Patch
	maxChanges    = 1_000     // of a FHIRPath Patch
	maxSteps      = 1_000_000 // of one FHIRPath expression
	maxDocument   = 64 << 20  // bytes of the document after any operation
	maxWork       = 512 << 20 // bytes scanned in all
)

// Patcher applies patches by media type. It is safe for concurrent use, pure and
// deterministic.
type Patcher struct{ fp *fhirpath.Engine }

// New returns a patcher that evaluates FHIRPath Patch with the given engine.
func New(fp *fhirpath.Engine) *Patcher { return &Patcher{fp} }

// Patch applies a patch body to a resource and returns the patched JSON.
// mediaType tells the kind: application/json-patch+json, or application/fhir+json
// (also application/json) and application/fhir+xml for Parameters, or
// application/xml-patch+xml. An unknown one
// is fault.Unsupported; a patch that is malformed or does not apply is
// fault.Invalid with the place; one over a limit is fault.TooCostly.
func (p *Patcher) Patch(resource []byte, mediaType string, patch []byte) ([]byte, error) {
	base, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		base = mediaType
	}
	switch base {
	case "application/json-patch+json":
		return JSON(resource, patch)
	case "application/fhir+json", "application/json":
		return FHIRPath(p.fp, resource, patch)
	case "application/fhir+xml", "application/xml":
		if patch, err = xml.ToJSON(p.fp.Model(), patch); err != nil {
			return nil, err
		}
		return FHIRPath(p.fp, resource, patch)
	case "application/xml-patch+xml":
		return XML(p.fp.Model(), resource, patch)
	}
	return nil, fault.New(fault.Unsupported, "patch of media type %.60q", base)
}

// refuse makes the error for operation number i (from 0) at a place.
func refuse(i int, place, key, zh, en string) error {
	return fault.New(fault.Invalid, "patch operation %d", i).With(fault.Issue{Severity: "error", Code: "processing",
		Key: key, Text: zh, TextEN: en, Expression: place})
}

// document is a resource being patched.
type document struct {
	src    []byte
	parser fhir.Parser
	root   fhir.Node
	work   int
}

func open(src []byte) (*document, error) {
	d := &document{}
	return d, d.load(src)
}

func (d *document) load(src []byte) error {
	if d.work += len(src); d.work > maxWork || len(src) > maxDocument {
		return fault.New(fault.TooCostly, "patch: too much work (document of %d bytes)", len(src))
	}
	tree, err := d.parser.Parse(src)
	if err != nil {
		return err
	}
	d.src, d.root = src, tree.Root()
	return nil
}

// apply makes the edits. Nodes taken before are invalid afterwards.
func (d *document) apply(edits ...fhir.Edit) error { return d.load(fhir.Splice(d.src, edits...)) }

// set gives the object a member; value is JSON text.
func (d *document) set(object fhir.Node, key string, value []byte) error {
	return d.apply(fhir.SetMember(object, key, value))
}
