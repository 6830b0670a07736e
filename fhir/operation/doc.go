// Package operation holds the FHIR operations ($name) of the hub
// (https://hl7.org/fhir/R4/operationslist.html), one file each. [All] names
// them; the wiring gives them to the REST server.
package operation

import (
	"context"
	"net/url"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath/lab"
	"github.com/qihuang-health/qihuang/fhir/graphql"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/offer"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Parts are the engines that operations stand on. Where one is nil its
// operations are not offered.
type Parts struct {
	Validator   *validate.Validator
	Terminology *terminology.Service
	FHIRPath    *lab.Lab
	GraphQL     *graphql.Service
	// Parameters lists the stored SearchParameter resources and where they stand.
	Parameters func() []offer.Parameter
	// Reindex indexes every current resource anew and tells how many are done.
	Reindex func(ctx context.Context, progress func(resources int64)) error
}

// All returns every operation the parts allow.
func All(p Parts) []server.Operation {
	ops := []server.Operation{everything(), document(), meta(), metaAdd(), metaDelete(), lastn(), diff(), explain(), purge(), match()}
	if p.Validator != nil {
		ops = append(ops, validation(p.Validator))
	}
	if p.Terminology != nil {
		ops = append(append(ops, terminologyOps(p.Terminology)...), termCapabilities(p.Terminology))
	}
	if p.Parameters != nil {
		ops = append(ops, indexStatus(p.Parameters))
	}
	if p.Reindex != nil {
		ops = append(ops, reindex(p.Reindex))
	}
	if p.GraphQL != nil {
		ops = append(ops, graphQL(p.GraphQL))
	}
	if p.FHIRPath != nil {
		ops = append(ops, fhirPath(p.FHIRPath))
	}
	return ops
}

const coreOp = "http://hl7.org/fhir/OperationDefinition/"

// inputs are the simple parameters of an operation, from the query or from a
// Parameters resource.
type inputs struct {
	url.Values
	body fhir.Node // Parameters or another resource; absent without a body
}

func readInputs(r *server.Request) (inputs, error) {
	in := inputs{Values: url.Values{}}
	for k, v := range r.Params() {
		in.Values[k] = v
	}
	if len(r.Body) == 0 {
		return in, nil
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return in, err
	}
	in.body = tree.Root()
	if in.body.ResourceType() != "Parameters" {
		return in, nil
	}
	for p := range in.body.Get("parameter").Each() {
		for v := range p.Children() {
			if k := v.Key(); len(k) > 5 && k[:5] == "value" && v.Kind() != fhir.Object {
				in.Add(p.Get("name").Str(), v.Str())
			}
		}
	}
	return in, nil
}

// part returns a parameter of the body by name.
func (in inputs) part(name string) fhir.Node {
	for p := range in.body.Get("parameter").Each() {
		if p.Get("name").Str() == name {
			return p
		}
	}
	return fhir.Node{}
}

func invalid(key, zh, en string) error {
	return fault.New(fault.Invalid, "%s", en).With(fault.Issue{Severity: "error", Code: "invalid", Key: key, Text: zh, TextEN: en})
}

// reply answers 200 with JSON.
func reply(json []byte, err error) (*server.Reply, error) {
	if err != nil {
		return nil, err
	}
	return &server.Reply{Body: json}, nil
}

type run = func(context.Context, *server.Server, *server.Request) (*server.Reply, error)
