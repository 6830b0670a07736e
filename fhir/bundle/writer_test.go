package bundle_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/store"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)

func TestSearchset(t *testing.T) {
	w := bundle.New("searchset", "b", now, 2, bundle.Link{Relation: "self", URL: `http://h/x?a="b"`})
	w.Entry("http://h/fhir", "Patient", "1", []byte(`{"a":1}`), "match")
	w.Graded("http://h/fhir", "Patient", "2", []byte(`{"b":2}`), 0.7, "probable")
	var out bytes.Buffer
	if err := w.Flush(&out); err != nil { // what is flushed is not written again
		t.Fatal(err)
	}
	got := out.String() + string(w.End())
	want := `{"resourceType":"Bundle","id":"b","meta":{"lastUpdated":"2026-01-02T03:04:05.006Z"},"type":"searchset","total":2,"link":[{"relation":"self","url":"http://h/x?a=\"b\""}],"entry":[` +
		`{"fullUrl":"http://h/fhir/Patient/1","resource":{"a":1},"search":{"mode":"match"}},` +
		`{"fullUrl":"http://h/fhir/Patient/2","resource":{"b":2},"search":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/match-grade","valueCode":"probable"}],"mode":"match","score":0.70}}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestResponses(t *testing.T) {
	w := bundle.New("transaction-response", "b", now, -1)
	w.Open()
	w.Response(201)
	w.Version("http://h/fhir", &store.Version{Type: "Patient", ID: "1", Version: 3, LastUpdated: now, Method: store.Create})
	w.Outcome([]byte(`{}`))
	w.Shut()
	w.Shut()
	want := `{"resourceType":"Bundle","id":"b","meta":{"lastUpdated":"2026-01-02T03:04:05.006Z"},"type":"transaction-response","entry":[{"response":{"status":"201 Created",` +
		`"location":"http://h/fhir/Patient/1/_history/3","etag":"W/\"3\"","lastModified":"2026-01-02T03:04:05.006Z","outcome":{}}}]}`
	if got := string(w.End()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(bundle.New("batch-response", "b", now, -1).End()); got[len(got)-2:] != `"}` {
		t.Errorf("empty: %s", got)
	}
}
