package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Header names of ours.
const (
	headerOffset  = "X-Qihuang-Offset"
	headerRequest = "X-Request-Id"
)

// Mount serves the interface below /fhir of r.
func (s *Server) Mount(r gin.IRouter) {
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"} {
		r.Handle(m, "/fhir", s.serve)
		r.Handle(m, "/fhir/*path", s.serve)
	}
}

// Unknown answers what no route of the router takes, as a request with a
// method of nobody's; it reports whether the address is one of ours.
func (s *Server) Unknown(c *gin.Context) bool {
	if p := c.Request.URL.Path; p != "/fhir" && !strings.HasPrefix(p, "/fhir/") {
		return false
	}
	s.serve(c)
	return true
}

// serve is the one HTTP handler: it reads the request, runs the interaction
// and writes its reply or its error.
func (s *Server) serve(c *gin.Context) {
	start := s.clock.Now()
	id := requestID(c.Request.Header.Get(headerRequest))
	if id == "" {
		id = s.parts.NewID()
	}
	h := c.Writer.Header()
	h.Set(headerRequest, id)
	h["Vary"] = append(h["Vary"], "Accept, Accept-Language, Prefer")
	if s.cors(c) {
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.cfg.Timeout)
	defer cancel()
	req := &Request{ID: id, Method: c.Request.Method, Header: c.Request.Header}
	var rep *Reply
	mem := budget{shared: s.bodies}
	defer mem.release()
	code := "refused"
	err := s.limits.allow(c.ClientIP(), start)
	if err == nil {
		err = s.read(c, req, &mem)
	}
	if err == nil {
		rep, code, err = s.dispatch(ctx, req)
	}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetName("FHIR " + code)
		span.SetAttributes(attribute.String("fhir.interaction", code), attribute.String("fhir.type", req.Type), attribute.String("fhir.request", id))
	}
	defer rep.done()
	if err == nil {
		err = s.write(c, req, rep)
	}
	if err != nil {
		s.refuse(c, req, err)
	}
	s.parts.Metrics.observe(code, c.Writer.Status(), s.clock.Now().Sub(start))
}

// requestID returns the client's request id if it is fit to be logged: up to 128
// letters, digits and marks that ids are written with.
func requestID(id string) string {
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("-._~:/+=@", rune(c)) {
			return ""
		}
	}
	if len(id) > 128 {
		return ""
	}
	return id
}

// read fills req from the HTTP request.
func (s *Server) read(c *gin.Context, req *Request, mem *budget) (err error) {
	h := c.Request.Header
	req.English = rest.English(h.Get("Accept-Language"))
	req.Query = c.Request.URL.RawQuery
	req.Base = s.base(c.Request)
	req.Prefer = rest.ParsePrefer(h.Values("Prefer"))
	target, unknown := s.target(strings.TrimPrefix(c.Request.URL.Path, "/fhir"))
	req.Target = target
	if req.Format, err = rest.Negotiate(req.Param("_format"), req.Param("_pretty"), h.Get("Accept")); unknown != nil {
		return unknown // in the format asked for, if there is one
	}
	if op := s.operationOf(req); err != nil && (op == nil || !op.Formats && !op.speaks(req.Param("_format"))) {
		return err
	}
	if v := h.Get(headerOffset); v != "" {
		if req.MinOffset, err = strconv.ParseInt(v, 10, 64); err != nil || req.MinOffset < 0 {
			return rest.BadParam(headerOffset, v)
		}
	}
	if s.parts.Actor != nil {
		req.Actor = s.parts.Actor(c.Request.Context())
	}
	return s.readBody(c, req, mem)
}

// target parses a path. Types that only operations know have no interactions
// but these.
func (s *Server) target(path string) (rest.Target, error) {
	t, err := rest.ParseTarget(path, func(name string) bool { return s.parts.Model.IsResource(name) || s.ofTypes(name) })
	if err == nil && t.Type != "" && t.Shape != rest.TypeOperation && t.Shape != rest.InstanceOperation && !s.parts.Model.IsResource(t.Type) {
		err = rest.UnknownType(t.Type)
	}
	if name, _, _ := strings.Cut(strings.Trim(path, "/"), "/"); fault.Is(err, fault.NotFound) && !s.parts.Model.IsResource(name) {
		err = rest.UnknownType(name, s.parts.Model.Resources()...)
	}
	return t, err
}

// operationOf returns the named operation a request is for, nil if none.
func (s *Server) operationOf(r *Request) *Operation {
	switch r.Shape {
	case rest.SystemOperation, rest.TypeOperation, rest.InstanceOperation, rest.VersionOperation:
		return s.named[r.Name]
	}
	return nil
}

