package server

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// create is the create interaction, with If-None-Exist the conditional one
// (http.html#create, #ccreate). The id in the body is ignored: the server draws it.
func (s *Server) create(ctx context.Context, r *Request) (*Reply, error) {
	if _, err := s.resource(ctx, r, r.Type); err != nil {
		return nil, err
	}
	return s.commit(ctx, r, store.Op{Method: store.Create, Type: r.Type, ID: s.parts.NewID(), Resource: r.Body,
		IfNoneExist: criteria(r.Header.Get("If-None-Exist"))})
}

// update is the update interaction, which creates with the client's id where
// there is no resource (http.html#update, #upsert).
func (s *Server) update(ctx context.Context, r *Request) (*Reply, error) {
	res, err := s.resource(ctx, r, r.Type)
	if err != nil {
		return nil, err
	}
	switch id := res.Get("id").Str(); {
	case id == "":
		return nil, fault.New(fault.Invalid, "no id").With(fault.Issue{Severity: "error", Code: "required", Key: "update-id",
			Expression: r.Type + ".id", Text: "更新时资源内必须有 id", TextEN: "an update needs the id in the resource", Hint: r.Target.ID})
	case id != r.Target.ID:
		return nil, fault.New(fault.Invalid, "other id").With(fault.Issue{Severity: "error", Code: "value", Key: "update-id",
			Expression: r.Type + ".id", Text: "资源内的 id 与地址不一致", TextEN: "the id in the resource is not that of the address", Hint: r.Target.ID})
	}
	im, err := r.IfMatch()
	if err != nil {
		return nil, err
	}
	return s.commit(ctx, r, store.Op{Method: store.Update, Type: r.Type, ID: r.Target.ID, IfMatch: im,
		IfNoneMatch: strings.TrimSpace(r.Header.Get("If-None-Match")) == "*", Resource: r.Body})
}

// conditionalUpdate updates the one match of the query, or creates
// (http.html#cond-update).
func (s *Server) conditionalUpdate(ctx context.Context, r *Request) (*Reply, error) {
	cond, err := condition(r)
	if err != nil {
		return nil, err
	}
	res, err := s.resource(ctx, r, r.Type)
	if err != nil {
		return nil, err
	}
	if id := res.Get("id"); id.Exists() && !fhir.IsID(id.Str()) {
		return nil, rest.BadID(id.Str())
	}
	im, err := r.IfMatch()
	if err != nil {
		return nil, err
	}
	return s.commit(ctx, r, store.Op{Method: store.Update, Type: r.Type, ID: res.Get("id").Str(), Condition: cond, IfMatch: im,
		IfNoneMatch: strings.TrimSpace(r.Header.Get("If-None-Match")) == "*", Resource: r.Body})
}

// delete is the delete interaction; deleting what is not there succeeds
// (http.html#delete).
func (s *Server) delete(ctx context.Context, r *Request) (*Reply, error) {
	im, err := r.IfMatch()
	if err != nil {
		return nil, err
	}
	rep, err := s.commit(ctx, r, store.Op{Method: store.Delete, Type: r.Type, ID: r.Target.ID, IfMatch: im})
	if im == 0 && (fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone)) {
		return &Reply{Status: http.StatusNoContent}, nil
	}
	return rep, err
}

// conditionalDelete deletes the match of the query (http.html#3.1.0.7.1).
func (s *Server) conditionalDelete(ctx context.Context, r *Request) (*Reply, error) {
	cond, err := condition(r)
	if err != nil {
		return nil, err
	}
	rep, err := s.commit(ctx, r, store.Op{Method: store.Delete, Type: r.Type, Condition: cond, Many: s.cfg.DeleteMany})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return &Reply{Status: http.StatusNoContent}, nil
	}
	return rep, err
}

