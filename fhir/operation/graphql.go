package operation

import (
	"context"
	"encoding/json"
	"mime"

	"github.com/qihuang-health/qihuang/fhir/graphql"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// graphQL is $graphql at the system, a type or a resource: the query in the
// parameter query, as a body of application/graphql, or with its variables as
// GraphQL over HTTP writes it (graphql.html).
func graphQL(g *graphql.Service) server.Operation {
	return server.Operation{Name: "graphql", Definition: coreOp + "Resource-graphql", System: true, Types: []string{"*"}, Instances: []string{"*"},
		Formats: true, Media: []string{"application/graphql"},
		Run: func(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
			req, err := graphQLRequest(r)
			if err != nil {
				return nil, err
			}
			snap, err := s.Snapshot(ctx, r)
			if err != nil {
				return nil, err
			}
			src := &graphQLSource{s: s, r: r, snap: snap}
			defer func() { _ = src.snap.Close() }()
			out, err := g.Run(ctx, src, req)
			if err != nil {
				return nil, err
			}
			return &server.Reply{Native: out, ContentType: "application/json; charset=utf-8", Offset: src.snap.Offset()}, nil
		}}
}

func graphQLRequest(r *server.Request) (graphql.Request, error) {
	req := graphql.Request{Query: r.Param("query"), Operation: r.Param("operationName")}
	if r.Shape == rest.InstanceOperation {
		req.Type, req.ID = r.Type, r.Target.ID
	}
	variables := []byte(r.Param("variables"))
	switch t, _, _ := mime.ParseMediaType(r.MediaType); {
	case len(r.Body) == 0:
	case t == "application/graphql":
		req.Query = string(r.Body)
	default:
		var body struct {
			Query         string          `json:"query"`
			OperationName string          `json:"operationName"`
			Variables     json.RawMessage `json:"variables"`
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return req, invalid("graphql", "请求体应为 {\"query\": …, \"variables\": …}", `the body should be {"query": …, "variables": …}`)
		}
		req.Query, req.Operation, variables = body.Query, body.OperationName, body.Variables
	}
	if req.Query == "" {
		return req, invalid("graphql", "缺少 GraphQL 查询（参数 query 或请求体）", "the GraphQL query is missing (parameter query, or the body)")
	}
	if len(variables) > 0 {
		if err := json.Unmarshal(variables, &req.Variables); err != nil {
			return req, invalid("graphql", "variables 应为 JSON 对象", "variables must be a JSON object")
		}
	}
	return req, nil
}

// graphQLSource reads one state for a query, and for a page further on the state
// of its first page.
type graphQLSource struct {
	s    *server.Server
	r    *server.Request
	snap store.Snapshot
}

// Read implements graphql.Source.
func (g *graphQLSource) Read(_ context.Context, typ, id string) ([]byte, error) {
	v, err := g.snap.Read(typ, id)
	if err != nil {
		return nil, err
	}
	return v.Resource, nil
}

// Search implements graphql.Source.
func (g *graphQLSource) Search(ctx context.Context, typ, query, cursor string) (*graphql.Page, error) {
	req := search.Request{Type: typ, Query: query, Base: g.r.Base}
	snap, key := g.snap, typ+"?"+query
	if cursor != "" {
		old, place, err := g.s.OpenPage(ctx, key, cursor)
		if err != nil {
			return nil, err
		}
		_ = g.snap.Close()
		g.snap, snap, req.Cursor = old, old, place
	}
	found, err := g.s.Find(ctx, snap, req)
	if err != nil {
		return nil, err
	}
	page := &graphql.Page{Total: found.Total, Count: found.Count, Matches: make([]graphql.Match, 0, len(found.Matches))}
	for _, m := range found.Matches {
		page.Matches = append(page.Matches, graphql.Match{Type: m.Type, ID: m.ID, Mode: "match", Score: m.Score})
	}
	if found.Next != "" {
		page.Next = g.s.PageToken(snap, key, found.Next)
	}
	if found.Prev != "" {
		page.Prev = g.s.PageToken(snap, key, found.Prev)
	}
	return page, nil
}
