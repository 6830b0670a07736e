package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// transaction commits all changes of a bundle as one record of the log, in the
// order DELETE, POST, PUT and PATCH, and then answers its reads
// (http.html#trules). References between entries and conditional references are
// resolved by the store when it applies the record.
func (s *Server) transaction(ctx context.Context, r *Request, root fhir.Node) (*Reply, error) {
	entries, err := s.entries(r, root)
	if err != nil {
		return nil, err
	}
	if err := s.checkEntries(ctx, entries); err != nil {
		return nil, err
	}
	ops, order, err := s.ops(r, entries)
	if err != nil {
		return nil, err
	}
	replies := make([]entryReply, len(entries))
	var offset int64
	if len(ops) > 0 {
		res, err := s.CommitAll(ctx, r, ops)
		if err != nil {
			return nil, refusedOp(err, order)
		}
		if len(res.Outcomes) != len(ops) {
			return nil, fault.New(fault.Internal, "store gave %d outcomes for %d ops", len(res.Outcomes), len(ops))
		}
		offset = res.Offset
		for k, i := range order {
			replies[i] = s.committed(r, &entries[i], res.Outcomes[k])
		}
	}
	if offset, err = s.reads(ctx, r, entries, replies, offset); err != nil {
		return nil, err
	}
	w := bundle.New("transaction-response", s.parts.NewID(), s.clock.Now(), -1)
	for i := range replies {
		replies[i].write(w, r)
	}
	return &Reply{Body: w.End(), Offset: offset}, nil
}

