package server

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// entry is a Bundle.entry of a batch or a transaction.
type entry struct {
	index    int
	fullURL  string
	method   string
	target   rest.Target
	query    string
	resource fhir.Node
	header   http.Header
}

// parseEntry reads an entry's request.
func (s *Server) parseEntry(i int, n fhir.Node, base string) (entry, error) {
	e := entry{index: i, fullURL: n.Get("fullUrl").Str(), resource: n.Get("resource"), header: http.Header{}}
	req := n.Get("request")
	if req.Kind() != fhir.Object {
		return e, entryFault(i, ".request", "required", "条目缺少 request", "the entry has no request")
	}
	e.method = req.Get("method").Str()
	switch e.method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE":
	default:
		return e, entryFault(i, ".request.method", "value", "条目的 method 不对", "the entry's method is wrong")
	}
	url := req.Get("url")
	if url.Kind() != fhir.String {
		return e, entryFault(i, ".request.url", "required", "条目缺少 url", "the entry has no url")
	}
	rel := strings.TrimPrefix(url.Str(), base)
	var path string
	path, e.query, _ = strings.Cut(rel, "?")
	t, err := s.target(path)
	if err != nil {
		return e, located(err, i, ".request.url")
	}
	e.target = t
	for member, field := range map[string]string{"ifMatch": "If-Match", "ifNoneMatch": "If-None-Match",
		"ifModifiedSince": "If-Modified-Since", "ifNoneExist": "If-None-Exist"} {
		if v := req.Get(member).Str(); v != "" {
			e.header.Set(field, v)
		}
	}
	return e, nil
}

// identity is what an entry writes as far as the bundle tells: the resource of
// its address, or the one its condition means. "" if a new one.
func (e *entry) identity() string {
	switch exists := e.header.Get("If-None-Exist"); {
	case e.target.ID != "":
		return e.target.Type + "/" + e.target.ID
	case e.method == http.MethodPost && exists != "":
		return e.target.Type + "?" + criteria(exists)
	case e.method != http.MethodPost && e.query != "":
		return e.target.Type + "?" + e.query
	}
	return ""
}

// request makes the Request that has the same effect as the entry.
func (e *entry) request(r *Request) *Request {
	sub := &Request{Method: e.method, Target: e.target, Query: e.query, Header: e.header, Base: r.Base, ID: r.ID,
		Actor: r.Actor, English: r.English, MinOffset: r.MinOffset, Nested: true,
		Prefer: rest.Prefer{Return: r.Prefer.Return, Lenient: r.Prefer.Lenient, Strict: r.Prefer.Strict}}
	if e.resource.Exists() {
		sub.Body, sub.MediaType = e.resource.Raw(), rest.JSON
		if e.method == "PATCH" && e.resource.ResourceType() == "Binary" {
			sub.Body, sub.MediaType = unwrapPatch(e.resource)
		}
	}
	return sub
}

// entryFault is an error at a place of an entry.
func entryFault(i int, at, code, zh, en string) error {
	return fault.New(fault.Invalid, "bundle entry %d: %s", i, en).With(fault.Issue{Severity: "error", Code: code, Key: "bundle-entry",
		Expression: entryPath(i) + at, Text: zh, TextEN: en})
}

func entryPath(i int) string { return "Bundle.entry[" + strconv.Itoa(i) + "]" }

// located returns err with its issues' places moved below the entry. An error
// without issues keeps its words.
func located(err error, i int, at string) error {
	issues := fault.IssuesOf(err)
	if len(issues) == 0 {
		issues = []fault.Issue{{Severity: "error", Code: "processing", Key: fault.KindOf(err).String(), Text: "条目处理失败", TextEN: err.Error()}}
	}
	moved := make([]fault.Issue, len(issues))
	for k, is := range issues {
		is.Expression = below(entryPath(i)+at, is.Expression)
		moved[k] = is
	}
	out := fault.New(fault.KindOf(err), "bundle entry %d", i).With(moved...)
	out.Cause = err
	return out
}

// below puts an expression like Patient.name[0] at a place: the type name at
// its head is dropped.
func below(at, expr string) string {
	if _, rest, ok := strings.Cut(expr, "."); ok {
		return at + "." + rest
	}
	return at
}
