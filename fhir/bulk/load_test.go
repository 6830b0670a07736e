package bulk

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer answers bundles as a FHIR server does: entries whose resource has the id
// "bad" are refused; the first busy requests get 503.
type peer struct {
	mu      sync.Mutex
	busy    int
	urls    []string
	bundles int
	keys    map[string]int
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[r.Header.Get("Idempotency-Key")]++
	if p.busy > 0 {
		p.busy--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var b struct {
		Type  string
		Entry []struct {
			Resource struct{ ID string }
			Request  struct{ Method, URL string }
		}
	}
	data, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(data, &b); err != nil {
		w.WriteHeader(400)
		return
	}
	p.bundles++
	var out []string
	for i, e := range b.Entry {
		p.urls = append(p.urls, e.Request.Method+" "+e.Request.URL)
		if e.Resource.ID != "bad" {
			out = append(out, `{"response":{"status":"201 Created"}}`)
			continue
		}
		issue := `{"resourceType":"OperationOutcome","issue":[{"details":{"text":"no"},"expression":["Bundle.entry[` + strconv.Itoa(i) + `].resource"]}]}`
		if b.Type == "transaction" {
			w.WriteHeader(422)
			_, _ = io.WriteString(w, issue)
			return
		}
		out = append(out, `{"response":{"status":"422","outcome":`+issue+`}}`)
	}
	_, _ = io.WriteString(w, `{"resourceType":"Bundle","entry":[`+strings.Join(out, ",")+`]}`)
}

func load(t *testing.T, p *peer, cfg func(*LoadConfig), files map[string]string) (Summary, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return loadDir(t, p, cfg, dir), dir
}

func loadDir(t *testing.T, p *peer, cfg func(*LoadConfig), dir string) Summary {
	t.Helper()
	p.keys = map[string]int{}
	srv := httptest.NewServer(p)
	defer srv.Close()
	c := DefaultLoad()
	c.Base, c.Backoff, c.Workers = srv.URL, time.Millisecond, 2
	if cfg != nil {
		cfg(&c)
	}
	l, err := NewLoader(c, srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	sum, err := l.Load(context.Background(), []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestLoad_ok(t *testing.T) {
	p := &peer{busy: 2}
	sum, _ := load(t, p, func(c *LoadConfig) { c.Chunk = 2; c.Workers = 1 }, map[string]string{
		"a.ndjson":                  `{"resourceType":"Patient","id":"1"}` + "\n\n" + `{"resourceType":"Patient"}` + "\n" + `{"resourceType":"Patient","id":"3"}`,
		"hospitalInformation1.json": `{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"id":"h"},"request":{"method":"POST","url":"Organization"}}]}`,
		"set.json":                  `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Basic","id":"b"}}]}`,
		"one.json":                  `{"resourceType":"Basic","id":"c"}`,
		"notes.txt":                 "not loaded",
	})
	if sum.Resources != 6 || sum.Failed != 0 || sum.Files != 4 {
		t.Errorf("%+v", sum)
	}
	if p.urls[0] != "POST Organization" {
		t.Errorf("hospitals must come first: %v", p.urls)
	}
	want := "PUT Patient/1, POST Patient, PUT Patient/3"
	if got := strings.Join(p.urls[1:4], ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for key, n := range p.keys {
		if key == "" || n > 3 {
			t.Errorf("key %q used %d times", key, n)
		}
	}
}

func TestLoad_bad(t *testing.T) {
	sum, _ := load(t, &peer{}, nil, map[string]string{
		"a.ndjson": `{"resourceType":"Patient","id":"1"}` + "\n" + `{"resourceType":"Patient","id":"bad"}` + "\n{oops\n" + `{"x":1}`,
		"t.json":   `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"id":"x"},"request":{}},{"resource":{"id":"bad"},"request":{}}]}`,
		"u.json":   `{`,
	})
	rows := map[string]bool{}
	for _, e := range sum.Errors {
		rows[filepath.Base(e.File)+":"+strconv.Itoa(e.Row)] = true
	}
	for _, want := range []string{"a.ndjson:2", "a.ndjson:3", "a.ndjson:4", "t.json:2", "u.json:0"} {
		if !rows[want] {
			t.Errorf("no error for %s in %v", want, rows)
		}
	}
	if sum.Resources != 1 || sum.Failed != 6 {
		t.Errorf("%+v", sum)
	}
}

func TestLoad_resumes(t *testing.T) {
	p := &peer{}
	state := filepath.Join(t.TempDir(), "state")
	cfg := func(c *LoadConfig) { c.State, c.Chunk = state, 1 }
	_, dir := load(t, p, cfg, map[string]string{"a.ndjson": `{"resourceType":"Patient","id":"1"}` + "\n" + `{"resourceType":"Patient","id":"2"}`})
	if p.bundles != 2 {
		t.Fatalf("%d bundles", p.bundles)
	}
	sum := loadDir(t, p, cfg, dir)
	if p.bundles != 2 || sum.Skipped != 2 {
		t.Errorf("the second run sent again: %d bundles, %+v", p.bundles, sum)
	}
}

// TestLoad_manifest loads what the manifest of an export lists, and carries out
// its deletions.
func TestLoad_manifest(t *testing.T) {
	mux := http.NewServeMux()
	files := httptest.NewServer(mux)
	defer files.Close()
	mux.HandleFunc("/manifest", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"transactionTime":"2026-01-01T00:00:00Z","output":[{"type":"Patient","url":"`+files.URL+`/a"},{"type":"Patient","url":"`+files.URL+`/gone"}],"deleted":[{"type":"Bundle","url":"`+files.URL+`/d"}]}`)
	})
	mux.HandleFunc("/a", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"resourceType":"Patient","id":"1"}`+"\n"+`{"resourceType":"Patient","id":"2"}`)
	})
	mux.HandleFunc("/d", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/9"}}]}`)
	})
	p := &peer{keys: map[string]int{}}
	srv := httptest.NewServer(p)
	defer srv.Close()
	c := DefaultLoad()
	c.Base, c.Workers = srv.URL, 1
	l, err := NewLoader(c, srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	sum, err := l.Load(context.Background(), []string{files.URL + "/manifest"})
	if err != nil || sum.Resources != 3 || sum.Failed != 1 || !strings.HasSuffix(sum.Errors[0].File, "/gone") {
		t.Fatalf("%+v %v", sum, err)
	}
	if got := strings.Join(p.urls, ", "); got != "PUT Patient/1, PUT Patient/2, DELETE Patient/9" {
		t.Error(got)
	}
}