// entries reads all entries and refuses bundles that write one resource twice.
func (s *Server) entries(r *Request, root fhir.Node) ([]entry, error) {
	list := make([]entry, 0, root.Get("entry").Len())
	urls, targets := map[string]bool{}, map[string]bool{}
	for n := range root.Get("entry").Children() {
		i := len(list)
		e, err := s.parseEntry(i, n, r.Base)
		if err != nil {
			return nil, err
		}
		if e.method != "GET" && e.method != "HEAD" {
			if e.fullURL != "" && urls[e.fullURL] {
				return nil, entryFault(i, ".fullUrl", "duplicate", "fullUrl 重复", "the fullUrl occurs twice")
			}
			urls[e.fullURL] = true
			if key := e.identity(); key != "" {
				if targets[key] {
					return nil, entryFault(i, ".request.url", "duplicate", "同一资源在事务中被写两次", "the transaction writes one resource twice")
				}
				targets[key] = true
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// checkEntries judges the resources of all entries, several at a time, and
// returns the first entry's error.
func (s *Server) checkEntries(ctx context.Context, entries []entry) error {
	errs := make([]error, len(entries))
	parallel(len(entries), store.Workers(len(entries)), func(i int) {
		e := &entries[i]
		if e.method != "POST" && e.method != "PUT" {
			return
		}
		if e.target.Shape != rest.TypeLevel && e.target.Shape != rest.Instance {
			return
		}
		if !e.resource.Exists() {
			errs[i] = entryFault(i, ".resource", "required", "条目缺少资源", "the entry has no resource")
			return
		}
		if err := s.check(ctx, e.resource, e.target.Type); err != nil {
			errs[i] = located(err, i, ".resource")
		}
	})
	return errors.Join(firstOf(errs))
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// ops turns the writing entries into ops in processing order; order[k] is the
// entry of op k.
func (s *Server) ops(r *Request, entries []entry) (ops []store.Op, order []int, err error) {
	for i := range entries {
		if m := entries[i].method; m != "GET" && m != "HEAD" {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(entries[a].method) - rank(entries[b].method) })
	ops = make([]store.Op, len(order))
	for k, i := range order {
		if ops[k], err = s.op(r, &entries[i]); err != nil {
			return nil, nil, err
		}
	}
	return ops, order, nil
}

func rank(method string) int {
	switch method {
	case "DELETE":
		return 0
	case "POST":
		return 1
	}
	return 2
}

// op turns one entry into an op.
func (s *Server) op(r *Request, e *entry) (store.Op, error) {
	sub := e.request(r)
	op := store.Op{Type: e.target.Type, ID: e.target.ID, FullURL: e.fullURL, Resource: sub.Body}
	var err error
	if op.IfMatch, err = sub.IfMatch(); err != nil {
		return op, located(err, e.index, ".request.ifMatch")
	}
	switch sh := e.target.Shape; {
	case e.method == "POST" && sh == rest.TypeLevel:
		op.Method, op.ID = store.Create, s.parts.NewID()
		op.IfNoneExist = criteria(e.header.Get("If-None-Exist"))
		return op, nil
	case sh != rest.TypeLevel && sh != rest.Instance || e.method == "POST":
		return op, entryFault(e.index, ".request.url", "not-supported", "事务中不能进行此操作", "a transaction cannot do this")
	case sh == rest.TypeLevel:
		if op.Condition, err = condition(sub); err != nil {
			return op, located(err, e.index, ".request.url")
		}
	}
	switch e.method {
	case "DELETE":
		op.Method, op.Resource, op.Many = store.Delete, nil, s.cfg.DeleteMany && op.Condition != ""
	case "PUT":
		op.Method, op.IfNoneMatch = store.Update, e.header.Get("If-None-Match") == "*"
		err = s.updateID(e, &op)
	case "PATCH":
		op.Method = store.Patch
		if op.PatchType, err = patchType(sub.MediaType, sub.Body); err != nil {
			err = located(err, e.index, ".resource")
		}
	}
	return op, err
}

// updateID checks the id of a PUT entry: that of its address, or for a
// conditional update the resource's own, if it has one.
func (s *Server) updateID(e *entry, op *store.Op) error {
	id := e.resource.Get("id").Str()
	switch {
	case op.Condition != "" && id != "" && !fhir.IsID(id):
		return located(rest.BadID(id), e.index, ".resource.id")
	case op.Condition != "":
		op.ID = id // the store draws one if it creates
		return nil
	case id != e.target.ID:
		return entryFault(e.index, ".resource.id", "value", "资源内的 id 与 request.url 不一致", "the id in the resource is not that of request.url")
	}
	return nil
}

// refusedOp tells which entry a refused transaction failed at: the store counts
// ops, in processing order, and says nothing where there is only one.
func refusedOp(err error, order []int) error {
	issues := slices.Clone(fault.IssuesOf(err))
	if len(issues) == 0 {
		return err
	}
	for n := range issues {
		expr := issues[n].Expression
		k, rest, ok := opIndex(expr)
		switch {
		case ok && k < len(order):
			issues[n].Expression = entryPath(order[k]) + rest
		case len(order) == 1:
			issues[n].Expression = below(entryPath(order[0]), expr)
		}
	}
	out := fault.New(fault.KindOf(err), "transaction refused").With(issues...)
	out.Cause = err
	return out
}

// committed is what became of a writing entry.
func (s *Server) committed(r *Request, e *entry, out store.Outcome) entryReply {
	rep := &Reply{Status: out.Status, Version: out.Version}
	reply := entryReply{rep: rep}
	switch r.Prefer.Return {
	case "representation":
		if v := out.Version; v != nil && !v.Deleted() {
			reply.body = v.Resource
		}
	case "OperationOutcome":
		zh, en := told(out)
		reply.body = outcome.Info(zh, en, outcome.Options{English: r.English})
	}
	return reply
}

// reads answers the GET entries from the state after the writes. One that fails
// fails the transaction's answer for itself only: the writes have happened.
func (s *Server) reads(ctx context.Context, r *Request, entries []entry, replies []entryReply, offset int64) (int64, error) {
	for i := range entries {
		e := &entries[i]
		if e.method != http.MethodGet && e.method != http.MethodHead {
			continue
		}
		at := *r
		at.MinOffset = max(r.MinOffset, offset)
		replies[i] = s.runEntry(ctx, &at, e)
		offset = max(offset, replies[i].offset)
	}
	return offset, ctx.Err()
}

// opIndex reads the k of an expression that begins with "Bundle.entry[k]".
func opIndex(expr string) (k int, rest string, ok bool) {
	num, found := strings.CutPrefix(expr, "Bundle.entry[")
	if !found {
		return 0, "", false
	}
	num, rest, found = strings.Cut(num, "]")
	k, err := strconv.Atoi(num)
	return k, rest, found && err == nil && k >= 0
}
