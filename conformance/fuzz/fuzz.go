// Package fuzz sends a server requests made from its own OpenAPI description,
// good ones and spoiled ones, and reports every answer that breaks the rules: a
// server error, an error without an OperationOutcome, broken JSON, too long a
// wait. It is black-box: it knows a server only by its address.
package fuzz

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config says what to send where.
type Config struct {
	URL      string                         // of the server; /openapi.json is below it
	Seed     uint64                         // equal seeds send equal requests, but for ids the server draws
	Requests int                            // how many
	Workers  int                            // sending at the same time
	Longest  time.Duration                  // that an answer may take
	Skip     func(method, path string) bool // addresses of the description left alone; may be nil
}

// Report is what became of the requests.
type Report struct {
	Statuses map[int]int
	Failures []string // one line each, the first 50
	Slowest  time.Duration
}

// Run sends the requests. Errors: no description, or no server.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	doc, err := read(ctx, cfg.URL+"/openapi.json")
	if err != nil {
		return nil, err
	}
	f := &fuzzer{cfg: cfg, doc: doc, report: Report{Statuses: map[int]int{}}}
	f.operations(cfg.Skip)
	if len(f.ops) == 0 {
		return nil, fmt.Errorf("%s describes no operation", cfg.URL)
	}
	f.stock(ctx)
	var wg sync.WaitGroup
	for w := range max(1, cfg.Workers) {
		wg.Go(func() {
			g := f.generator(cfg.Seed + uint64(w) + 1)
			for range cfg.Requests / max(1, cfg.Workers) {
				if ctx.Err() != nil {
					return
				}
				f.send(ctx, g.request(f.ops[g.IntN(len(f.ops))]))
			}
		})
	}
	wg.Wait()
	return &f.report, ctx.Err()
}

// description is the part of OpenAPI that is used.
type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In, Description string
			Schema                *schema
		}
		RequestBody *struct {
			Content map[string]struct{ Schema *schema }
		}
	}
	Components struct{ Schemas map[string]*schema }
}

func read(ctx context.Context, url string) (*description, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var doc description
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	return &doc, nil
}

// operation is a method on a path.
type operation struct {
	method, path string
	query        []parameter
	media        []string // of bodies, sorted
	body         *schema
}

type parameter struct{ name, kind string }

type fuzzer struct {
	cfg Config
	doc *description
	ops []operation

	mu     sync.Mutex
	ids    map[string][]string // by type, of resources that were made
	report Report
}

// operations lists what the description names, sorted.
func (f *fuzzer) operations(skip func(method, path string) bool) {
	for _, path := range slices.Sorted(maps.Keys(f.doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(f.doc.Paths[path])) {
			if skip != nil && skip(strings.ToUpper(method), path) {
				continue
			}
			d := f.doc.Paths[path][method]
			op := operation{method: strings.ToUpper(method), path: path}
			for _, p := range d.Parameters {
				if p.In == "query" {
					op.query = append(op.query, parameter{p.Name, p.Description})
				}
			}
			if d.RequestBody != nil {
				op.media = slices.Sorted(maps.Keys(d.RequestBody.Content))
				for _, m := range op.media {
					op.body = d.RequestBody.Content[m].Schema
				}
			}
			f.ops = append(f.ops, op)
		}
	}
}

// stock makes a resource of each type that the generator can make well enough,
// so that requests find something.
func (f *fuzzer) stock(ctx context.Context) {
	f.ids = map[string][]string{}
	g := f.generator(f.cfg.Seed)
	for _, op := range f.ops {
		typ, ok := strings.CutPrefix(op.path, "/fhir/")
		if !ok || op.method != http.MethodPost || strings.ContainsAny(typ, "/{$_") {
			continue
		}
		f.send(ctx, request{method: op.method, path: op.path, media: "application/fhir+json", body: g.json(op.body)})
	}
}

// request is one to be sent.
type request struct {
	method, path string
	header       [][2]string
	media        string
	body         []byte
}

