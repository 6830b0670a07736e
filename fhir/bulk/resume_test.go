package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
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
	"github.com/qihuang-health/qihuang/internal/fault"
)

// fromFolder is the Opener of the tests.
func fromFolder(_ context.Context, address string) (io.ReadCloser, error) {
	switch address {
	case "s3://bucket/good.ndjson":
		return io.NopCloser(strings.NewReader(`{"resourceType":"Basic","id":"g1"}` + "\n" + `{"resourceType":"Basic","id":"g2"}`)), nil
	case "s3://bucket/zipped.ndjson.gz":
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, `{"resourceType":"Basic","id":"z1"}`+"\n{oops\n")
		_ = z.Close()
		return io.NopCloser(&b), nil
	}
	return nil, fault.New(fault.NotFound, "没有对象 %s", address)
}

// stuck is a Dir that stops a job dead when it reaches a file.
type stuck struct {
	Dir
	at     string
	after  int // so many are written before
	broken bool
}

func (s *stuck) Create(ctx context.Context, name string) (io.WriteCloser, error) {
	if s.broken && strings.HasSuffix(name, s.at) {
		s.after--
	}
	if s.after < 0 && s.broken {
		<-ctx.Done() // as a process that is killed here
		return nil, ctx.Err()
	}
	return s.Dir.Create(ctx, name)
}

// restarts returns what starts a server on one store again and again.
func restarts(t *testing.T, files Files) (up func() (url string, down func())) {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	se := search.NewEngine(m, fhirpath.NewEngine(m))
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- st.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ran })
	return func() (string, func()) {
		s, err := server.New(server.Default(), server.Parts{Store: st, Model: m, Search: se, Log: slog.New(slog.DiscardHandler), Operations: append(ExportOperations(files), ImportOperation(files, fromFolder))})
		if err != nil {
			t.Fatal(err)
		}
		if err := Resume(ctx, s, files, fromFolder); err != nil {
			t.Fatal(err)
		}
		gin.SetMode(gin.ReleaseMode)
		r := gin.New()
		s.Mount(r)
		ts := httptest.NewServer(r)
		return ts.URL, func() { ts.Close(); s.Close() }
	}
}

