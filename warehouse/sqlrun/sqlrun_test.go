package sqlrun

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
)

var testModel = sync.OnceValues(definitions.Load)

// recorder is a warehouse that notes the SQL it gets.
type recorder struct {
	sql    string
	params map[string]string
	format string
	rows   string
	err    error
}

func (r *recorder) Query(_ context.Context, sql string, params map[string]string, format string, w io.Writer) error {
	r.sql, r.params, r.format = sql, params, format
	if r.err != nil {
		return r.err
	}
	_, err := io.WriteString(w, r.rows)
	return err
}

type hub struct {
	t    *testing.T
	base string
	sql  *recorder
}

func newHub(t *testing.T) *hub {
	t.Helper()
	m, err := testModel()
	if err != nil {
		t.Fatal(err)
	}
	paths := fhirpath.NewEngine(m)
	se := search.NewEngine(m, paths)
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	h := &hub{t: t, sql: &recorder{rows: "{\"n\":2}\n"}}
	cfg := Default()
	cfg.Folder, cfg.MaxRows = t.TempDir(), 50
	svc, err := New(cfg, Parts{Store: st, Search: se, Paths: paths, SQL: h.sql, Views: conformance.Views()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Default(), server.Parts{Store: st, Model: m, Search: se, Operations: svc.Operations(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	s.Mount(r)
	ts := httptest.NewServer(r)
	h.base = ts.URL + "/fhir"
	t.Cleanup(func() { ts.Close(); s.Close(); svc.Close(); cancel(); <-ran })
	return h
}

// do sends a request and returns status, content type and body.
func (h *hub) do(method, path, body string, header ...string) (int, http.Header, string) {
	h.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = h.base + path
	}
	req, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func (h *hub) fill() {
	for _, p := range []string{`{"resourceType":"Patient","id":"a","gender":"male","birthDate":"1964-03-15"}`, `{"resourceType":"Patient","id":"b","gender":"female"}`,
		`{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/b"}}]}`} {
		id, typ := p[strings.Index(p, `"id":"`)+6:][:1], "Patient"
		if id == "g" {
			typ = "Group"
		}
		if status, _, body := h.do("PUT", "/"+typ+"/"+id, p); status != 201 {
			h.t.Fatal(status, body)
		}
	}
}

const genders = `{"resourceType":"ViewDefinition","resource":"Patient","select":[{"column":[{"name":"id","path":"id"},{"name":"g","path":"gender"}]}]}`

func post(name, value string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"subjectResource","resource":` + genders + `},{"name":"` + name + `",` + value + `}]}`
}

func TestRunView(t *testing.T) {
	h := newHub(t)
	h.fill()
	all := "{\"id\":\"a\",\"g\":\"male\"}\n{\"id\":\"b\",\"g\":\"female\"}\n"
	for _, c := range []struct{ method, path, body, media, want string }{
		{"POST", "/$sql-run", genders, "application/x-ndjson", all},
		{"POST", "/$viewdefinition-run", post("_format", `"valueCode":"csv"`), "text/csv; charset=utf-8", "id,g\na,male\nb,female\n"},
		{"POST", "/ViewDefinition/$run", post("_limit", `"valueInteger":1`), "application/x-ndjson", all[:22]},
		{"POST", "/$sql-run", post("patient", `"valueReference":{"reference":"Patient/b"}`), "application/x-ndjson", all[22:]},
		{"POST", "/$sql-run", post("group", `"valueReference":{"reference":"Group/g"}`), "application/x-ndjson", all[22:]},
		{"POST", "/$sql-run", post("resource", `"resource":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"z"}}]}`), "application/x-ndjson", "{\"id\":\"z\",\"g\":null}\n"},
		{"POST", "/$sql-run?_format=fhir", genders, "application/fhir+json; charset=utf-8",
			`{"resourceType":"Parameters","parameter":[{"name":"row","part":[{"name":"id","valueId":"a"},{"name":"g","valueCode":"male"}]},{"name":"row","part":[{"name":"id","valueId":"b"},{"name":"g","valueCode":"female"}]}]}`},
		{"GET", "/ViewDefinition/patient/$run?_format=json&_limit=1", "", "application/json", `"birth_date":"1964-03-15"`},
		{"GET", "/$sql-run?_format=csv&header=false&subjectCanonical=" + url.QueryEscape("https://qihuang.health/fhir/ViewDefinition/patient"), "", "text/csv; charset=utf-8", "a,,,,male"},
		{"POST", "/$sql-run", post("_since", `"valueInstant":"2100-01-01T00:00:00Z"`), "application/x-ndjson", ""},
	} {
		status, header, body := h.do(c.method, c.path, c.body)
		if status != 200 || header.Get("Content-Type") != c.media && body != "" || !strings.Contains(body, c.want) || c.want == "" && body != "" {
			t.Errorf("%s %s: %d %s %s\nwant %s", c.method, c.path, status, header.Get("Content-Type"), body, c.want)
		}
	}
	status, _, body := h.do("POST", "/$sql-run", genders, "Accept", "application/fhir+json")
	if status != 200 || !strings.Contains(body, base64.StdEncoding.EncodeToString([]byte(all))) {
		t.Errorf("Binary: %d %s", status, body)
	}
	if status, _, body := h.do("POST", "/$sql-run", genders, "Accept", "text/csv"); status != 200 || !strings.HasPrefix(body, "id,g") {
		t.Errorf("Accept text/csv: %d %s", status, body)
	}
}

func TestRun_bad(t *testing.T) {
	h := newHub(t)
	h.fill()
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/$sql-run", "", 400},
		{"GET", "/$sql-run?subjectReference=ViewDefinition/none", "", 404},
		{"POST", "/$sql-run", `{"resourceType":"Patient"}`, 422},
		{"POST", "/$sql-run", `{"resourceType":"ViewDefinition","resource":"Patient","select":[{"column":[{"name":"a","path":"name."}]}]}`, 422},
		{"POST", "/$sql-run?_format=xlsx", genders, 406},
		{"POST", "/$sql-run?_limit=0", genders, 400},
		{"POST", "/$sql-run?_since=yesterday", genders, 400},
		{"GET", "/ViewDefinition/patient", "", 404},
		{"GET", "/ViewDefinition", "", 404},
		{"POST", "/$sql-run", post("patient", `"valueString":"x y"`), 400},
	} {
		if status, _, body := h.do(c.method, c.path, c.body); status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, status, c.status, body)
		}
	}
}

func library(sql string) string {
	return `{"resourceType":"Library","status":"active","type":{"text":"sql"},"parameter":[{"name":"g","use":"in","type":"code"}],` +
		`"relatedArtifact":[{"type":"depends-on","label":"p","resource":"https://qihuang.health/fhir/ViewDefinition/patient"}],` +
		`"content":[{"contentType":"application/sql","data":"` + base64.StdEncoding.EncodeToString([]byte(sql)) + `"}]}`
}

func sqlCall(sql, value string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"subjectResource","resource":` + library(sql) + `},
	 {"name":"parameters","resource":{"resourceType":"Parameters","parameter":[{"name":"g","valueCode":"` + value + `"}]}}]}`
}

