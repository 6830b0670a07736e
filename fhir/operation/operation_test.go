package operation_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/fhirpath/lab"
	"github.com/qihuang-health/qihuang/fhir/graphql"
	"github.com/qihuang-health/qihuang/fhir/openapi"
	"github.com/qihuang-health/qihuang/fhir/operation"
	"github.com/qihuang-health/qihuang/fhir/patch"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/fhir/xml"
)

// codec is the XML of the REST interface, as the wiring gives it.
type codec struct{ m *definitions.Model }

func (c codec) ToJSON(b []byte) ([]byte, error)   { return xml.ToJSON(c.m, b) }
func (c codec) FromJSON(b []byte) ([]byte, error) { return xml.FromJSON(c.m, b) }

// start serves FHIR with every operation from a memory store and returns the base.
func start(t *testing.T) string {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	fp := fhirpath.NewEngine(m)
	terms := terminology.New(m)
	se := search.NewEngine(m, fp)
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se, Patcher: patch.New(fp)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	v := validate.New(m, fp, terms)
	s, err := server.New(server.Default(), server.Parts{Store: st, Model: m, Search: se, Log: slog.New(slog.DiscardHandler), XML: codec{m}, Patcher: patch.New(fp),
		Validator: validate.Policy{Validator: v, Options: validate.Options{Level: validate.Structure}},
		Operations: operation.All(operation.Parts{Validator: v, Terminology: terms, FHIRPath: &lab.Lab{Engine: fp, Name: "test"}, GraphQL: graphql.New(m, fp, graphql.DefaultLimits()),
			Reindex: func(ctx context.Context, progress func(int64)) error { return st.Reindex(ctx, se, progress) }})})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	s.Mount(r)
	r.NoRoute(func(c *gin.Context) { s.Unknown(c) })
	r.GET("/openapi.json", func(c *gin.Context) {
		b := openapi.New("test", "1")
		if err := s.OpenAPI(b); err != nil {
			t.Error(err)
		}
		doc, err := b.JSON()
		if err != nil {
			t.Error(err)
		}
		c.Data(http.StatusOK, "application/json", doc)
	})
	ts := httptest.NewServer(r)
	t.Cleanup(func() { ts.Close(); s.Close(); cancel(); <-ran })
	return ts.URL + "/fhir"
}

// hub starts a server and returns how to ask it.
func hub(t *testing.T) func(line, body string) (int, fhir.Node) {
	t.Helper()
	base := start(t)
	return func(line, body string) (int, fhir.Node) {
		t.Helper()
		method, path, _ := strings.Cut(line, " ")
		req, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 {
			return resp.StatusCode, fhir.Node{}
		}
		tree, err := fhir.Parse(data)
		if err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		return resp.StatusCode, tree.Root()
	}
}

// fixture puts a small record.
func fixture(t *testing.T, do func(line, body string) (int, fhir.Node)) {
	t.Helper()
	for _, res := range []string{
		`{"resourceType":"Organization","id":"org","name":"hall"}`,
		`{"resourceType":"Practitioner","id":"doc"}`,
		`{"resourceType":"Patient","id":"p","gender":"male","managingOrganization":{"reference":"Organization/org"}}`,
		`{"resourceType":"Patient","id":"q"}`,
		`{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"},"participant":[{"individual":{"reference":"Practitioner/doc"}}]}`,
		`{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"s","code":"pulse"}]},"subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/e"},"effectiveDateTime":"2026-01-01"}`,
		`{"resourceType":"Observation","id":"o2","status":"final","code":{"coding":[{"system":"s","code":"pulse"}]},"subject":{"reference":"Patient/p"},"effectiveDateTime":"2026-02-01"}`,
		`{"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"system":"s","code":"tongue"}]},"subject":{"reference":"Patient/p"},"effectiveDateTime":"2025-01-01"}`,
		`{"resourceType":"Observation","id":"o4","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/q"}}`,
		`{"resourceType":"Composition","id":"c","status":"final","type":{"text":"t"},"date":"2026-01-01","title":"t","subject":{"reference":"Patient/p"},"author":[{"reference":"Practitioner/doc"}],"section":[{"entry":[{"reference":"Observation/o1"}]}]}`,
	} {
		tree, _ := fhir.Parse([]byte(res))
		path := "/" + tree.Root().ResourceType() + "/" + tree.Root().Get("id").Str()
		if status, n := do("PUT "+path, res); status != 201 {
			t.Fatalf("%s: %d %s", path, status, n.Raw())
		}
	}
}

