package server

import (
	"compress/gzip"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/semaphore"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// small is the size of bodies that any number of clients may send at once; the
// part of a body above it is taken from the budget that all share.
const small = 1 << 20

// budget is the memory that large bodies share while their requests last. For
// one request; give it back with release.
type budget struct {
	shared *semaphore.Weighted
	held   int64
}

// grow takes room for a body of size bytes, fault.Busy if others hold too much.
func (b *budget) grow(size int64) error {
	more := size - small - b.held
	if more <= 0 {
		return nil
	}
	if !b.shared.TryAcquire(more) {
		return fault.New(fault.Busy, "too many large bodies at once").With(fault.Issue{Severity: "error", Code: "throttled", Key: "busy",
			Text: "同时到达的大请求过多，请稍后重试", TextEN: "too many large requests at once: try again later"})
	}
	b.held += more
	return nil
}

func (b *budget) release() {
	b.shared.Release(b.held)
	b.held = 0
}

// readBody reads, decompresses and, from XML, converts the body. A client may
// not take longer to send it than an interaction may last.
func (s *Server) readBody(c *gin.Context, req *Request, mem *budget) error {
	r := c.Request
	switch req.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return nil
	}
	if r.ContentLength > s.cfg.MaxBody {
		return s.tooLarge()
	}
	rc := http.NewResponseController(c.Writer)
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.Timeout)) // unsupported by test recorders
	body, err := s.readAll(r, mem)
	if err != nil {
		return err
	}
	_ = rc.SetReadDeadline(time.Time{})
	req.Body = body
	op := s.operationOf(req)
	if header := r.Header.Get("Content-Type"); op.speaks(header) {
		req.MediaType = header
		return nil
	}
	req.MediaType, err = mediaType(r.Header.Get("Content-Type"), body)
	if err != nil || len(body) == 0 || op.speaks(req.MediaType) {
		return err
	}
	return s.decode(req)
}

// readAll reads the body within MaxBody, also after decompression.
func (s *Server) readAll(r *http.Request, mem *budget) ([]byte, error) {
	var src io.Reader = r.Body
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, badBody("请求体不是 gzip，与 Content-Encoding 不符", "the body is not gzip, as Content-Encoding says")
		}
		defer z.Close()
		src = z
	default:
		return nil, unsupportedMedia("Content-Encoding: "+enc, rest.JSON)
	}
	buf := make([]byte, 0, min(max(r.ContentLength, 0), small)+512) // no more on a client's word
	for {
		if len(buf) == cap(buf) {
			next := min(max(2*int64(cap(buf)), r.ContentLength+512), s.cfg.MaxBody+512, 4*int64(cap(buf)))
			if err := mem.grow(next); err != nil {
				return nil, err
			}
			buf = append(make([]byte, 0, next), buf...)
		}
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > s.cfg.MaxBody {
			return nil, s.tooLarge()
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return nil, badBody("请求体没有发完整，请重发", "the body ended too early: send it again")
		}
	}
}

// badBody is a body that cannot be read as its headers say.
func badBody(zh, en string) error {
	return fault.New(fault.Invalid, "%s", en).With(fault.Issue{Severity: "error", Code: "structure", Key: "body", Text: zh, TextEN: en})
}

func (s *Server) tooLarge() error {
	return fault.New(fault.TooCostly, "body too large").With(fault.Issue{Severity: "error", Code: "too-long", Key: outcome.KeyTooLarge,
		Text: "请求体过大，请分批发送", TextEN: "the body is too large: send it in parts"})
}

// mediaType returns the body's type; without a header it is told from the first byte.
func mediaType(header string, body []byte) (string, error) {
	if header == "" {
		for _, c := range body {
			switch c {
			case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF:
				continue
			case '{', '[':
				return rest.JSON, nil
			case '<':
				return rest.XML, nil
			}
			break
		}
		return "", nil
	}
	if header == rest.JSON {
		return rest.JSON, nil
	}
	t, params, err := mime.ParseMediaType(header)
	if err != nil {
		return "", unsupportedMedia(header, rest.JSON)
	}
	if v, ok := params["fhirversion"]; ok && !rest.IsR4(v) {
		return "", unsupportedMedia(header, rest.JSON+"; fhirVersion=4.0")
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
	default:
		return "", unsupportedMedia(header, rest.JSON)
	}
	return t, nil
}

// decode turns XML into JSON, wraps native content sent to Binary, and refuses
// media types no interaction takes.
func (s *Server) decode(req *Request) (err error) {
	switch kind := rest.KindOf(req.MediaType); {
	case kind == rest.KindJSON, req.MediaType == rest.JSONPatch, req.MediaType == rest.XMLPatch && req.Method == http.MethodPatch, req.MediaType == rest.Lines && req.Shape == rest.SystemOperation, req.MediaType == rest.Form && takesForm(req):
		return nil
	case kind == rest.KindXML && s.parts.XML != nil: // of a PATCH the Parameters of a FHIRPath Patch
		req.Body, err = s.parts.XML.ToJSON(req.Body)
		return err
	case kind == rest.NoKind && req.MediaType != "" && req.Type == "Binary" && (req.Shape == rest.TypeLevel || req.Shape == rest.Instance):
		req.Body = wrapBinary(req)
		return nil
	}
	if req.Method == http.MethodPatch {
		return unsupportedMedia(req.MediaType, rest.JSONPatch+", "+rest.XMLPatch+", "+rest.JSON)
	}
	return unsupportedMedia(req.MediaType, rest.JSON)
}

func takesForm(r *Request) bool {
	switch r.Shape {
	case rest.TypeSearch, rest.SystemSearch, rest.CompartmentSearch, rest.TypeOperation, rest.SystemOperation, rest.InstanceOperation:
		return true
	}
	return false
}

// wrapBinary makes a Binary of native content (binary.html#rest).
func wrapBinary(r *Request) []byte {
	b := append([]byte(nil), `{"resourceType":"Binary",`...)
	if r.Shape == rest.Instance {
		b = append(fhir.AppendString(append(b, `"id":`...), r.Target.ID), ',')
	}
	b = fhir.AppendString(append(b, `"contentType":`...), r.MediaType)
	b = append(b, `,"data":"`...)
	b = base64.StdEncoding.AppendEncode(b, r.Body)
	return append(b, `"}`...)
}

// unsupportedMedia refuses a media type and names the one to use.
func unsupportedMedia(what, want string) error {
	return fault.New(fault.Unsupported, "unsupported media type").With(fault.Issue{Severity: "error", Code: "not-supported", Key: outcome.KeyMediaType,
		Text: "不支持的内容类型：" + rest.Clip(what), TextEN: "unsupported media type: " + rest.Clip(what), Hint: "Content-Type: " + want})
}