func TestRunLibrary(t *testing.T) {
	h := newHub(t)
	hostile := "male'; DROP TABLE t; --"
	status, _, body := h.do("POST", "/$sqlquery-run", sqlCall("SELECT count() AS n FROM p WHERE gender = :g AND name <> ':x' -- :y", hostile))
	if status != 200 || body != "{\"n\":2}\n" {
		t.Fatal(status, body)
	}
	if strings.Contains(h.sql.sql, "DROP") || h.sql.params["g"] != hostile || !strings.Contains(h.sql.sql, "{g:String}") ||
		!strings.Contains(h.sql.sql, "WITH `p` AS (SELECT `id`,") || !strings.Contains(h.sql.sql, "':x'") {
		t.Errorf("%s %v", h.sql.sql, h.sql.params)
	}
	if status, _, body := h.do("POST", "/$sql-run?_format=fhir", sqlCall("SELECT 1 AS n FROM p WHERE gender=:g", "m")); status != 200 || !strings.Contains(body, `"name":"n","valueDecimal":2`) {
		t.Error(status, body)
	}
	if h.do("POST", "/$sql-run?_limit=5", sqlCall("SELECT (SELECT 1 LIMIT 1) AS n FROM p WHERE gender=:g ORDER BY n LIMIT 3", "m")); !strings.HasSuffix(h.sql.sql, "LIMIT 3\n) LIMIT 5") {
		t.Error(h.sql.sql)
	}
	h.sql.err = errors.New("away")
	if status, _, _ := h.do("POST", "/$sql-run", sqlCall("SELECT 1 WHERE :g = ''", "m")); status != 500 {
		t.Error("an error of the warehouse was lost", status)
	}
}

