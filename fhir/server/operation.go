package server

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Operation is a named operation ($name) that the server offers
// (https://hl7.org/fhir/R4/operations.html). The wiring gives them in Parts.
type Operation struct {
	Name       string   // without '$'
	Definition string   // canonical of the OperationDefinition
	System     bool     // offered at the base
	Types      []string // offered on these types; nil = none, {"*"} = all
	Instances  []string // offered on resources of these types; nil = none, {"*"} = all
	Changes    bool     // changes state: POST only
	Formats    bool     // answers in formats of its own: _format and Accept are its to read
	Media      []string // media types and words of _format that it takes and gives beside FHIR's; such bodies reach it as sent
	Async      bool     // answers Prefer: respond-async itself
	Run        func(ctx context.Context, s *Server, r *Request) (*Reply, error)
}

// speaks reports whether a media type or a word of _format is one of the
// operation's own.
func (o *Operation) speaks(media string) bool {
	base, _, _ := strings.Cut(strings.ToLower(media), ";")
	return o != nil && slices.Contains(o.Media, strings.TrimSpace(base))
}

// ofTypes reports whether an operation is offered on a type that is no resource
// of R4, as ViewDefinition.
func (s *Server) ofTypes(name string) bool {
	for _, op := range s.parts.Operations {
		if slices.Contains(op.Types, name) || slices.Contains(op.Instances, name) {
			return true
		}
	}
	return false
}

// offered reports whether the operation is offered at the request's address.
func (o *Operation) offered(r *Request) bool {
	switch r.Shape {
	case rest.SystemOperation:
		return o.System
	case rest.TypeOperation:
		return slices.Contains(o.Types, "*") || slices.Contains(o.Types, r.Type)
	}
	return slices.Contains(o.Instances, "*") || slices.Contains(o.Instances, r.Type)
}

// operation runs a named operation.
func (s *Server) operation(ctx context.Context, r *Request) (*Reply, error) {
	op := s.named[r.Name]
	if op == nil || !op.offered(r) {
		return nil, fault.New(fault.NotFound, "no such operation").With(fault.Issue{Severity: "error", Code: "not-supported", Key: "operation",
			Text: "此处没有操作 $" + rest.Clip(r.Name), TextEN: "there is no operation $" + rest.Clip(r.Name) + " here", Hint: "GET /fhir/metadata lists the operations"})
	}
	if op.Changes && r.Method != http.MethodPost {
		return nil, fault.New(fault.Unsupported, "method not allowed").With(fault.Issue{Severity: "error", Code: "not-supported", Key: outcome.KeyMethod,
			Text: "$" + op.Name + " 会改变数据，只能用 POST", TextEN: "$" + op.Name + " changes state: use POST"})
	}
	return op.Run(ctx, s, r)
}
