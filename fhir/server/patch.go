package server

import (
	"context"
	"slices"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// patch applies a JSON Patch, an XML Patch or a FHIRPath Patch (http.html#patch).
func (s *Server) patch(ctx context.Context, r *Request) (*Reply, error) {
	op := store.Op{Method: store.Patch, Type: r.Type, ID: r.Target.ID, Resource: r.Body}
	var err error
	if r.Shape == rest.TypeLevel {
		if op.Condition, err = condition(r); err != nil {
			return nil, err
		}
	}
	if op.IfMatch, err = r.IfMatch(); err != nil {
		return nil, err
	}
	if op.PatchType, err = patchType(r.MediaType, r.Body); err != nil {
		return nil, err
	}
	return s.commit(ctx, r, op)
}

// patchType tells the forms of patches apart and checks that the body has it.
func patchType(media string, body []byte) (string, error) {
	if media == rest.XMLPatch {
		return rest.XMLPatch, nil
	}
	tree, err := fhir.Parse(body)
	if err != nil {
		return "", err
	}
	root := tree.Root()
	switch {
	case root.Kind() == fhir.Array && (media == rest.JSONPatch || media == "application/json" || media == rest.JSON):
		return rest.JSONPatch, nil
	case root.ResourceType() == "Parameters" && rest.KindOf(media) != rest.NoKind: // XML is JSON by now
		return rest.JSON, nil
	}
	return "", fault.New(fault.Invalid, "not a patch").With(fault.Issue{Severity: "error", Code: "structure", Key: "patch-form",
		Text:   "PATCH 的内容应为 JSON Patch 数组（application/json-patch+json）、XML Patch（application/xml-patch+xml）或 FHIRPath Patch（Parameters）",
		TextEN: "PATCH takes a JSON Patch array (application/json-patch+json), an XML Patch (application/xml-patch+xml) or a FHIRPath Patch (Parameters)"})
}

// maxTries bounds how often a patch is judged again because another writer
// changed its resource in between.
const maxTries = 10

// commitAll appends ops as one transaction. The results of patches are judged
// on the present state first, and committed only if they meet that state, for
// the log may not hold what the validator refuses.
func (s *Server) commitAll(ctx context.Context, r *Request, ops []store.Op) (*store.Result, error) {
	id, err := s.transactionID(r)
	if err != nil {
		return nil, err
	}
	pinned, err := s.preview(ctx, r, ops)
	for try := 1; err == nil; try++ {
		var res *store.Result
		span, within := s.step(ctx, "commit")
		res, err = s.parts.Store.Commit(within, &store.Transaction{ID: id, Actor: r.Actor, Time: s.clock.Now(), Source: r.ID, Ops: pinned})
		span.End()
		if err == nil || !fault.Is(err, fault.Precondition) || try == maxTries {
			return res, err
		}
		before := pinned
		again, perr := s.preview(ctx, r, ops)
		if perr != nil {
			return nil, perr
		}
		if slices.EqualFunc(before, again, func(a, b store.Op) bool { return a.IfMatch == b.IfMatch }) {
			return nil, err // refused for another reason
		}
		pinned, err, id = again, nil, id+"."+strconv.Itoa(try) // the store remembers the refusal under the old id
	}
	return nil, err
}

// preview judges what the patches among ops would make and returns ops that
// name the versions it was judged on. What cannot be patched is left to the
// store, which says why.
func (s *Server) preview(ctx context.Context, r *Request, ops []store.Op) ([]store.Op, error) {
	isPatch := func(op store.Op) bool { return op.Method == store.Patch }
	if s.parts.Patcher == nil || s.parts.Validator == nil || !slices.ContainsFunc(ops, isPatch) {
		return ops, nil
	}
	snap, err := s.snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	ops = slices.Clone(ops)
	for i := range ops {
		if !isPatch(ops[i]) {
			continue
		}
		if err := s.previewOne(ctx, snap, &ops[i]); err != nil {
			if len(ops) > 1 {
				err = located(err, i, ".resource")
			}
			return nil, err
		}
	}
	return ops, nil
}

func (s *Server) previewOne(ctx context.Context, snap store.Snapshot, op *store.Op) error {
	id := op.ID
	if op.Condition != "" {
		if s.parts.Search == nil {
			return nil
		}
		ids, err := s.parts.Search.IDs(ctx, snap.Index(), op.Type, op.Condition, 2)
		if err != nil || len(ids) != 1 {
			return err
		}
		id = ids[0]
	}
	v, err := snap.Read(op.Type, id)
	if err != nil || op.IfMatch > 0 && op.IfMatch != v.Version {
		return nil // the store refuses it with the reason
	}
	patched, err := s.parts.Patcher.Patch(v.Resource, op.PatchType, op.Resource)
	if err != nil {
		return nil // or knows the transaction already
	}
	tree, err := fhir.Parse(patched)
	if err != nil {
		return err
	}
	if to := tree.Root().Get("id").Str(); to != id {
		return fault.New(fault.Invalid, "a patch of the id").With(fault.Issue{Severity: "error", Code: "value", Key: "patch-id",
			Expression: op.Type + ".id", Text: "修补不能改变资源的 id", TextEN: "a patch may not change the resource's id", Hint: id})
	}
	if err := s.check(ctx, tree.Root(), op.Type); err != nil {
		return unplaced(err)
	}
	op.IfMatch = v.Version
	return nil
}

// unplaced drops lines and columns: they are those of a text that the client
// never saw.
func unplaced(err error) error {
	issues := slices.Clone(fault.IssuesOf(err))
	for i := range issues {
		issues[i].Line, issues[i].Col = 0, 0
	}
	out := fault.New(fault.KindOf(err), "the patched resource is not valid").With(issues...)
	out.Cause = err
	return out
}