// resource parses and judges the body, which must be of type typ.
func (s *Server) resource(ctx context.Context, r *Request, typ string) (fhir.Node, error) {
	if len(r.Body) == 0 {
		return fhir.Node{}, fault.New(fault.Invalid, "no body").With(fault.Issue{Severity: "error", Code: "required", Key: "body",
			Text: "缺少请求体", TextEN: "the body is missing"})
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return fhir.Node{}, err
	}
	root := tree.Root()
	if err := s.check(ctx, root, typ); err != nil {
		return fhir.Node{}, err
	}
	return root, nil
}

// check judges a resource: its type, then what the validator finds.
func (s *Server) check(ctx context.Context, res fhir.Node, typ string) error {
	if res.Kind() != fhir.Object {
		return fault.New(fault.Invalid, "not a resource").With(fault.Issue{Severity: "error", Code: "structure", Key: "resource-object",
			Text: "资源应为 JSON 对象", TextEN: "a resource is a JSON object"})
	}
	if got := res.ResourceType(); got != typ {
		return fault.New(fault.Invalid, "other resource type").With(fault.Issue{Severity: "error", Code: "invalid", Key: "resource-type",
			Expression: "resourceType", Text: "资源类型应为 " + typ + "，实为 " + rest.Clip(got), TextEN: "expected a " + typ + ", got " + rest.Clip(got)})
	}
	if s.parts.Validator == nil {
		return nil
	}
	issues := s.parts.Validator.Check(ctx, res)
	for _, is := range issues {
		if is.Severity == "error" || is.Severity == "fatal" {
			return fault.New(fault.Invalid, "%s is not valid", typ).With(issues...)
		}
	}
	return nil
}

// commit writes one op and answers as Prefer asks.
func (s *Server) commit(ctx context.Context, r *Request, op store.Op) (*Reply, error) {
	res, err := s.CommitAll(ctx, r, []store.Op{op})
	if err != nil {
		return nil, err
	}
	if len(res.Outcomes) != 1 {
		return nil, fault.New(fault.Internal, "store gave %d outcomes for one op", len(res.Outcomes))
	}
	return s.written(r, res.Outcomes[0], res.Offset), nil
}

// written is the reply to a write.
func (s *Server) written(r *Request, out store.Outcome, offset int64) *Reply {
	rep := &Reply{Status: out.Status, Version: out.Version, Offset: offset}
	v := out.Version
	if v == nil || v.Deleted() {
		rep.NoBody = true
	} else if out.Status == http.StatusCreated || r.Method != http.MethodDelete {
		rep.Location = bundle.Location(r.Base, v)
	}
	o := outcome.Options{English: r.English, RequestID: r.ID}
	switch r.Prefer.Return {
	case "minimal":
		rep.NoBody = true
	case "OperationOutcome":
		rep.NoBody = false
		zh, en := told(out)
		rep.Body = outcome.Info(zh, en, o)
		if rep.Status == http.StatusNoContent {
			rep.Status = http.StatusOK
		}
	}
	return rep
}

// told says in words what became of a write.
func told(out store.Outcome) (zh, en string) {
	switch {
	case out.Version == nil:
		return "没有匹配的资源，未作更改", "nothing matched, nothing changed"
	case out.Version.Deleted():
		return "已删除", "deleted"
	case !out.Changed:
		return "内容相同，未产生新版本", "the content is the same, no new version was made"
	case out.Status == http.StatusCreated:
		return "已创建", "created"
	}
	return "已更新", "updated"
}

// criteria strips what stands before the query in a conditional header. One
// without criteria stays a condition, which the store refuses.
func criteria(v string) string {
	if _, query, ok := strings.Cut(v, "?"); ok {
		return cmp.Or(query, "&")
	}
	return v
}

// condition returns the query of a conditional interaction, without the
// parameters of the edge; Invalid if nothing is left, for that would match all.
func condition(r *Request) (string, error) {
	q := strip(r.Query)
	if q == "" {
		return "", fault.New(fault.Invalid, "no criteria").With(fault.Issue{Severity: "error", Code: "required", Key: "criteria",
			Text: "条件操作必须带查询条件", TextEN: "a conditional interaction needs search criteria", Hint: r.Type + "?identifier=system|value"})
	}
	return q, nil
}
