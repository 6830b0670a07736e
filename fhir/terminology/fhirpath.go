package terminology

import (
	"context"
	"net/url"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// FHIRPath returns the service as FHIRPath wants it: memberOf(), subsumes() and
// the functions of %terminologies
// (http://hl7.org/fhir/R4/fhirpath.html#txapi).
func (s *Service) FHIRPath() fhirpath.Terminology { return paths{s} }

type paths struct{ *Service }

// Operation implements fhirpath.Operations: expand(valueSet), lookup(coded),
// validateVS(valueSet, coded), validateCS(codeSystem, coded), subsumes(system,
// coded, coded), translate(conceptMap, coded), each with URL-encoded params.
func (p paths) Operation(ctx context.Context, name string, args []fhirpath.Item, params string) (fhir.Node, error) {
	q, err := url.ParseQuery(params)
	if err != nil {
		return fhir.Node{}, fault.New(fault.Invalid, "%%terminologies.%s: params: %w", name, err)
	}
	in := QueryParams(q)
	op, typ, names := "", "", []string(nil)
	switch name {
	case "expand":
		op, typ, names = "expand", "ValueSet", []string{"url valueSet"}
	case "lookup":
		op, typ, names = "lookup", "CodeSystem", []string{"coded"}
	case "validateVS":
		op, typ, names = "validate-code", "ValueSet", []string{"url valueSet", "coded"}
	case "validateCS":
		op, typ, names = "validate-code", "CodeSystem", []string{"url codeSystem", "coded"}
	case "subsumes":
		op, typ, names = "subsumes", "CodeSystem", []string{"system", "codeA codingA", "codeB codingB"}
	case "translate":
		op, typ, names = "translate", "ConceptMap", []string{"url conceptMap", "coded"}
	}
	if op == "" || len(args) != len(names) {
		return fhir.Node{}, fault.New(fault.Invalid, "%%terminologies.%s with %d arguments", name, len(args))
	}
	for i, a := range args {
		in.list = append(in.list, argument(names[i], a))
	}
	out, err := p.Service.Operation(ctx, op, typ, "", in)
	if err != nil {
		return fhir.Node{}, err
	}
	tree, err := fhir.Parse(out)
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}

// argument turns an item into a parameter. names are what it is called as a
// text and as an object.
func argument(names string, a fhirpath.Item) param {
	text, object := names, names
	for i := range names {
		if names[i] == ' ' {
			text, object = names[:i], names[i+1:]
		}
	}
	n, _ := a.Node()
	if n.Kind() != fhir.Object {
		if names == "coded" {
			text = "code"
		}
		return param{name: text, text: a.String()}
	}
	if names == "coded" {
		object = "coding"
		if a.Type() == "CodeableConcept" || n.Get("coding").Exists() {
			object = "codeableConcept"
		}
	}
	return param{name: object, value: n}
}
