package server

import (
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// readParams are the parameters of read and vread, all of the edge.
var readParams = []string{"_summary", "_elements", "_format", "_pretty"}

// readResource is the read interaction (http.html#read).
func (s *Server) readResource(ctx context.Context, r *Request) (*Reply, error) {
	if err := parameters(r, readParams, "读取", "a read"); err != nil {
		return nil, err
	}
	snap, err := s.snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	v, err := snap.Read(r.Type, r.Target.ID)
	if err != nil {
		return nil, err
	}
	return s.one(r, v, snap.Offset())
}

// vread is the read of one version (http.html#vread).
func (s *Server) vread(ctx context.Context, r *Request) (*Reply, error) {
	if err := parameters(r, readParams, "读取", "a read"); err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(r.Version, 10, 64)
	if err != nil || n < 1 {
		return nil, fault.New(fault.NotFound, "no such version").With(fault.Issue{Severity: "error", Code: "not-found", Key: "unknown-version",
			Text: "没有这个版本：" + rest.Clip(r.Version), TextEN: "there is no such version: " + rest.Clip(r.Version), Hint: "versions count 1, 2, 3 …"})
	}
	snap, err := s.snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	v, err := snap.VRead(r.Type, r.Target.ID, n)
	if err != nil {
		return nil, err
	}
	return s.one(r, v, snap.Offset())
}

// one answers with a version, or 304, or for a Binary its content.
func (s *Server) one(r *Request, v *store.Version, offset int64) (*Reply, error) {
	if r.NotModified(v.Version, v.LastUpdated) {
		return &Reply{Status: http.StatusNotModified, Version: v, NoBody: true, Offset: offset}, nil
	}
	if err := s.elements(r, v.Type); err != nil {
		return nil, err
	}
	rep := &Reply{Version: v, Offset: offset}
	if r.Format.Native != "" {
		if v.Type != "Binary" {
			return nil, rest.NotAcceptable(r.Format.Native)
		}
		return native(r, rep)
	}
	body, err := s.view(r, v.Resource)
	if err != nil {
		return nil, err
	}
	rep.Body = body
	return rep, nil
}

// native answers a Binary with its content. What a stranger uploaded must not
// run in the hub's origin: it is sandboxed and never sniffed.
func native(r *Request, rep *Reply) (*Reply, error) {
	tree, err := fhir.Parse(rep.Version.Resource)
	if err != nil {
		return nil, err
	}
	ctype := tree.Root().Get("contentType").Str()
	want, _, _ := strings.Cut(r.Format.Native, "/*")
	if ctype == "" || !strings.HasPrefix(ctype, want) {
		return nil, rest.NotAcceptable(r.Format.Native)
	}
	rep.Native, err = base64.StdEncoding.DecodeString(tree.Root().Get("data").Str())
	if err != nil {
		return nil, fault.New(fault.Internal, "stored Binary: %w", err)
	}
	rep.ContentType = ctype
	rep.Header = http.Header{"Content-Security-Policy": {"sandbox"}, "X-Content-Type-Options": {"nosniff"}}
	return rep, nil
}
