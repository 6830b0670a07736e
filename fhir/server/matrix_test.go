package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// codec is the XML of the REST interface, as the wiring gives it.
type codec struct{ e *fhirpath.Engine }

func (c codec) ToJSON(b []byte) ([]byte, error)   { return xml.ToJSON(c.e.Model(), b) }
func (c codec) FromJSON(b []byte) ([]byte, error) { return xml.FromJSON(c.e.Model(), b) }

// TestMatrix sends every method to every form of address with every header and
// body below, valid and not, and holds each answer to the rules of HTTP and FHIR.
func TestMatrix(t *testing.T) {
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}
	paths := []string{"", "/", "/metadata", "/_search", "/_history", "/$nothing", "/$boom", "/Patient", "/Patient?identifier=x", "/Patient?nmae=x", "/Patient/_search",
		"/Patient/_history", "/Patient/_history?_since=x", "/Patient/$nothing", "/Patient/p", "/Patient/none", "/Patient/a_b", "/Patient/p/_history", "/Patient/p/_history/1",
		"/Patient/p/_history/999999999999999999999", "/Patient/p/Observation", "/Patient/p/*?_count=0", "/Patient/p/Observation/_search", "/Patient/p/x/y/z", "/Nothing/1",
		"/Binary", "/Binary/b", "/_async/x", "/_async/x/y", "/%00", "/Patient/%ff", "/Patient?_count=-1", "/Patient?_cursor=x", "/Patient/p?_elements=%2C&_summary=x", "/patient"}
	headers := []string{"", "Accept: application/fhir+xml", "Accept: image/png", "If-Match: x|If-None-Match: W/\"1\"", "If-Match: W/\"99\"", "If-None-Exist: nmae=x|Prefer: return=minimal",
		"Prefer: return=OperationOutcome, handling=lenient|Accept-Language: en", "X-Qihuang-Offset: x", "X-Request-Id: bad id\u4e2d", "Prefer: respond-async",
		"If-Modified-Since: yesterday|Accept-Encoding: gzip;q=0", "Idempotency-Key: k"}
	bodies := []string{"", "application/fhir+json|{}", "application/fhir+json|" + patient("p", `,"gender":"male"`), "application/fhir+json|" + patient("", `,"gender":"wrong"`),
		"application/fhir+json|{\"a\":", "application/fhir+xml|<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/></Patient>", "application/fhir+xml|<!DOCTYPE x><x/>",
		"application/json-patch+json|[{\"op\":\"remove\",\"path\":\"/gender\"}]", "application/json-patch+json|[1]", "application/x-www-form-urlencoded|a=%zz", "text/csv|a,b",
		"application/fhir+json|{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":\"GET\",\"url\":\"Patient/p\"}},{}]}", "application/fhir+json; charset=utf-16|{}", ";|x"}
	m, err := model()
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(t, func(c *server.Config, p *server.Parts) {
		p.XML = codec{fhirpath.NewEngine(m)}
		c.Jobs, p.Operations = 1, []server.Operation{{Name: "boom", System: true, Run: func(context.Context, *server.Server, *server.Request) (*server.Reply, error) {
			return nil, fault.New(fault.Unsupported, "not today")
		}}}
	})
	n := 0
	for _, method := range methods {
		for _, path := range paths {
			for i, head := range headers {
				for k, body := range bodies {
					if i > 0 && k > 0 && (i+k+len(path))%3 > 0 { // a third of the combinations of both
						continue
					}
					h.hold(t, method, path, head, body)
					n++
				}
			}
		}
	}
	t.Logf("%d requests", n)
}

// hold sends one request and checks what must be true of every answer.
func (h *hub) hold(t *testing.T, method, path, head, body string) {
	t.Helper()
	media, content, _ := strings.Cut(body, "|")
	req, err := http.NewRequest(method, "http://hub/fhir"+path, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.RequestURI, req.RemoteAddr = "/fhir"+path, "127.0.0.1:1"
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	for f := range strings.SplitSeq(head, "|") {
		if k, v, ok := strings.Cut(f, ": "); ok {
			req.Header.Set(k, v)
		}
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	fail := func(why string) {
		t.Helper()
		t.Errorf("%s %s [%s] [%.60s]: %d %s: %.300s", method, path, head, body, w.Code, why, w.Body)
	}
	switch {
	case w.Code >= 500 && w.Code != http.StatusNotImplemented:
		fail("server error")
	case w.Header().Get("X-Request-Id") == "":
		fail("no request id")
	case (w.Code == 204 || w.Code == 304) && w.Body.Len() > 0:
		fail("a body where none may be")
	case w.Code == 201 && (w.Header().Get("Location") == "" || w.Header().Get("ETag") == ""):
		fail("created without Location or ETag")
	case w.Code == 405 && w.Header().Get("Allow") == "":
		fail("405 without Allow")
	case w.Code >= 400 && method != "HEAD" && !isOutcome(w.Header().Get("Content-Type"), w.Body.String()):
		fail("no OperationOutcome")
	}
}

func isOutcome(media, body string) bool {
	if strings.HasPrefix(media, "application/fhir+xml") {
		return strings.Contains(body, `<OperationOutcome xmlns="http://hl7.org/fhir"><issue>`)
	}
	tree, err := fhir.Parse([]byte(body))
	if err != nil || tree.Root().ResourceType() != "OperationOutcome" {
		return false
	}
	issue := tree.Root().Get("issue").First()
	return issue.Get("severity").Str() != "" && issue.Get("code").Str() != "" && issue.Path("details", "text").Str() != ""
}
