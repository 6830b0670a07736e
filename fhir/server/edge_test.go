package server_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestEdge asks what lies beside the interactions: methods of nobody's, versions
// of FHIR that are not ours, parameters that would change nothing.
func TestEdge(t *testing.T) {
	h := newHub(t)
	h.do("PUT /Patient/p", patient("p", "")).want(t, 201)
	for _, c := range []struct {
		line, body string
		status     int
		header     []string
		contains   string
	}{
		{"TRACE /Patient", "", 405, nil, `"method-not-allowed"`},
		{"LINK /Patient/p", "", 405, nil, `"method-not-allowed"`},
		{"FOO /nowhere", "", 404, nil, `"resource-type"`},
		{"GET /Patient/p/_history/9", "", 404, []string{"Accept-Language: en"}, "has no version 9"},
		{"GET /Patient/p/_history/x", "", 404, nil, `"unknown-version"`},
		{"GET /Patient/_history?_snice=2026", "", 400, nil, `_since`},
		{"GET /Patient/_history?_snice=2026", "", 200, []string{"Prefer: handling=lenient"}, `"history"`},
		{"POST /Patient/_search", "{}", 415, nil, "application/x-www-form-urlencoded"},
		{"GET /Patient/p", "", 406, []string{"Accept: application/fhir+json; fhirVersion=3.0"}, `"not-acceptable"`},
		{"GET /Patient/p", "", 200, []string{"Accept: application/fhir+json; fhirVersion=3.0, application/json"}, `"Patient"`},
		{"GET /Patient/p", "", 200, []string{"Accept: application/fhir+json; fhirVersion=4.0"}, `"Patient"`},
		{"POST /Patient", patient("", ""), 415, []string{"Content-Type: application/fhir+json; fhirVersion=5.0"}, "fhirVersion=4.0"},
	} {
		a := h.do(c.line, c.body, c.header...)
		if a.StatusCode != c.status || !strings.Contains(a.body, c.contains) {
			t.Errorf("%s %v: %d, want %d with %q: %.400s", c.line, c.header, a.StatusCode, c.status, c.contains, a.body)
		}
	}
	if vary := strings.Join(h.do("GET /Patient/p", "").Header.Values("Vary"), ", "); !strings.Contains(vary, "Accept-Language") {
		t.Errorf("Vary: %s", vary)
	}
	for id, kept := range map[string]bool{"req_42": true, "a/b:c=1": true, "two words": false, strings.Repeat("x", 129): false} {
		if got := h.do("GET /Patient/p", "", "X-Request-Id: "+id).Header.Get("X-Request-Id"); (got == id) != kept || got == "" {
			t.Errorf("X-Request-Id %.20q: answered %.40q", id, got)
		}
	}
	if a := h.do("OPTIONS /Patient/p", ""); a.StatusCode != http.StatusNoContent || !strings.Contains(a.Header.Get("Allow"), "PATCH") {
		t.Errorf("OPTIONS: %d %s", a.StatusCode, a.Header.Get("Allow"))
	}
}
