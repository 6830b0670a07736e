package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/patch"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/internal/fault"
)

var model = sync.OnceValues(definitions.Load)

var engines sync.Map // *definitions.Model → *search.Engine

func engine(m *definitions.Model) *search.Engine {
	e, ok := engines.Load(m)
	if !ok {
		e, _ = engines.LoadOrStore(m, search.NewEngine(m, fhirpath.NewEngine(m)))
	}
	return e.(*search.Engine)
}

// genderCheck refuses patients whose gender is "wrong", as a validator would.
type genderCheck struct{}

func (genderCheck) Check(_ context.Context, res fhir.Node) []fault.Issue {
	if res.Get("gender").Str() == "wrong" {
		return []fault.Issue{{Severity: "error", Code: "code-invalid", Key: "binding", Expression: "Patient.gender", Text: "性别代码不对", TextEN: "wrong gender"}}
	}
	return nil
}

// hub is a FHIR server on a memory store.
type hub struct {
	t       testing.TB
	url     string
	base    string
	srv     *server.Server
	handler http.Handler
}

func newHub(t testing.TB, change ...func(*server.Config, *server.Parts)) *hub {
	t.Helper()
	m, err := model()
	if err != nil {
		t.Fatal(err)
	}
	se := engine(m)
	patcher := patch.New(fhirpath.NewEngine(m))
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se, Patcher: patcher})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	cfg := server.Default()
	parts := server.Parts{Store: st, Model: m, Search: se, Validator: genderCheck{}, Patcher: patcher, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg, &parts)
	}
	s, err := server.New(cfg, parts)
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	s.Mount(r)
	r.NoRoute(func(c *gin.Context) { s.Unknown(c) })
	ts := httptest.NewServer(r)
	t.Cleanup(func() { ts.Close(); s.Close(); cancel(); <-ran })
	return &hub{t: t, url: ts.URL, base: ts.URL + "/fhir", srv: s, handler: r}
}

// answer is an HTTP answer read whole.
type answer struct {
	*http.Response
	body string
}

// do sends "METHOD path" with a body and header fields "Name: value".
func (h *hub) do(line, body string, header ...string) answer {
	h.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(path, "http") {
		path = h.base + path
	}
	req, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	for _, f := range header {
		k, v, _ := strings.Cut(f, ": ")
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{resp, string(b)}
}

// want checks the status.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d: %.600s", a.Request.Method, a.Request.URL, a.StatusCode, status, a.body)
	}
	return a
}

// node parses the body.
func (a answer) node(t testing.TB) fhir.Node {
	t.Helper()
	tree, err := fhir.Parse([]byte(a.body))
	if err != nil {
		t.Fatalf("%v in %.300s", err, a.body)
	}
	return tree.Root()
}

func patient(id, rest string) string {
	if id != "" {
		id = `,"id":"` + id + `"`
	}
	return `{"resourceType":"Patient"` + id + rest + `}`
}

func TestCreateReadUpdateDelete(t *testing.T) {
	h := newHub(t)
	a := h.do("POST /Patient", patient("ignored", `,"multipleBirthInteger":1, "x_unknown": 1.10`)).want(t, 201)
	id := a.node(t).Get("id").Str()
	if id == "ignored" || id == "" {
		t.Errorf("the server must draw the id, got %q", id)
	}
	if loc := h.base + "/Patient/" + id + "/_history/1"; a.Header.Get("Location") != loc || a.Header.Get("ETag") != `W/"1"` || a.Header.Get("Last-Modified") == "" {
		t.Errorf("headers %v", a.Header)
	}
	if !strings.Contains(a.body, `"x_unknown": 1.10`) {
		t.Errorf("not kept byte for byte: %s", a.body)
	}
	if r := h.do("GET /Patient/"+id, "").want(t, 200); r.body != a.body || r.Header.Get("ETag") != `W/"1"` {
		t.Errorf("read differs: %s", r.body)
	}
	if r := h.do("HEAD /Patient/"+id, "").want(t, 200); r.body != "" || r.ContentLength != int64(len(a.body)) {
		t.Errorf("HEAD: %d %q", r.ContentLength, r.body)
	}
	h.do("PUT /Patient/"+id, patient(id, `,"active":true`), `If-Match: W/"7"`).want(t, 412)
	h.do("PUT /Patient/"+id, patient(id, `,"active":true`), `If-Match: W/"1"`).want(t, 200)
	h.do("PUT /Patient/"+id, patient(id, ``), `If-None-Match: *`).want(t, 412)
	h.do("PUT /Patient/new-1", patient("new-1", ``), `If-None-Match: *`).want(t, 201)
	h.do("GET /Patient/"+id+"/_history/1", "").want(t, 200)
	h.do("GET /Patient/"+id+"/_history/9", "").want(t, 404)
	h.do("GET /Patient/"+id+"/_history/x", "").want(t, 404)
	h.do("DELETE /Patient/"+id, "", `If-Match: W/"1"`).want(t, 412)
	if d := h.do("DELETE /Patient/"+id, "").want(t, 204); d.Header.Get("ETag") != `W/"3"` {
		t.Errorf("a deletion takes a number: %v", d.Header)
	}
	h.do("GET /Patient/"+id, "").want(t, 410)
	h.do("GET /Patient/"+id+"/_history/3", "").want(t, 410)
	h.do("DELETE /Patient/"+id, "").want(t, 204)
	h.do("DELETE /Patient/never", "").want(t, 204)
	h.do("PUT /Patient/"+id, patient(id, ``)).want(t, 201)
	if v := h.do("GET /Patient/"+id, "").node(t).Path("meta", "versionId").Str(); v != "4" {
		t.Errorf("version %s after a deletion, want 4", v)
	}
}

