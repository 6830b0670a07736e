package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The benchmarks call the handler without a socket: what is measured is the
// server's own work on a memory store.

func benchHub(b *testing.B) *hub {
	h := newHub(b)
	var entries []string
	for i := range 1000 {
		entries = append(entries, entryOf(fmt.Sprintf("PUT Patient/%d", i), patient(fmt.Sprint(i),
			fmt.Sprintf(`,"name":[{"family":"李%d","given":["明"]}],"identifier":[{"system":"urn:p","value":"%d"}],"gender":"male","birthDate":"1970-01-01"`, i, i))))
	}
	h.do("POST ", bundleOf("transaction", entries...)).want(b, 200)
	return h
}

func (h *hub) serve(b *testing.B, method, path, body string, status int) {
	req := httptest.NewRequest(method, "/fhir"+path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	w := &discard{header: http.Header{}}
	h.handler.ServeHTTP(w, req)
	if w.status != status {
		b.Errorf("%s %s: %d, want %d", method, path, w.status, status)
	}
}

// discard is a ResponseWriter that keeps only the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(s int)           { d.status = s }

func BenchmarkRead(b *testing.B) {
	h := benchHub(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			h.serve(b, "GET", fmt.Sprintf("/Patient/%d", i%1000), "", 200)
		}
	})
}

func BenchmarkSearchIdentifier(b *testing.B) {
	h := benchHub(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			h.serve(b, "GET", fmt.Sprintf("/Patient?identifier=urn:p|%d", i%1000), "", 200)
		}
	})
}

func BenchmarkSearchPage(b *testing.B) {
	h := benchHub(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.serve(b, "GET", "/Patient?gender=male&_count=10", "", 200)
		}
	})
}

func BenchmarkTransaction(b *testing.B) {
	h := benchHub(b)
	var entries []string
	for i := range 100 {
		entries = append(entries, entryOf(fmt.Sprintf("POST Observation urn:uuid:%d", i),
			`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"s","code":"c"}]},"subject":{"reference":"Patient/1"},"valueQuantity":{"value":1.5,"unit":"g"}}`))
	}
	body := bundleOf("transaction", entries...)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.serve(b, "POST", "/", body, 200)
		}
	})
	b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "resources/s")
}
