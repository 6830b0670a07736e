package operation

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/validate"
)

// validation is $validate: everything the validator knows, whatever the policy
// for writes is. The answer is always 200 with an OperationOutcome
// (resource-operation-validate.html).
func validation(v *validate.Validator) server.Operation {
	return server.Operation{Name: "validate", Definition: coreOp + "Resource-validate", Types: []string{"*"}, Instances: []string{"*"},
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			in, err := readInputs(r)
			if err != nil {
				return nil, err
			}
			res, err := subject(ctx, s, r, in)
			if err != nil {
				return nil, err
			}
			if got := res.ResourceType(); got != r.Type {
				return nil, invalid("resource-type", "资源类型应为 "+r.Type, "expected a "+r.Type)
			}
			issues := v.Validate(ctx, res, validate.Options{Level: validate.Full, Profiles: in.Values["profile"]})
			return reply(outcome.Issues(issues, outcome.Options{English: r.English, RequestID: r.ID}), nil)
		}}
}

// subject is the resource to validate: the body, its parameter "resource", or
// without a body the stored one.
func subject(ctx context.Context, s *server.Server, r *server.Request, in inputs) (fhir.Node, error) {
	if in.body.ResourceType() == "Parameters" && r.Type != "Parameters" {
		if res := in.part("resource").Get("resource"); res.Exists() {
			return res, nil
		}
	} else if in.body.Exists() {
		return in.body, nil
	}
	if r.Target.ID == "" {
		return fhir.Node{}, invalid("body", "缺少要校验的资源", "the resource to validate is missing")
	}
	return stored(ctx, s, r)
}

// stored parses the resource a request addresses.
func stored(ctx context.Context, s *server.Server, r *server.Request) (fhir.Node, error) {
	snap, err := s.Snapshot(ctx, r)
	if err != nil {
		return fhir.Node{}, err
	}
	defer snap.Close()
	v, err := snap.Read(r.Type, r.Target.ID)
	if err != nil {
		return fhir.Node{}, err
	}
	tree, err := fhir.Parse(append([]byte(nil), v.Resource...))
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}