// begin starts a job and returns its address below the server's.
func begin(t *testing.T, url, method, path, media, body string) string {
	t.Helper()
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Prefer", "respond-async")
	req.Header.Set("Content-Type", media)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	return strings.TrimPrefix(resp.Header.Get("Content-Location"), url)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// TestResumeImport ends the server after a transaction of an import took effect
// but before that was written down: the next one goes on, and every row is
// stored and counted once.
func TestResumeImport(t *testing.T) {
	var rows strings.Builder
	for i := range 3*importChunk + 7 {
		fmt.Fprintf(&rows, "{\"resourceType\":\"Basic\",\"id\":\"r%d\"}\n", i)
	}
	rows.WriteString("{oops\n")
	for name, c := range map[string]struct{ media, body, first, want string }{
		"body":  {mimeLines, rows.String(), "r0", "已导入 1507 个资源"},
		"files": {"application/fhir+json", inputParameters("s3://bucket/good.ndjson", "s3://bucket/zipped.ndjson.gz"), "g1", "已导入 3 个资源"},
	} {
		t.Run(name, func(t *testing.T) {
			files := &stuck{Dir: Dir(t.TempDir()), at: "/" + recordName, after: 1, broken: true}
			up := restarts(t, files)
			url, down := up()
			at := begin(t, url, "POST", "/fhir/$import", c.media, c.body)
			wait(t, "the first transaction", func() bool { code, _ := get(t, url+"/fhir/Basic/"+c.first); return code == 200 })
			if code, body := post(t, url+"/fhir/$import", mimeLines, `{"resourceType":"Basic","id":"`+c.first+`","language":"zh"}`); code != 200 {
				t.Fatal(code, body)
			}
			down()
			files.broken = false
			for range 2 { // goes on; and is there after another restart
				url, down = up()
				wait(t, "the answer", func() bool { code, _ := get(t, url+at); return code == 200 })
				_, text := get(t, url+at)
				if !strings.Contains(text, c.want) || !strings.Contains(text, `"batch-response"`) || strings.Count(text, `"json-syntax"`) != 1 {
					t.Errorf("answer: %s", text)
				}
				down()
			}
			url, down = up()
			defer down()
			if _, text := get(t, url+"/fhir/Basic/"+c.first); !strings.Contains(text, `"language":"zh"`) {
				t.Errorf("a row was stored again over a later change: %s", text)
			}
			del, _ := http.NewRequest("DELETE", url+at, nil)
			if _, err := http.DefaultClient.Do(del); err != nil {
				t.Fatal(err)
			}
			if left, err := files.Jobs(t.Context()); err != nil || len(left) > 0 {
				t.Errorf("left after deletion: %v %v", left, err)
			}
		})
	}
}

// TestResume ends the server in the middle of an export: the next one goes on
// under the same address, without writing the finished types again.
func TestResume(t *testing.T) {
	files := &stuck{Dir: Dir(t.TempDir()), at: "/Observation.1.ndjson", broken: true}
	up, ctx := restarts(t, files), t.Context()
	url, down := up()
	if status, body := post(t, url+"/fhir/$import", mimeLines, records); status != 200 {
		t.Fatal(status, body)
	}
	at := begin(t, url, "GET", "/fhir/$export", "", "")
	job := at[strings.LastIndexByte(at, '/')+1:]
	wait(t, "groups are done", func() bool {
		rec, err := readRecord(ctx, files, job)
		return err == nil && slices.Contains(rec.Types, "Group")
	})
	down()
	files.broken = false
	before, _, _ := files.Open(ctx, job+"/Group.1.ndjson")
	if before == nil {
		t.Fatal("the groups' file is gone")
	}
	before.Close()
	url, down = up()
	wait(t, "done after the restart", func() bool { code, _ := get(t, url+at); return code == 200 })
	_, text := get(t, url+at)
	for _, s := range []string{`"requiresAccessToken":false`, "Group.1.ndjson", "Observation.1.ndjson", "Patient.1.ndjson", `"transactionTime":`, `"error":[]`} {
		if !strings.Contains(text, s) {
			t.Errorf("manifest lacks %s: %s", s, text)
		}
	}
	if strings.Count(text, "Group.1.ndjson") != 1 {
		t.Errorf("groups twice: %s", text)
	}
	down()
	url, down = up() // finished exports are there after another restart
	defer down()
	if code, again := get(t, url+at); code != 200 || !strings.Contains(again, "Observation.1.ndjson") || !strings.Contains(again, between(text, `"transactionTime":"`)) {
		t.Errorf("after the second restart: %d %s", code, again)
	}
	del, _ := http.NewRequest("DELETE", url+at, nil)
	resp, err := http.DefaultClient.Do(del)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if code, _ := get(t, url+at); resp.StatusCode != 202 || code != 404 {
		t.Errorf("deleted: %d, then %d", resp.StatusCode, code)
	}
	if list, err := files.Jobs(ctx); err != nil || len(list) != 0 {
		t.Errorf("files after deletion: %v %v", list, err)
	}
}

// between is what stands in s after from until the next quote.
func between(s, from string) string {
	_, rest, _ := strings.Cut(s, from)
	out, _, _ := strings.Cut(rest, `"`)
	return out
}

// inputParameters is the body of an $import of files.
func inputParameters(list ...string) string {
	var parts []string
	for _, u := range list {
		parts = append(parts, `{"name":"input","part":[{"name":"type","valueCode":"Basic"},{"name":"url","valueUri":"`+u+`"}]}`)
	}
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(parts, ",") + `]}`
}

// TestImportFiles reads the files a Parameters names; the answer says which row
// of which file was refused, and doing it again makes no new versions.
func TestImportFiles(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	base := hub(t, m, search.NewEngine(m, fhirpath.NewEngine(m)))
	for range 2 {
		code, body := post(t, base+"/$import", "application/fhir+json", inputParameters("s3://bucket/good.ndjson", "s3://bucket/zipped.ndjson.gz", "s3://bucket/none.ndjson"))
		if code != 200 || !strings.Contains(body, "已导入 3 个资源") || !strings.Contains(body, "zipped.ndjson.gz") || !strings.Contains(body, "line 2") || !strings.Contains(body, "没有对象") {
			t.Fatalf("%d %s", code, body)
		}
	}
	resp, err := http.Get(base + "/Basic/g1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if tag := resp.Header.Get("ETag"); tag != `W/"1"` {
		t.Errorf("imported again: version %s", tag)
	}
	if code, _ := post(t, base+"/$import", "application/fhir+json", `{"resourceType":"Parameters"}`); code != 415 {
		t.Errorf("without inputs: %d", code)
	}
}