func ids(b fhir.Node) string {
	var list []string
	for e := range b.Get("entry").Children() {
		list = append(list, e.Path("resource", "id").Str())
	}
	return strings.Join(list, " ")
}

func TestEverything(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	for line, want := range map[string]string{
		"GET /Patient/p/$everything":                                                     "p c e o1 o2 o3 org doc",
		"GET /Patient/p/$everything?_type=Observation":                                   "p o1 o2 o3",
		"GET /Patient/p/$everything?start=2026-01-15&_type=Observation":                  "p o2",
		"GET /Patient/p/$everything?start=2026-01-15T00:00:00%2B08:00&_type=Observation": "p o2",
		"GET /Encounter/e/$everything":                                                   "e o1 doc p org",
		"GET /Patient/$everything":                                                       "p c e o1 o2 o3 org doc q o4",
		"GET /Encounter/$everything":                                                     "e o1 doc p org",
	} {
		status, n := do(line, "")
		got := strings.Fields(ids(n))
		if status != 200 || len(got) != len(strings.Fields(want)) {
			t.Errorf("%s: %d %v, want %s", line, status, got, want)
		}
		for _, id := range strings.Fields(want) {
			if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+id+" ") {
				t.Errorf("%s lacks %s: %v", line, id, got)
			}
		}
	}
	if status, _ := do("GET /Patient/none/$everything", ""); status != 404 {
		t.Errorf("status %d", status)
	}
	for _, q := range []string{"_type=Observatoin", "stat=2026", "start=soon", "start=2026%26code=x"} {
		if status, n := do("GET /Patient/p/$everything?"+q, ""); status != 400 {
			t.Errorf("%s: %d %s", q, status, n.Raw())
		}
	}
}

func TestDocument(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	status, n := do("GET /Composition/c/$document", "")
	if status != 200 || n.Get("type").Str() != "document" || !strings.HasPrefix(ids(n), "c ") || !strings.Contains(ids(n), "o1") || !n.Path("identifier", "value").Exists() {
		t.Errorf("%d %s", status, n.Raw())
	}
	if status, n := do("POST /Composition/c/$document?persist=true", ""); status != 201 || n.ResourceType() != "Bundle" {
		t.Errorf("%d %s", status, n.Raw())
	}
	if status, _ := do("GET /Composition/c/$document?persist=true", ""); status != 400 {
		t.Errorf("status %d", status)
	}
}

