package server

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// handler carries out one interaction.
type handler func(*Server, context.Context, *Request) (*Reply, error)

// route is one line of the table of interactions.
type route struct {
	shape  rest.Shape
	method string
	code   string // interaction code of the CapabilityStatement, or our name for it
	run    handler
}

// routes returns every interaction. HEAD is GET without the body.
func routes() []route {
	return []route{
		{rest.Root, "GET", "root", (*Server).root},
		{rest.Root, "POST", "transaction", (*Server).bundle},
		{rest.Metadata, "GET", "capabilities", (*Server).capabilities},
		{rest.SystemSearch, "GET", "search-system", (*Server).search},
		{rest.SystemSearch, "POST", "search-system", (*Server).search},
		{rest.SystemHistory, "GET", "history-system", (*Server).history},
		{rest.SystemOperation, "GET", "operation", (*Server).operation},
		{rest.SystemOperation, "POST", "operation", (*Server).operation},
		{rest.TypeLevel, "GET", "search-type", (*Server).search},
		{rest.TypeLevel, "POST", "create", (*Server).create},
		{rest.TypeLevel, "PUT", "update", (*Server).conditionalUpdate},
		{rest.TypeLevel, "PATCH", "patch", (*Server).patch},
		{rest.TypeLevel, "DELETE", "delete", (*Server).conditionalDelete},
		{rest.TypeSearch, "GET", "search-type", (*Server).search},
		{rest.TypeSearch, "POST", "search-type", (*Server).search},
		{rest.TypeHistory, "GET", "history-type", (*Server).history},
		{rest.TypeOperation, "GET", "operation", (*Server).operation},
		{rest.TypeOperation, "POST", "operation", (*Server).operation},
		{rest.Instance, "GET", "read", (*Server).readResource},
		{rest.Instance, "PUT", "update", (*Server).update},
		{rest.Instance, "PATCH", "patch", (*Server).patch},
		{rest.Instance, "DELETE", "delete", (*Server).delete},
		{rest.InstanceHistory, "GET", "history-instance", (*Server).history},
		{rest.InstanceOperation, "GET", "operation", (*Server).operation},
		{rest.InstanceOperation, "POST", "operation", (*Server).operation},
		{rest.VersionLevel, "GET", "vread", (*Server).vread},
		{rest.VersionOperation, "GET", "operation", (*Server).operation},
		{rest.VersionOperation, "POST", "operation", (*Server).operation},
		{rest.Compartment, "GET", "search-compartment", (*Server).search},
		{rest.CompartmentSearch, "GET", "search-compartment", (*Server).search},
		{rest.CompartmentSearch, "POST", "search-compartment", (*Server).search},
		{rest.AsyncStatus, "GET", "async-status", (*Server).jobStatus},
		{rest.AsyncFile, "GET", "async-file", (*Server).jobFile},
		{rest.AsyncStatus, "DELETE", "async-cancel", (*Server).jobCancel},
	}
}

// methods returns the methods a shape allows, for Allow.
func methods(sh rest.Shape) []string {
	var ms []string
	for _, rt := range routes() {
		if rt.shape != sh {
			continue
		}
		ms = append(ms, rt.method)
		if rt.method == "GET" {
			ms = append(ms, "HEAD")
		}
	}
	return ms
}

// allowed returns the methods at a request's address: an operation that changes
// state takes POST only.
func (s *Server) allowed(r *Request) []string {
	if op := s.operationOf(r); op != nil && op.Changes {
		return []string{"POST", "OPTIONS"}
	}
	return append(methods(r.Shape), "OPTIONS")
}

// routeKey finds a route: a shape and a method.
type routeKey struct {
	shape  rest.Shape
	method string
}

// table indexes the routes for dispatch.
func table() map[routeKey]route {
	m := map[routeKey]route{}
	for _, rt := range routes() {
		m[routeKey{rt.shape, rt.method}] = rt
		if rt.method == "GET" {
			m[routeKey{rt.shape, "HEAD"}] = rt
		}
	}
	return m
}

// dispatch runs the interaction a request asks for and names it.
func (s *Server) dispatch(ctx context.Context, r *Request) (*Reply, string, error) {
	rt, ok := s.table[routeKey{r.Shape, r.Method}]
	if !ok {
		return nil, "refused", fault.New(fault.Unsupported, "method not allowed").With(fault.Issue{Severity: "error", Code: "not-supported",
			Key: outcome.KeyMethod, Text: "此地址不支持 " + rest.Clip(r.Method), TextEN: rest.Clip(r.Method) + " is not allowed at this address"})
	}
	op := s.operationOf(r)
	if r.Prefer.Async && !r.Nested && asyncable(rt.code) && (op == nil || !op.Async) {
		rep, err := s.startJob(r, rt)
		return rep, rt.code, err
	}
	rep, err := rt.run(s, ctx, r)
	return rep, rt.code, err
}