func TestParseSQL_bad(t *testing.T) {
	for _, sql := range []string{"DROP TABLE t", "SELECT 1; SELECT 2", "SELECT * FROM file('/etc/passwd')", "SELECT * FROM `file` ('/etc/passwd')",
		"SELECT * FROM/**/url /*x*/ ('http://x')", "SELECT * FROM system.users", "SELECT :x", "SELECT 1 INTO OUTFILE 'x'", "SELECT 1 SETTINGS a=1",
		"SELECT 1 FORMAT CSV", "SELECT 'x", "INSERT INTO t SELECT 1", "", "SELECT {x:String}", "SELECT /* x"} {
		if st, err := parseSQL(sql, nil); err == nil {
			t.Errorf("%s was accepted: %s", sql, st.text)
		}
	}
	if _, err := parseSQL("WITH a AS (SELECT 1 AS x) SELECT x::Int64, profile FROM a -- file('x')", nil); err != nil {
		t.Error(err)
	}
}

func TestExport(t *testing.T) {
	h := newHub(t)
	h.fill()
	status, header, body := h.do("POST", "/$sql-export", `{"resourceType":"Parameters","parameter":[{"name":"_format","valueCode":"csv"},{"name":"clientTrackingId","valueString":"t1"},
	 {"name":"subject","part":[{"name":"name","valueString":"mine"},{"name":"subjectResource","resource":`+genders+`}]},
	 {"name":"subject","part":[{"name":"subjectReference","valueReference":{"reference":"ViewDefinition/patient"}}]}]}`, "Prefer", "respond-async")
	if status != 202 || header.Get("Content-Location") == "" {
		t.Fatal(status, header, body)
	}
	poll := header.Get("Content-Location")
	deadline := time.Now().Add(10 * time.Second)
	for status = 202; status == 202 && time.Now().Before(deadline); {
		status, header, body = h.do("GET", poll, "")
	}
	if status != 303 {
		t.Fatal(status, body)
	}
	at := header.Get("Location")
	status, _, manifest := h.do("GET", at, "")
	if status != 200 || !strings.Contains(manifest, `"valueCode":"completed"`) || !strings.Contains(manifest, `"valueString":"t1"`) || strings.Count(manifest, `"name":"output"`) != 2 {
		t.Fatal(status, manifest)
	}
	status, header, body = h.do("GET", strings.TrimSuffix(at, "manifest")+"mine.csv", "")
	if status != 200 || body != "id,g\na,male\nb,female\n" || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") {
		t.Error(status, body)
	}
	for _, bad := range []string{"/_async/nope/manifest", "/$sql-export?_format=fhir"} {
		if status, _, _ := h.do("POST", bad, genders); status != 404 && status != 400 && status != 405 {
			t.Errorf("%s: %d", bad, status)
		}
	}
}
