package server

import (
	"maps"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/subset"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// parameters refuses parameters that an interaction does not have and that
// would change nothing, unless the client wants them ignored.
func parameters(r *Request, known []string, zh, en string) error {
	if r.Query == "" || r.Prefer.Lenient {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.Params())) {
		if !slices.Contains(known, name) {
			return fault.New(fault.Invalid, "unknown parameter of %s", en).With(fault.Issue{Severity: "error", Code: "invalid", Key: "parameter",
				Text: zh + "没有参数 “" + rest.Clip(name) + "”", TextEN: en + " has no parameter \"" + rest.Clip(name) + "\"",
				Hint: fault.DidYouMean(name, known)})
		}
	}
	return nil
}

// elements refuses _elements that the type does not have: they would show less
// than was meant. Prefer: handling=lenient leaves them out.
func (s *Server) elements(r *Request, typ string) error {
	t, asked := s.parts.Model.Type(typ), r.Param("_elements")
	if asked == "" || t == nil || r.Prefer.Lenient {
		return nil
	}
	name := subset.Unknown(t, asked)
	if name == "" {
		return nil
	}
	return fault.New(fault.Invalid, "unknown element").With(fault.Issue{Severity: "error", Code: "invalid", Key: "parameter",
		Text: "_elements：" + typ + " 没有元素 " + rest.Clip(name), TextEN: "_elements: " + typ + " has no element " + rest.Clip(name),
		Hint: fault.DidYouMean(name, t.JSONNames())})
}

// view returns the resource as _summary or _elements want it: the stored bytes
// themselves where neither is given.
func (s *Server) view(r *Request, raw []byte) ([]byte, error) {
	if r.Query == "" || !strings.Contains(r.Query, "_summary") && !strings.Contains(r.Query, "_elements") {
		return raw, nil
	}
	summary, elements := r.Param("_summary"), r.Param("_elements")
	switch summary {
	case "", "true", "text", "data", "count", "false":
	default:
		return nil, rest.BadParam("_summary", summary)
	}
	if elements == "" && (summary == "" || summary == "false" || summary == "count") {
		return raw, nil
	}
	tree, err := fhir.Parse(raw)
	if err != nil {
		return nil, fault.New(fault.Internal, "stored resource: %w", err)
	}
	root := tree.Root()
	typ := s.parts.Model.Type(root.ResourceType())
	if elements != "" {
		return subset.Elements(root, typ, elements), nil
	}
	return subset.Summary(root, typ, summary), nil
}
