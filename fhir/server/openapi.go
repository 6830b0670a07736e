package server

import (
	"encoding/json"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/openapi"
	"github.com/qihuang-health/qihuang/fhir/rest"
)

// OpenAPI describes the interface: the routes, for each type its search
// parameters, the operations, and the schemas of all types.
func (s *Server) OpenAPI(b *openapi.Builder) error {
	for _, rt := range routes() {
		s.describe(b, rt, "{type}", nil)
	}
	for _, typ := range s.parts.Model.Resources() {
		for _, rt := range routes() {
			switch rt.shape {
			case rest.TypeLevel, rest.Instance:
				s.describe(b, rt, typ, s.parts.Model.SearchParameters(typ))
			}
		}
	}
	for i := range s.parts.Operations {
		s.describeOperation(b, &s.parts.Operations[i])
	}
	return b.AddTypes(s.parts.Model)
}

// pattern is the path of a shape for a type, which may be "{type}".
func pattern(sh rest.Shape, typ string) string {
	return "/fhir" + strings.ReplaceAll(map[rest.Shape]string{rest.Root: "", rest.Metadata: "/metadata", rest.SystemSearch: "/_search", rest.SystemHistory: "/_history",
		rest.TypeLevel: "/T", rest.TypeSearch: "/T/_search", rest.TypeHistory: "/T/_history", rest.Instance: "/T/{id}", rest.InstanceHistory: "/T/{id}/_history",
		rest.VersionLevel: "/T/{id}/_history/{version}", rest.Compartment: "/T/{id}/{inner}", rest.CompartmentSearch: "/T/{id}/{inner}/_search",
		rest.AsyncStatus: "/_async/{id}", rest.AsyncFile: "/_async/{id}/{file}"}[sh], "T", typ)
}

func (s *Server) describe(b *openapi.Builder, rt route, typ string, params []*definitions.SearchParameter) {
	switch rt.shape {
	case rest.SystemOperation, rest.TypeOperation, rest.InstanceOperation, rest.VersionOperation:
		return // by name, in describeOperation
	}
	path := pattern(rt.shape, typ)
	schema := openapi.Ref("AnyResource")
	if !strings.Contains(typ, "{") {
		schema = openapi.Ref(typ)
	}
	o := openapi.Operation{Summary: rt.code, Tag: "FHIR", Parameters: pathParameters(path), Responses: responses(rt)}
	switch {
	case rt.method == "PATCH":
		o.Request = &openapi.Content{MediaTypes: []string{rest.JSONPatch, rest.XMLPatch, rest.JSON}, Required: true}
	case strings.HasSuffix(path, "_search") && rt.method == "POST":
		o.Request = &openapi.Content{MediaTypes: []string{rest.Form}}
	case rt.method == "POST" && rt.shape == rest.Root:
		o.Request = &openapi.Content{MediaTypes: []string{rest.JSON}, Schema: openapi.Ref("Bundle"), Required: true}
	case rt.method == "POST" || rt.method == "PUT":
		o.Request = &openapi.Content{MediaTypes: []string{rest.JSON}, Schema: schema, Required: true}
	}
	if rt.code == "search-type" {
		o.Parameters = append(o.Parameters, searchParameters(params)...)
	}
	b.Add(rt.method, path, o)
}

// responses are the answers of a route: its success and an OperationOutcome.
func responses(rt route) map[string]openapi.Response {
	status := map[string]string{"create": "201", "async-status": "200", "async-cancel": "202"}[rt.code]
	if status == "" {
		status = "200"
	}
	if rt.method == "DELETE" && rt.shape != rest.AsyncStatus {
		status = "204"
	}
	return map[string]openapi.Response{status: {Description: rt.code},
		"default": {Description: "error", Content: &openapi.Content{MediaTypes: []string{rest.JSON}, Schema: openapi.Ref("OperationOutcome")}}}
}

// pathParameters are the {names} of a path.
func pathParameters(path string) (list []openapi.Parameter) {
	for part := range strings.SplitSeq(path, "{") {
		name, _, ok := strings.Cut(part, "}")
		if !ok {
			continue
		}
		schema := openapi.String()
		if name == "id" {
			schema = json.RawMessage(`{"type":"string","pattern":"^[A-Za-z0-9.-]{1,64}$"}`)
		}
		list = append(list, openapi.Parameter{Name: name, In: "path", Required: true, Schema: schema})
	}
	return list
}

func searchParameters(params []*definitions.SearchParameter) (list []openapi.Parameter) {
	for _, name := range []string{"_count", "_sort", "_include", "_revinclude", "_summary", "_elements", "_total", "_format", "_pretty"} {
		list = append(list, openapi.Parameter{Name: name, In: "query", Schema: openapi.String()})
	}
	for _, p := range params {
		if p.Expression != "" {
			list = append(list, openapi.Parameter{Name: p.Code, In: "query", Description: p.Type, Schema: openapi.String()})
		}
	}
	return list
}

func (s *Server) describeOperation(b *openapi.Builder, op *Operation) {
	add := func(path string) {
		o := openapi.Operation{Summary: "$" + op.Name, Description: op.Definition, Tag: "FHIR operations", Parameters: pathParameters(path),
			Responses: responses(route{code: op.Name, method: "POST"})}
		if !op.Changes {
			b.Add("GET", path, o)
		}
		o.Request = &openapi.Content{MediaTypes: []string{rest.JSON}, Schema: openapi.Ref("AnyResource")}
		b.Add("POST", path, o)
	}
	if op.System {
		add("/fhir/$" + op.Name)
	}
	for _, t := range op.Types {
		add("/fhir/" + strings.ReplaceAll(t, "*", "{type}") + "/$" + op.Name)
	}
	for _, t := range op.Instances {
		add("/fhir/" + strings.ReplaceAll(t, "*", "{type}") + "/{id}/$" + op.Name)
	}
}
