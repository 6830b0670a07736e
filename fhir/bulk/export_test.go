package bulk

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
)

// hub serves FHIR with the bulk operations from a memory store.
func hub(t *testing.T, m *definitions.Model, se *search.Engine) string {
	t.Helper()
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	files := Dir(t.TempDir())
	s, err := server.New(server.Default(), server.Parts{Store: st, Model: m, Search: se, Log: slog.New(slog.DiscardHandler),
		Operations: append(ExportOperations(files), ImportOperation(files, fromFolder))})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	s.Mount(r)
	ts := httptest.NewServer(r)
	t.Cleanup(func() { ts.Close(); s.Close(); cancel(); <-ran })
	return ts.URL + "/fhir"
}

const records = `{"resourceType":"Patient","id":"p","gender":"male"}
{"resourceType":"Patient","id":"q"}
{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"code":"a"}]},"subject":{"reference":"Patient/p"}}
{"resourceType":"Observation","id":"o2","status":"final","code":{"coding":[{"code":"b"}]},"subject":{"reference":"Patient/q"}}
{"resourceType":"Observation","id":"o3","status":"final","code":{"coding":[{"code":"a"}]}}
{"resourceType":"Organization","id":"org"}
{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/q"}}]}
`

func post(t *testing.T, url, ctype, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, ctype, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// lines reads all files of a folder, sorted by the order of the export.
func lines(t *testing.T, files []Downloaded) string {
	t.Helper()
	var b bytes.Buffer
	for _, f := range files {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(filepath.Base(f.Path) + "\n")
		b.Write(data)
	}
	return b.String()
}

func TestExportImport(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	se := search.NewEngine(m, fhirpath.NewEngine(m))
	base := hub(t, m, se)
	status, body := post(t, base+"/$import", mimeLines, records+`{"resourceType":"Patient"}`+"\n{oops\n")
	if status != 200 || !strings.Contains(body, "已导入 7 个资源") || !strings.Contains(body, "line 8") || !strings.Contains(body, "line 9") {
		t.Fatalf("%d %s", status, body)
	}
	if status, _ := post(t, base+"/$import", "application/fhir+json", "{}"); status != 415 {
		t.Errorf("import of JSON: %d", status)
	}
	req, _ := http.NewRequest(http.MethodDelete, base+"/Observation/o2", nil)
	before := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		path, query string
		want        []string
		not         []string
	}{
		{"", "", []string{"Group.1.ndjson", "Observation.1.ndjson", `"id":"o3"`, `"id":"org"`, `"id":"q"`}, nil},
		{"", "_type=Patient", []string{`"id":"p"`}, []string{"Observation"}},
		{"", "_type=Observation&_typeFilter=Observation%3Fcode%3Da", []string{`"id":"o1"`, `"id":"o3"`}, []string{`"id":"o2"`}},
		{"", "_type=Patient&_elements=id", []string{"SUBSETTED"}, []string{"gender"}},
		{"", "_type=Patient&_since=2999-01-01T00:00:00Z", nil, []string{`"id"`}},
		{"", "_type=Patient&_since=" + before, []string{`"id":"p"`}, nil},
		{"Patient", "", []string{`"id":"p"`, `"id":"o1"`}, []string{`"id":"o3"`, `"id":"org"`}},
		{"Group/g", "", []string{`"id":"q"`, `"id":"o2"`}, []string{`"id":"p"`, `"id":"o1"`}},
	} {
		files, err := Download(context.Background(), DownloadConfig{Base: base, Path: c.path, Query: c.query, Dir: t.TempDir(), Poll: time.Millisecond}, http.DefaultClient, nil)
		if err != nil {
			t.Fatalf("%s?%s: %v", c.path, c.query, err)
		}
		got := lines(t, files)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s?%s lacks %s:\n%s", c.path, c.query, w, got)
			}
		}
		for _, w := range c.not {
			if strings.Contains(got, w) {
				t.Errorf("%s?%s has %s:\n%s", c.path, c.query, w, got)
			}
		}
	}
	if _, err := http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, err := Download(context.Background(), DownloadConfig{Base: base, Query: "_since=" + before, Dir: dir, Poll: time.Millisecond}, http.DefaultClient, nil)
	if got := lines(t, files); err != nil || !strings.Contains(got, `"DELETE","url":"Observation/o2"`) {
		t.Errorf("%v\n%s", err, got)
	}
	// What was exported can be loaded into another hub.
	other := hub(t, m, se)
	cfg := DefaultLoad()
	cfg.Base = other
	l, _ := NewLoader(cfg, http.DefaultClient)
	for _, d := range files {
		if strings.Contains(d.Path, "deleted") {
			_ = os.Remove(d.Path)
		}
	}
	if sum, err := l.Load(context.Background(), []string{dir}); err != nil || sum.Resources != 6 || sum.Failed != 0 {
		t.Errorf("%+v %v", sum, err)
	}
}

func TestExport_bad(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	base := hub(t, m, search.NewEngine(m, fhirpath.NewEngine(m)))
	for _, q := range []string{"_type=Nothing", "_since=yesterday", "_outputFormat=csv", "_typeFilter=x", "includeAssociatedData=LatestProvenanceResources", "patient=Patient/p"} {
		if _, err := Download(context.Background(), DownloadConfig{Base: base, Query: q, Dir: t.TempDir(), Poll: time.Millisecond}, http.DefaultClient, nil); err == nil {
			t.Errorf("%s must be refused", q)
		}
	}
	if _, err := Download(context.Background(), DownloadConfig{Base: base, Path: "Group/none", Dir: t.TempDir(), Poll: time.Millisecond}, http.DefaultClient, nil); err == nil {
		t.Error("an unknown group must fail")
	}
}