func (r *request) String() string {
	body := r.body
	if len(body) > 200 {
		body = append(slices.Clone(body[:200]), "…"...)
	}
	return fmt.Sprintf("%s %.200s %v [%s] %q", r.method, r.path, r.header, r.media, body)
}

// send sends a request and judges the answer.
func (f *fuzzer) send(ctx context.Context, r request) {
	ctx, cancel := context.WithTimeout(ctx, 2*f.cfg.Longest)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, f.cfg.URL+r.path, bytes.NewReader(r.body))
	if err != nil {
		return // no client could send this
	}
	if r.media != "" {
		req.Header.Set("Content-Type", r.media)
	}
	for _, h := range r.header {
		req.Header.Set(h[0], h[1])
	}
	start := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.fail(&r, "no answer: "+err.Error())
		return
	}
	body, err := content(resp)
	_ = resp.Body.Close()
	took := time.Since(start)
	f.mu.Lock()
	f.report.Statuses[resp.StatusCode]++
	f.report.Slowest = max(f.report.Slowest, took)
	f.mu.Unlock()
	if why := judge(&r, resp, body, err, took, f.cfg.Longest); why != "" {
		f.fail(&r, fmt.Sprintf("%d %s: %.300s", resp.StatusCode, why, body))
	}
	f.learn(resp, body)
}

// content reads an answer whole, unpacked.
func content(resp *http.Response) ([]byte, error) {
	if resp.Header.Get("Content-Encoding") != "gzip" || resp.Request.Method == http.MethodHead {
		return io.ReadAll(resp.Body)
	}
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// judge says which rule an answer breaks, "" if none.
func judge(r *request, resp *http.Response, body []byte, err error, took, longest time.Duration) string {
	media := resp.Header.Get("Content-Type")
	switch {
	case err != nil:
		return "cut short: " + err.Error()
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented && !blamed(body):
		return "server error"
	case took > longest:
		return "took " + took.String()
	case strings.Contains(media, "json") && !strings.Contains(media, "ndjson") && len(body) > 0 && !json.Valid(body):
		return "broken JSON"
	case resp.StatusCode >= 400 && strings.HasPrefix(r.path, "/fhir") && r.method != http.MethodHead && !outcome(body):
		return "no OperationOutcome"
	}
	return ""
}

// blamed reports whether a body is a SOAP fault that blames the client, which
// SOAP 1.1 sends as 500.
func blamed(body []byte) bool {
	return bytes.Contains(body, []byte("<faultcode>soapenv:Client</faultcode>"))
}

// outcome reports whether a body is an OperationOutcome with a text for people.
func outcome(body []byte) bool {
	if bytes.HasPrefix(body, []byte("<?xml")) {
		return bytes.Contains(body, []byte("<OperationOutcome ")) && bytes.Contains(body, []byte("<text value="))
	}
	var o struct {
		ResourceType string
		Issue        []struct {
			Severity, Code string
			Details        struct{ Text string }
		}
	}
	return json.Unmarshal(body, &o) == nil && o.ResourceType == "OperationOutcome" && len(o.Issue) > 0 &&
		o.Issue[0].Severity != "" && o.Issue[0].Code != "" && o.Issue[0].Details.Text != ""
}

const maxFailures = 50

func (f *fuzzer) fail(r *request, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.report.Failures) < maxFailures {
		f.report.Failures = append(f.report.Failures, r.String()+" → "+why)
	}
}

// learn remembers the id of a resource that was made.
func (f *fuzzer) learn(resp *http.Response, body []byte) {
	if resp.StatusCode != http.StatusCreated {
		return
	}
	var res struct{ ResourceType, ID string }
	if json.Unmarshal(body, &res) == nil && res.ID != "" {
		f.mu.Lock()
		f.ids[res.ResourceType] = append(f.ids[res.ResourceType], res.ID)
		f.mu.Unlock()
	}
}

// known returns the id of some resource of a type, "" if none was made.
func (f *fuzzer) known(typ string, r *rand.Rand) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if list := f.ids[typ]; len(list) > 0 {
		return list[r.IntN(len(list))]
	}
	return ""
}
