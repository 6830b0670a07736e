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
			in := validate.Request{Type: r.Type, ID: r.Target.ID, Query: r.Params(),
				Stored: func() (fhir.Node, error) { return stored(ctx, s, r) }}
			if len(r.Body) > 0 {
				tree, err := fhir.Parse(r.Body)
				if err != nil {
					return nil, err
				}
				in.Body = tree.Root()
			}
			issues, err := v.Operation(ctx, in)
			if err != nil {
				return nil, err
			}
			return reply(outcome.Issues(issues, outcome.Options{English: r.English, RequestID: r.ID}), nil)
		}}
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