func TestConditionalRead(t *testing.T) {
	h := newHub(t)
	a := h.do("PUT /Patient/1", patient("1", "")).want(t, 201)
	h.do("GET /Patient/1", "", `If-None-Match: W/"1"`).want(t, 304)
	h.do("GET /Patient/1", "", `If-None-Match: W/"2"`).want(t, 200)
	h.do("GET /Patient/1", "", `If-Modified-Since: `+a.Header.Get("Last-Modified")).want(t, 304)
	h.do("GET /Patient/1", "", `If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT`).want(t, 200)
}

// TestRefused is the matrix of wrong requests and the status each must get.
func TestRefused(t *testing.T) {
	h := newHub(t, func(c *server.Config, _ *server.Parts) { c.MaxBody = 1 << 20 })
	ok := patient("1", "")
	big := patient("1", `,"language":"`+strings.Repeat("x", 1<<20)+`"`)
	for _, c := range []struct {
		line, body string
		header     []string
		want       int
		says       string
	}{
		{"GET /Nothing", "", nil, 404, "Nothing"},
		{"GET /Patient/none", "", nil, 404, ""},
		{"GET /Patient/a_b", "", nil, 400, "id"},
		{"GET /Patient/1/x/y/z", "", nil, 404, ""},
		{"GET /Patient/$nothing", "", nil, 404, "$nothing"},
		{"PUT /Patient/a_b", patient("a_b", ""), nil, 400, ""},
		{"PUT /Patient/1", patient("", ""), nil, 400, "Patient.id"},
		{"PUT /Patient/1", patient("2", ""), nil, 400, "Patient.id"},
		{"PUT /Patient/1", `{"resourceType":"Observation","id":"1"}`, nil, 400, "Observation"},
		{"PUT /Patient/1", `{"resourceType":"Patient",` + "\n" + `"id" "1"}`, nil, 400, "line 2, column 6"},
		{"PUT /Patient/1", `[]`, nil, 400, ""},
		{"PUT /Patient/1", ``, nil, 400, ""},
		{"PUT /Patient/1", patient("1", `,"gender":"wrong"`), nil, 422, "Patient.gender"},
		{"PUT /Patient/1", big, nil, 413, ""},
		{"PUT /Patient/1", ok, []string{"Content-Type: text/plain"}, 415, "text/plain"},
		{"PUT /Patient/1", ok, []string{"Content-Type: application/json; charset=gbk"}, 415, ""},
		{"PUT /Patient/1", ok, []string{"Content-Encoding: br"}, 415, ""},
		{"PUT /Patient/1", ok, []string{"Content-Encoding: gzip"}, 400, ""},
		{"PUT /Patient/1", ok, []string{`If-Match: abc`}, 400, "If-Match"},
		{"GET /metadata?_format=yaml", "", nil, 406, "yaml"},
		{"GET /Patient/none", "", []string{"Accept: image/png"}, 404, ""},
		{"GET /metadata?mode=x", "", nil, 400, ""},
		{"PATCH /metadata", "{}", nil, 405, "PATCH"},
		{"DELETE /", "", nil, 405, ""},
		{"PUT /Patient/1/_history/1", ok, nil, 405, ""},
		{"POST /Patient/1", ok, nil, 405, ""},
		{"DELETE /Patient", "", nil, 400, ""},
		{"PUT /Patient", ok, nil, 400, ""},
		{"PATCH /Patient/1", `{"resourceType":"Patient"}`, nil, 400, ""},
		{"POST /", ok, nil, 400, "POST"},
		{"POST /", `{"resourceType":"Bundle","type":"collection"}`, nil, 400, "Bundle.type"},
		{"POST /", ``, nil, 400, ""},
		{"GET /Patient/1?_elemets=id", "", nil, 400, "_elements"},
		{"GET /Patient/none?_elemets=id", "", []string{"Prefer: handling=lenient"}, 404, ""},
		{"GET /Patient/1/_history/1?name=x", "", nil, 400, "name"},
		{"GET /Patient/1/_history?_since=x", "", nil, 400, "_since"},
		{"GET /Patient/_history?_count=-1", "", nil, 400, "_count"},
		{"GET /Patient/_history?_cursor=AAAA", "", nil, 400, "_cursor"},
		{"GET /Patient/none/_history", "", nil, 404, ""},
		{"GET /_async/none", "", nil, 404, ""},
	} {
		t.Run(strings.ReplaceAll(c.line, "/", "⁄")+fmt.Sprint(c.want), func(t *testing.T) {
			a := h.do(c.line, c.body, append([]string{"Accept-Language: en"}, c.header...)...).want(t, c.want)
			if c.want < 400 {
				return
			}
			if a.node(t).ResourceType() != "OperationOutcome" || !strings.Contains(a.body, c.says) {
				t.Errorf("body %s, want %q in an OperationOutcome", a.body, c.says)
			}
			if a.Header.Get("X-Request-Id") == "" {
				t.Error("no X-Request-Id")
			}
			if c.want == 405 && a.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestLanguage(t *testing.T) {
	h := newHub(t)
	if a := h.do("GET /Patient/none", ""); !strings.Contains(a.body, "不存在") && !strings.Contains(a.body, "没有") || a.Header.Get("Content-Language") != "zh-CN" {
		t.Errorf("Chinese by default: %s", a.body)
	}
	if a := h.do("GET /Patient/none", "", "Accept-Language: en-GB"); strings.ContainsAny(a.body, "不没有") {
		t.Errorf("English on request: %s", a.body)
	}
}

func TestPrefer(t *testing.T) {
	h := newHub(t)
	if a := h.do("POST /Patient", patient("", ""), "Prefer: return=minimal").want(t, 201); a.body != "" || a.Header.Get("Location") == "" {
		t.Errorf("minimal: %q", a.body)
	}
	if a := h.do("POST /Patient", patient("", ""), "Prefer: return=OperationOutcome").want(t, 201); a.node(t).ResourceType() != "OperationOutcome" {
		t.Errorf("outcome: %q", a.body)
	}
	h.do("PUT /Patient/1", patient("1", "")).want(t, 201)
	h.do("DELETE /Patient/1", "", "Prefer: return=OperationOutcome").want(t, 200)
}

func TestIdempotencyKey(t *testing.T) {
	h := newHub(t)
	a := h.do("POST /Patient", patient("", ""), "Idempotency-Key: k1").want(t, 201)
	b := h.do("POST /Patient", patient("", ""), "Idempotency-Key: k1").want(t, 201)
	c := h.do("POST /Patient", patient("", ""), "Idempotency-Key: k2").want(t, 201)
	h.do("POST /Patient", patient("", `,"active":true`), "Idempotency-Key: k1").want(t, 422)
	if a.body != b.body || a.body == c.body {
		t.Errorf("one key, one effect: %s %s %s", a.body, b.body, c.body)
	}
}

func TestFormats(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Patient/1", patient("1", `,"language":"`+strings.Repeat("中", 2000)+`"`)).want(t, 201)
	if a := h.do("GET /Patient/1?_pretty=true", "").want(t, 200); !strings.Contains(a.body, "\n  \"id\": \"1\"") {
		t.Errorf("not pretty: %.200s", a.body)
	}
	a := h.do("GET /Patient/1", "", "Accept-Encoding: gzip").want(t, 200)
	if a.Header.Get("Content-Encoding") != "gzip" || len(a.body) > 1000 {
		t.Errorf("not compressed: %d bytes, %v", len(a.body), a.Header)
	}
	h.do("GET /Patient/1?_format=xml", "").want(t, 406) // no XML part given
}

func TestSubsets(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Observation/1", `{"resourceType":"Observation","id":"1","text":{"status":"generated","div":"<div/>"},"status":"final","code":{"text":"c"},
		"issued":"2020-01-01T00:00:00Z","_issued":{"id":"i"},"note":[{"text":"n"}],"component":[{"code":{"text":"k"},"dataAbsentReason":{"text":"r"},"interpretation":[{"text":"x"}]}]}`).want(t, 201)
	for query, want := range map[string]string{
		"_summary=true":    "resourceType id status code issued _issued component meta",
		"_summary=text":    "resourceType id text status code meta",
		"_summary=data":    "resourceType id status code issued _issued note component meta",
		"_elements=note":   "resourceType id status code note meta",
		"_elements=issued": "resourceType id status code issued _issued meta",
	} {
		n := h.do("GET /Observation/1?"+query, "").want(t, 200).node(t)
		var keys []string
		for c := range n.Children() {
			keys = append(keys, c.Key())
		}
		got := map[string]bool{}
		for _, k := range keys {
			got[k] = true
		}
		for _, k := range strings.Fields(want) {
			if !got[k] {
				t.Errorf("%s: no %s in %v", query, k, keys)
			}
			delete(got, k)
		}
		if len(got) > 0 {
			t.Errorf("%s: too much: %v", query, got)
		}
		if n.Path("meta", "tag", "code").Str() != "SUBSETTED" {
			t.Errorf("%s: not tagged", query)
		}
	}
	n := h.do("GET /Observation/1?_summary=true", "").node(t).Path("component")
	if n.First().Get("interpretation").Exists() || !n.First().Get("code").Exists() {
		t.Errorf("summary inside components: %s", n.Raw())
	}
	h.do("GET /Observation/1?_summary=x", "").want(t, 400)
}

func TestHistory(t *testing.T) {
	h := newHub(t)
	for i := range 3 {
		h.do("PUT /Patient/1", patient("1", fmt.Sprintf(`,"multipleBirthInteger":%d`, i))).want(t, max(200, 201-i))
	}
	h.do("POST /Patient", patient("", "")).want(t, 201)
	h.do("PUT /Observation/1", `{"resourceType":"Observation","id":"1"}`).want(t, 201)
	h.do("DELETE /Patient/1", "").want(t, 204)
	n := h.do("GET /Patient/1/_history", "").want(t, 200).node(t)
	if n.Get("type").Str() != "history" || n.Get("total").Str() != "4" || n.Get("entry").Len() != 4 {
		t.Fatalf("%s", n.Raw())
	}
	first := n.Get("entry").First()
	if first.Path("request", "method").Str() != "DELETE" || first.Get("resource").Exists() || first.Path("response", "status").Str()[:3] != "204" ||
		first.Get("fullUrl").Str() != h.base+"/Patient/1" || first.Path("request", "url").Str() != "Patient/1" {
		t.Errorf("%s", first.Raw())
	}
	if e := n.Get("entry").At(3); e.Path("request", "method").Str() != "PUT" || e.Path("response", "status").Str() != "201 Created" || e.Path("response", "etag").Str() != `W/"1"` {
		t.Errorf("%s", e.Raw())
	}
	if got := h.do("GET /Patient/_history", "").node(t).Get("entry").Len(); got != 5 {
		t.Errorf("type history has %d entries, want 5", got)
	}
	page := h.do("GET /_history?_count=4", "").want(t, 200).node(t)
	h.do("POST /Patient", patient("", "")).want(t, 201) // arrives later: must not show up
	var versions []string
	for {
		for e := range page.Get("entry").Children() {
			versions = append(versions, e.Get("fullUrl").Str()+e.Path("response", "etag").Str())
		}
		next := link(page, "next")
		if next == "" {
			break
		}
		page = h.do("GET "+next, "").want(t, 200).node(t)
	}
	if len(versions) != 6 {
		t.Errorf("paged %d versions, want 6: %v", len(versions), versions)
	}
}

// stepping is a clock that moves a second at each look, in the past.
type stepping struct{ n atomic.Int64 }

func (c *stepping) Now() time.Time { return time.Unix(1_700_000_000+c.n.Add(1), 0).UTC() }

func TestHistoryAt(t *testing.T) {
	h := newHub(t, func(_ *server.Config, p *server.Parts) { p.Clock = &stepping{} })
	var at []string
	for i := range 3 {
		a := h.do("PUT /Patient/1", patient("1", fmt.Sprintf(`,"multipleBirthInteger":%d`, i)))
		at = append(at, a.node(t).Path("meta", "lastUpdated").Str())
	}
	for i, when := range at {
		n := h.do("GET /Patient/1/_history?_at="+when, "").want(t, 200).node(t)
		if !strings.Contains(string(n.Raw()), fmt.Sprintf(`"versionId":"%d"`, i+1)) {
			t.Errorf("_at=%s lacks version %d: %s", when, i+1, n.Raw())
		}
	}
	if n := h.do("GET /Patient/1/_history?_at=2001", "").want(t, 200).node(t); n.Get("entry").Exists() {
		t.Errorf("nothing was current in 2001: %s", n.Raw())
	}
	if n := h.do("GET /Patient/1/_history?_since="+at[2], "").want(t, 200).node(t); n.Get("entry").Len() > 3 || n.Get("entry").Len() < 1 {
		t.Errorf("_since: %s", n.Raw())
	}
}

func link(bundle fhir.Node, relation string) string {
	for l := range bundle.Get("link").Children() {
		if l.Get("relation").Str() == relation {
			return l.Get("url").Str()
		}
	}
	return ""
}

func TestCapabilities(t *testing.T) {
	h := newHub(t)
	var cs struct {
		FHIRVersion string
		Rest        []struct {
			Resource []struct {
				Type        string
				Interaction []struct{ Code string }
				SearchParam []struct{ Name, Definition, Type string }
			}
			Interaction []struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(h.do("GET /metadata", "").want(t, 200).body), &cs); err != nil {
		t.Fatal(err)
	}
	if cs.FHIRVersion != "4.0.1" || len(cs.Rest) != 1 || len(cs.Rest[0].Resource) < 140 {
		t.Errorf("version %s, %d rest", cs.FHIRVersion, len(cs.Rest))
	}
	for _, r := range cs.Rest[0].Resource {
		if len(r.Interaction) != 9 || len(r.SearchParam) < 5 {
			t.Errorf("%s: %v, %d parameters", r.Type, r.Interaction, len(r.SearchParam))
		}
	}
	h.do("GET /metadata?_summary=true", "").want(t, 200)
	h.do("GET ", "").want(t, 200)
}

func TestCORS(t *testing.T) {
	h := newHub(t)
	a := h.do("OPTIONS /Patient/1", "", "Origin: https://app.example", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: if-match").want(t, 204)
	if a.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "PUT") ||
		a.Header.Get("Access-Control-Allow-Headers") != "if-match" {
		t.Errorf("%v", a.Header)
	}
	a = h.do("GET /metadata", "", "Origin: https://app.example").want(t, 200)
	if !strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "ETag") {
		t.Errorf("%v", a.Header)
	}
	narrow := newHub(t, func(c *server.Config, _ *server.Parts) { c.Origins = []string{"https://good.example"} })
	if a := narrow.do("GET /metadata", "", "Origin: https://evil.example"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a strange origin was allowed")
	}
}

func TestRateLimit(t *testing.T) {
	h := newHub(t, func(c *server.Config, _ *server.Parts) { c.Rate, c.Burst = 0.001, 2 })
	h.do("GET /Patient/1", "").want(t, 404)
	h.do("GET /Patient/1", "").want(t, 404)
	if a := h.do("GET /Patient/1", "").want(t, 429); a.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
}

func TestBinary(t *testing.T) {
	h := newHub(t)
	a := h.do("POST /Binary", "hello", "Content-Type: text/plain").want(t, 201)
	id := a.node(t).Get("id").Str()
	if a.node(t).Get("data").Str() != "aGVsbG8=" {
		t.Errorf("%s", a.body)
	}
	n := h.do("GET /Binary/"+id, "", "Accept: text/plain").want(t, 200)
	if n.body != "hello" || n.Header.Get("Content-Type") != "text/plain" || n.Header.Get("Content-Security-Policy") != "sandbox" {
		t.Errorf("%q %v", n.body, n.Header)
	}
	h.do("GET /Binary/"+id, "").want(t, 200)
	h.do("GET /Binary/"+id, "", "Accept: image/png").want(t, 406)
}

func TestOffset(t *testing.T) {
	h := newHub(t)
	a := h.do("PUT /Patient/1", patient("1", "")).want(t, 201)
	h.do("PUT /Patient/2", patient("2", "")).want(t, 201)
	offset := h.do("PUT /Patient/3", patient("3", "")).want(t, 201).Header.Get("X-Qihuang-Offset")
	if offset == "" || offset == a.Header.Get("X-Qihuang-Offset") {
		t.Errorf("offset %q", offset)
	}
	h.do("GET /Patient/3", "", "X-Qihuang-Offset: "+offset).want(t, 200)
	h.do("GET /Patient/3", "", "X-Qihuang-Offset: x").want(t, 400)
}

// TestLargeBody sends a resource of nearly 50 MB.
func TestLargeBody(t *testing.T) {
	if testing.Short() {
		t.Skip("50 MB")
	}
	h := newHub(t)
	body := bytes.Repeat([]byte("A"), 49<<20)
	h.do("PUT /Binary/1", `{"resourceType":"Binary","id":"1","contentType":"text/plain","data":"`+string(body)+`"}`, "Prefer: return=minimal").want(t, 201)
}