// base returns the absolute base URL on the address the client used.
func (s *Server) base(r *http.Request) string {
	if s.cfg.PublicBase != "" {
		return strings.TrimSuffix(s.cfg.PublicBase, "/")
	}
	scheme, host := "http://", r.Host
	if r.TLS != nil {
		scheme = "https://"
	}
	if s.cfg.TrustForwarded {
		if p := r.Header.Get("X-Forwarded-Proto"); p == "https" || p == "http" {
			scheme = p + "://"
		}
		if h := r.Header.Get("X-Forwarded-Host"); h != "" {
			host = h
		}
	}
	return scheme + host + "/fhir"
}

// write sends the reply. After the first byte an error can only cut the
// connection, which it does, so that no client takes half an answer for a whole.
func (s *Server) write(c *gin.Context, req *Request, rep *Reply) error {
	body, ctype := rep.json(), rest.JSON+"; charset=utf-8"
	reshape := (req.Format.XML || req.Format.Pretty) && rep.ContentType == ""
	if rep.ContentType != "" {
		ctype = rep.ContentType
	}
	if rep.Stream != nil && reshape {
		var buf bytes.Buffer
		if err := rep.Stream(&buf); err != nil {
			return err
		}
		body = buf.Bytes()
	}
	if body != nil && reshape {
		var err error
		if body, ctype, err = s.reshape(req, body); err != nil {
			return err
		}
	}
	if rep.Native != nil {
		body = rep.Native
	}
	s.head(c, rep)
	h := c.Writer.Header()
	h["Content-Type"] = []string{ctype}
	switch {
	case rep.Stream != nil && !reshape:
		return s.stream(c, rep)
	case len(body) == 0:
		delete(h, "Content-Type")
		c.Status(rep.status())
		c.Writer.WriteHeaderNow()
	default:
		s.send(c, rep.status(), body)
	}
	return nil
}

// head sets the header fields of a reply.
func (s *Server) head(c *gin.Context, rep *Reply) {
	h := c.Writer.Header()
	for k, v := range rep.Header {
		h[k] = v
	}
	if v := rep.Version; v != nil {
		h["Etag"] = []string{etag(v.Version)}
		if !v.LastUpdated.IsZero() {
			h["Last-Modified"] = []string{v.LastUpdated.UTC().Format(http.TimeFormat)}
		}
	}
	if rep.Location != "" {
		h["Location"] = []string{rep.Location}
	}
	if rep.Offset > 0 {
		h[headerOffset] = []string{strconv.FormatInt(rep.Offset, 10)}
	}
}

// reshape turns JSON into the format asked for.
func (s *Server) reshape(req *Request, body []byte) ([]byte, string, error) {
	if req.Format.XML {
		if s.parts.XML == nil {
			return nil, "", rest.NotAcceptable(rest.XML)
		}
		out, err := s.parts.XML.FromJSON(body)
		if err != nil { // what was stored before its kind was checked: the request is not at fault
			return nil, "", fault.New(fault.Unsupported, "no XML of this content: %w", err).With(fault.Issue{Severity: "error", Code: "not-supported",
				Key: outcome.KeyAccept, Text: "该内容不能写成 XML，请改用 JSON", TextEN: "this content has no XML form: ask for JSON", Hint: rest.JSON})
		}
		return out, rest.XML + "; charset=utf-8", nil
	}
	var buf bytes.Buffer
	if err := json.Indent(&buf, body, "", "  "); err != nil {
		return nil, "", fault.New(fault.Internal, "indent: %w", err)
	}
	buf.WriteByte('\n')
	return buf.Bytes(), rest.JSON + "; charset=utf-8", nil
}

// refuse answers an error; it is the only place that does.
func (s *Server) refuse(c *gin.Context, req *Request, err error) {
	if c.Writer.Written() {
		s.log.Error("fhir answer cut short", "request", req.ID, "cause", err)
		// The last chunk cannot be written any more, so the client sees the cut.
		_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Unix(1, 0))
		return
	}
	err = timedOut(err)
	status := outcome.Status(err)
	if status >= 500 {
		s.log.Error("fhir request failed", "request", req.ID, "method", req.Method, "type", req.Type, "status", status, "cause", err)
	}
	h := c.Writer.Header()
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", strings.Join(s.allowed(req), ", "))
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="qihuang"`)
	}
	body := outcome.Of(err, outcome.Options{English: req.English, RequestID: req.ID})
	ctype := rest.JSON + "; charset=utf-8"
	if out, t, rerr := s.reshape(req, body); rerr == nil && (req.Format.XML || req.Format.Pretty) {
		body, ctype = out, t
	}
	h.Set("Content-Type", ctype)
	h.Set("Content-Language", language(req.English))
	s.send(c, status, body)
}

// timedOut turns the end of the interaction's time into a fault.
func timedOut(err error) error {
	if fault.KindOf(err) != fault.Internal {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.TooCostly, "the interaction took too long")
	}
	return err
}

func language(english bool) string {
	if english {
		return "en"
	}
	return "zh-CN"
}