func TestMeta(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	params := func(code string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"s","code":"` + code + `"}]}}]}`
	}
	do("POST /Patient/p/$meta-add", params("a"))
	do("POST /Patient/p/$meta-add", params("a"))
	status, n := do("POST /Patient/p/$meta-add", params("b"))
	if status != 200 || n.Path("parameter", "valueMeta", "tag").Len() != 2 {
		t.Errorf("%d %s", status, n.Raw())
	}
	if _, n = do("POST /Patient/p/$meta-delete", params("a")); n.Path("parameter", "valueMeta", "tag").Len() != 1 {
		t.Errorf("%s", n.Raw())
	}
	do("POST /Patient/p/$meta-delete", params("b"))
	if _, n = do("GET /Patient/p/$meta", ""); n.Path("parameter", "valueMeta", "tag").Exists() {
		t.Errorf("%s", n.Raw())
	}
	if _, n = do("GET /Patient/p/_history/2/$meta", ""); n.Path("parameter", "valueMeta", "versionId").Str() != "2" {
		t.Errorf("%s", n.Raw())
	}
	do("POST /Patient/q/$meta-add", params("z"))
	for _, line := range []string{"GET /Patient/$meta", "GET /$meta"} {
		if status, n := do(line, ""); status != 200 || n.Path("parameter", "valueMeta", "tag").Len() != 1 {
			t.Errorf("%s: %d %s", line, status, n.Raw())
		}
	}
	if _, n := do("GET /Observation/$meta", ""); n.Path("parameter", "valueMeta", "tag").Exists() {
		t.Errorf("%s", n.Raw())
	}
	if status, _ := do("GET /Patient/p/$meta-add", ""); status != 405 {
		t.Errorf("a change by GET: %d", status)
	}
	if status, _ := do("POST /Patient/p/$meta-add", `{"resourceType":"Parameters"}`); status != 400 {
		t.Errorf("without meta: %d", status)
	}
}

func TestLastn(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	for line, want := range map[string]string{
		"GET /Observation/$lastn?patient=Patient/p":             "o2 o3",
		"GET /Observation/$lastn?patient=p&max=2":               "o2 o1 o3",
		"GET /Observation/$lastn?subject=Patient/p&code=tongue": "o3",
	} {
		if status, n := do(line, ""); status != 200 || ids(n) != want {
			t.Errorf("%s: %d %q, want %q", line, status, ids(n), want)
		}
	}
	for _, line := range []string{"GET /Observation/$lastn", "GET /Observation/$lastn?patient=p&max=0"} {
		if status, _ := do(line, ""); status != 400 {
			t.Errorf("%s: %d", line, status)
		}
	}
}

func TestDiff(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	do("PUT /Patient/p", `{"resourceType":"Patient","id":"p","gender":"female","active":true}`)
	status, n := do("GET /Patient/p/$diff", "")
	var got []string
	for p := range n.Get("parameter").Children() {
		got = append(got, p.Get("part").At(0).Get("valueCode").Str()+" "+p.Get("part").At(1).Get("valueString").Str())
	}
	if want := "replace Patient.gender, delete Patient.managingOrganization, add Patient.active"; status != 200 || strings.Join(got, ", ") != want {
		t.Errorf("%d %v, want %s", status, got, want)
	}
	if status, n = do("GET /Patient/p/$diff?fromVersion=2&toVersion=2", ""); status != 200 || n.Get("parameter").Exists() {
		t.Errorf("%d %s", status, n.Raw())
	}
	if status, _ = do("GET /Patient/p/$diff?fromVersion=x", ""); status != 400 {
		t.Errorf("status %d", status)
	}
}

func TestValidate(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	for _, c := range []struct {
		line, body, severity string
	}{
		{"POST /Patient/$validate", `{"resourceType":"Patient","gender":"male"}`, ""},
		{"POST /Patient/$validate", `{"resourceType":"Patient","gender":"neither"}`, "error"},
		{"POST /Patient/$validate", `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient","birthDate":"x"}}]}`, "error"},
		{"GET /Patient/p/$validate", "", ""},
	} {
		status, n := do(c.line, c.body)
		if status != 200 || n.ResourceType() != "OperationOutcome" || c.severity == "error" != strings.Contains(string(n.Raw()), `"severity":"error"`) {
			t.Errorf("%s %s: %d %s", c.line, c.body, status, n.Raw())
		}
	}
	if status, _ := do("POST /Patient/$validate", `{"resourceType":"Observation"}`); status != 400 {
		t.Errorf("other type: %d", status)
	}
}

func TestReindex(t *testing.T) {
	base := start(t)
	resp, err := http.Post(base+"/$reindex", "application/fhir+json", nil)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	for at := resp.Header.Get("Content-Location"); resp.StatusCode == http.StatusAccepted; {
		if resp, err = http.Get(at); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestTerminologyCapabilities(t *testing.T) {
	do := hub(t)
	status, n := do("GET /metadata?mode=terminology", "")
	if status != 200 || n.ResourceType() != "TerminologyCapabilities" || n.Get("codeSystem").Len() < 500 {
		t.Fatalf("%d %.300s", status, n.Raw())
	}
	if _, found := do("POST /TerminologyCapabilities/$validate", string(n.Raw())); strings.Contains(string(found.Raw()), `"error"`) {
		t.Errorf("not valid: %s", found.Raw())
	}
	if status, _ := do("GET /$terminology-capabilities", ""); status != 404 {
		t.Errorf("it has an address: %d", status)
	}
}

func TestEngines(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	status, n := do("GET /CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male", "")
	if status != 200 || n.ResourceType() != "Parameters" {
		t.Errorf("%d %s", status, n.Raw())
	}
	if status, n = do("GET /ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender&_format=json", ""); status != 200 || n.Path("expansion", "contains").Len() != 4 {
		t.Errorf("%d %s", status, n.Raw())
	}
	if status, n = do("POST /$fhirpath", `{"resourceType":"Parameters","parameter":[{"name":"expression","valueString":"1 + 1"}]}`); status != 200 || !strings.Contains(string(n.Raw()), `"valueInteger":2`) {
		t.Errorf("%d %s", status, n.Raw())
	}
	if status, n = do("GET /$explain?Observation?code=pulse&subject:Patient.gender=male", ""); status != 200 || !strings.Contains(string(n.Raw()), `"step"`) {
		t.Errorf("%d %s", status, n.Raw())
	}
	if status, _ = do("GET /$explain", ""); status != 400 {
		t.Errorf("status %d", status)
	}
}
