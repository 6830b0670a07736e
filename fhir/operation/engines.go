package operation

import (
	"context"
	"net/url"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath/lab"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

// terminologyOps are the operations of terminology-service.html.
func terminologyOps(t *terminology.Service) []server.Operation {
	offer := func(name string, types ...string) server.Operation {
		op := server.Operation{Name: name, Types: types, Instances: types, Run: terminologyRun(t, name)}
		if len(types) == 0 {
			op.System, op.Definition = true, coreOp+"ConceptMap-"+name
		} else {
			op.Definition = coreOp + types[0] + "-" + name
		}
		return op
	}
	return []server.Operation{offer("expand", "ValueSet"), offer("validate-code", "ValueSet", "CodeSystem"), offer("lookup", "CodeSystem"),
		offer("subsumes", "CodeSystem"), offer("translate", "ConceptMap"), offer("closure")}
}

func terminologyRun(t *terminology.Service, name string) run {
	return func(ctx context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
		query := url.Values{}
		for k, v := range r.Params() {
			if k != "_format" && k != "_pretty" {
				query[k] = v
			}
		}
		params := terminology.QueryParams(query)
		if len(r.Body) > 0 {
			tree, err := fhir.Parse(r.Body)
			if err != nil {
				return nil, err
			}
			if params, err = terminology.BodyParams(tree.Root()); err != nil {
				return nil, err
			}
			for k := range query {
				params.Set(k, query.Get(k))
			}
		}
		return reply(t.Operation(ctx, name, r.Type, r.Target.ID, params))
	}
}

// fhirPath is $fhirpath by the convention of the FHIRPath Lab.
func fhirPath(l *lab.Lab) server.Operation {
	return server.Operation{Name: "fhirpath", Definition: "http://fhirpath-lab.org/OperationDefinition/fhirpath", System: true,
		Run: func(ctx context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
			tree, err := fhir.Parse(r.Body)
			if err != nil {
				return nil, err
			}
			return reply(l.Evaluate(ctx, tree.Root()))
		}}
}
