package ingest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// hub keeps what arrives.
type hub struct {
	mu       sync.Mutex
	messages []*pipeline.Message
	letters  []*pipeline.DeadLetter
	away     error
}

func (h *hub) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away == nil {
		h.messages = append(h.messages, m)
	}
	return pipeline.Position{}, h.away
}

type letters struct {
	pipeline.DeadLetters
	hub *hub
}

func (l letters) Put(_ context.Context, d *pipeline.DeadLetter) error {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	l.hub.letters = append(l.hub.letters, d)
	return nil
}

func start(t *testing.T, cfg Config, check func(context.Context, *pipeline.Message) error) (*hub, *gin.Engine) {
	t.Helper()
	h := &hub{}
	desk, err := source.New(source.Config{File: filepath.Join(t.TempDir(), "s.json"), Zone: time.UTC},
		source.Parts{Inbound: h, Letters: letters{hub: h}, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	d := New(Parts{Check: check})
	d.Add(&Source{Config: cfg, Intake: desk.Intake("county")})
	gin.SetMode(gin.TestMode)
	r := gin.New()
	d.Mount(r)
	return h, r
}

func post(r *gin.Engine, path, contentType, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", path, strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func TestPost_ok(t *testing.T) {
	for name, c := range map[string]struct{ contentType, body, kind, key string }{
		"visit": {"application/json", `{"orgCode":"37","visitNo":"1","patient":{"id":"9"}}`, "his-visit", "county|37|9"},
		"fhir":  {"application/fhir+json", `{"resourceType":"Patient","identifier":[{"value":"P1"}]}`, "fhir", "county||P1"},
		"xml":   {"application/xml", `<a><patientId>7</patientId></a>`, "xml", "county||7"},
		"v2":    {"text/plain", "MSH|^~\\&|H|37\rPID|1||8\r", "hl7v2", "county|37|8"},
	} {
		h, r := start(t, Default(), nil)
		w := post(r, "/ingest/county", c.contentType, c.body)
		if w.Code != 202 || len(h.messages) != 1 || h.messages[0].Kind != c.kind || h.messages[0].Key != c.key || string(h.messages[0].Body) != c.body {
			t.Errorf("%s: %d %s %+v", name, w.Code, w.Body, h.messages)
		}
	}
}

func TestPost_bad(t *testing.T) {
	check := func(_ context.Context, m *pipeline.Message) error {
		if strings.Contains(string(m.Body), "nobody") {
			return fault.New(fault.Invalid, "x").With(fault.Issue{Severity: "error", Code: "required", Text: "缺少患者", Expression: "patient.id"})
		}
		return nil
	}
	small := Default()
	small.MaxBody = 1
	for name, c := range map[string]struct {
		body, place string
		status      int
	}{
		"broken json": {`{"a":`, "1:6", 400},
		"broken xml":  {"<a>\n<b></a>", "2:4", 400},
		"nothing":     {"", "", 400},
		"no format":   {"hello", "", 400},
		"refused":     {`{"nobody":1}`, "patient.id", 400},
		"oversize":    {`{"a":"` + strings.Repeat("x", 2<<20) + `"}`, "", 413},
		"charset":     {"{\"a\":\"\xff\xff\x81\"}", "", 400},
	} {
		h, r := start(t, small, check)
		w := post(r, "/ingest/county", "application/json", c.body)
		if w.Code/100 != 4 || len(h.messages) != 0 || len(h.letters) != 1 || !strings.Contains(w.Body.String(), "OperationOutcome") {
			t.Errorf("%s: %d %s, %d kept", name, w.Code, w.Body, len(h.letters))
			continue
		}
		if l := h.letters[0]; c.place != "" && !strings.Contains(l.Location, c.place) || l.Reason == "" {
			t.Errorf("%s: at %q %q", name, l.Location, l.Reason)
		}
	}
	h, r := start(t, Default(), nil)
	h.away = fault.New(fault.Unavailable, "日志不可用")
	if w := post(r, "/ingest/county", "application/json", `{"a":1}`); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("log away: %d", w.Code)
	}
	if w := post(r, "/ingest/stranger", "application/json", `{"a":1}`); w.Code != 404 {
		t.Errorf("unknown source: %d", w.Code)
	}
}

func TestToken(t *testing.T) {
	cfg := Default()
	cfg.Token = "secret"
	_, r := start(t, cfg, nil)
	if w := post(r, "/ingest/county", "application/json", `{"a":1}`); w.Code != 401 {
		t.Errorf("without: %d", w.Code)
	}
	if w := post(r, "/ingest/county", "application/json", `{"a":1}`, "Authorization", "Bearer secret"); w.Code != 202 {
		t.Errorf("with: %d", w.Code)
	}
}

const inner = `<Request><orgCode>37</orgCode><patientId>5</patientId></Request>`

func TestSOAP_ok(t *testing.T) {
	escaped := strings.NewReplacer("<", "&lt;", ">", "&gt;").Replace(inner)
	envelope := func(ns, body string) string {
		return `<s:Envelope xmlns:s="` + ns + `"><s:Body>` + body + `</s:Body></s:Envelope>`
	}
	const ns11, ns12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
	mtom := "--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n" +
		envelope(ns12, `<send xmlns="urn:x"><doc><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:doc%40x"/></doc></send>`) +
		"\r\n--b\r\nContent-Type: text/xml\r\nContent-ID: <doc@x>\r\nContent-Transfer-Encoding: binary\r\n\r\n" + inner + "\r\n--b--\r\n"
	for name, c := range map[string]struct{ contentType, body, reply, want string }{
		"rpc 1.1":      {"text/xml", envelope(ns11, `<ns:push xmlns:ns="urn:x"><arg0>`+escaped+`</arg0></ns:push>`), "pushReturn", inner},
		"rpc 1.2":      {"application/soap+xml", envelope(ns12, `<ns:push xmlns:ns="urn:x"><arg0><![CDATA[`+inner+`]]></arg0></ns:push>`), ns12, inner},
		"document 1.1": {"text/xml", envelope(ns11, inner), "RequestResponse", inner},
		"mtom":         {`multipart/related; boundary=b; start="<root>"; type="application/xop+xml"`, mtom, "sendReturn", inner},
		"no envelope":  {"text/xml", inner, "acceptMessageReturn", inner},
	} {
		h, r := start(t, Default(), nil)
		w := post(r, "/soap/county", c.contentType, c.body)
		if w.Code != 200 || !strings.Contains(w.Body.String(), c.reply) || len(h.messages) != 1 || h.messages[0].Key != "county|37|5" {
			t.Errorf("%s: %d %s %+v", name, w.Code, w.Body, h.messages)
			continue
		}
		if got := string(h.messages[0].Body); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestSOAP_bad(t *testing.T) {
	for name, c := range map[string]struct{ contentType, body string }{
		"not xml":      {"text/xml", "hello"},
		"empty body":   {"text/xml", `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body/></Envelope>`},
		"cut off mtom": {"multipart/related; boundary=b", "--b\r\n\r\n<a>"},
		"no such part": {"multipart/related; boundary=b", "--b\r\n\r\n<o xmlns:x='http://www.w3.org/2004/08/xop/include'><x:Include href='cid:1'/></o>\r\n--b--"},
	} {
		h, r := start(t, Default(), nil)
		w := post(r, "/soap/county", c.contentType, c.body)
		if w.Code != 500 || !strings.Contains(w.Body.String(), "Fault") || len(h.letters) != 1 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestWSDL(t *testing.T) {
	_, r := start(t, Default(), nil)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/soap/county?wsdl", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "/soap/county") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestAHangingSender: half a request, then silence: the sender is given up, what
// came is kept.
func TestAHangingSender(t *testing.T) {
	cfg := Default()
	cfg.Stall = 200 * time.Millisecond
	h, r := start(t, cfg, nil)
	srv := httptest.NewServer(r)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /ingest/county HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\":"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 400" {
		t.Errorf("answer %q, %v", answer, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.letters) != 1 || string(h.letters[0].Message.Body) != `{"half":` || !strings.Contains(h.letters[0].Reason, "没有发完") {
		t.Errorf("kept %+v", h.letters)
	}
}
