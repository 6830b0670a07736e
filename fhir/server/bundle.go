package server

import (
	"context"
	"encoding/base64"
	"net/http"
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// bundle is POST of a batch or transaction to the base (http.html#transaction).
func (s *Server) bundle(ctx context.Context, r *Request) (*Reply, error) {
	if r.Nested {
		return nil, fault.New(fault.Invalid, "a bundle inside a bundle")
	}
	if len(r.Body) == 0 {
		return nil, fault.New(fault.Invalid, "no body").With(fault.Issue{Severity: "error", Code: "required", Key: "body",
			Text: "缺少请求体", TextEN: "the body is missing", Hint: "a Bundle of type transaction or batch"})
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	if t := root.ResourceType(); t != "Bundle" {
		return nil, fault.New(fault.Invalid, "not a bundle").With(fault.Issue{Severity: "error", Code: "invalid", Key: "bundle-type",
			Expression: "resourceType", Text: "此地址只接受 Bundle，实为 " + rest.Clip(t), TextEN: "this address takes a Bundle, got " + rest.Clip(t),
			Hint: "POST " + r.Base + "/" + rest.Clip(t)})
	}
	if e := root.Get("entry"); e.Exists() && e.Kind() != fhir.Array {
		return nil, fault.New(fault.Invalid, "entry is not an array").With(fault.Issue{Severity: "error", Code: "structure", Key: "bundle-entry",
			Expression: "Bundle.entry", Text: "entry 应为数组", TextEN: "entry must be an array"})
	}
	switch t := root.Get("type").Str(); t {
	case "transaction":
		return s.transaction(ctx, r, root)
	case "batch":
		return s.batch(ctx, r, root)
	default:
		return nil, fault.New(fault.Invalid, "bundle type").With(fault.Issue{Severity: "error", Code: "value", Key: "bundle-type",
			Expression: "Bundle.type", Text: "Bundle.type 应为 transaction 或 batch", TextEN: "Bundle.type must be transaction or batch",
			Hint: "to store the Bundle itself: POST " + r.Base + "/Bundle"})
	}
}

// batch handles each entry for itself; one that fails leaves the others alone.
func (s *Server) batch(ctx context.Context, r *Request, root fhir.Node) (*Reply, error) {
	var nodes []fhir.Node
	for n := range root.Get("entry").Children() {
		nodes = append(nodes, n)
	}
	replies := make([]entryReply, len(nodes))
	parallel(len(nodes), s.cfg.BatchWorkers, func(i int) { replies[i] = s.batchEntry(ctx, r, i, nodes[i]) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := bundle.New("batch-response", s.parts.NewID(), s.clock.Now(), -1)
	offset := int64(0)
	for i := range replies {
		offset = max(offset, replies[i].offset)
		replies[i].write(w, r)
	}
	return &Reply{Body: w.End(), Offset: offset}, nil
}

// parallel runs do(0…n-1) on so many workers.
func parallel(n, workers int, do func(int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, workers) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// entryReply is what became of an entry.
type entryReply struct {
	rep    *Reply
	body   []byte // resource, nil for none
	err    error
	offset int64
}

func (s *Server) batchEntry(ctx context.Context, r *Request, i int, n fhir.Node) entryReply {
	e, err := s.parseEntry(i, n, r.Base)
	if err != nil {
		return entryReply{err: err}
	}
	return s.runEntry(ctx, r, &e)
}

// runEntry carries out an entry as an interaction of its own.
func (s *Server) runEntry(ctx context.Context, r *Request, e *entry) entryReply {
	sub := e.request(r)
	rep, _, err := s.dispatch(ctx, sub)
	if err != nil {
		return entryReply{err: err}
	}
	defer rep.done()
	out := entryReply{rep: rep, body: rep.json(), offset: rep.Offset}
	if rep.Stream != nil {
		var buf appender
		if err := rep.Stream(&buf); err != nil {
			return entryReply{err: err}
		}
		out.body = buf
	}
	if e.method != http.MethodGet && e.method != http.MethodPost && r.Prefer.Return == "" || e.method == http.MethodPost && e.target.Shape == rest.TypeLevel && r.Prefer.Return == "" {
		out.body = nil // writes answer without the resource unless it was asked for
	}
	return out
}

// appender is an io.Writer onto a byte slice.
type appender []byte

// Write appends p.
func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// write writes the entry of the response.
func (e *entryReply) write(w *bundle.Writer, r *Request) {
	w.Open()
	if e.err != nil {
		err := timedOut(e.err)
		w.Response(outcome.Status(err))
		w.Outcome(outcome.Of(err, outcome.Options{English: r.English, RequestID: r.ID}))
		w.Shut()
		w.Shut()
		return
	}
	isOutcome := r.Prefer.Return == "OperationOutcome" && e.rep.Version != nil
	if e.body != nil && !isOutcome {
		if v := e.rep.Version; v != nil {
			w.FullURL(r.Base, v.Type, v.ID)
		}
		w.Resource(e.body)
	}
	w.Response(e.rep.status())
	if v := e.rep.Version; v != nil {
		w.Version(r.Base, v)
	}
	if isOutcome && e.body != nil {
		w.Outcome(e.body)
	}
	w.Shut()
	w.Shut()
}

// unwrapPatch takes a JSON or XML Patch out of the Binary that carries it in a bundle
// (http.html#patch).
func unwrapPatch(res fhir.Node) ([]byte, string) {
	body, err := base64.StdEncoding.DecodeString(res.Get("data").Str())
	if err != nil {
		return nil, rest.JSONPatch
	}
	media := res.Get("contentType").Str()
	if media == "" {
		media = rest.JSONPatch
	}
	return body, media
}
