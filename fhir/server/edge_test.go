package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/server"
)

// TestAnyVersion holds If-Match: * to RFC 9110: only what exists matches it.
func TestAnyVersion(t *testing.T) {
	h := newHub(t)
	const any = "If-Match: *"
	h.do("PUT /Patient/p", patient("p", ""), any).want(t, 412)
	h.do("PUT /Patient/p", patient("p", "")).want(t, 201)
	h.do("PUT /Patient/p", patient("p", ""), any).want(t, 200)
	h.do("PATCH /Patient/p", setGender("wrong"), asPatch, any).want(t, 422) // it is judged all the same
	h.do("DELETE /Patient/p", "", any).want(t, 204)
	h.do("DELETE /Patient/p", "", any).want(t, 412)
	h.do("PUT /Patient/p", patient("p", ""), any).want(t, 412)
}

// TestNoCriteria shows that a condition which would match everything, for it
// holds only parameters of the result, changes nothing.
func TestNoCriteria(t *testing.T) {
	h := newHub(t, func(c *server.Config, _ *server.Parts) { c.DeleteMany = true })
	h.do("PUT /Patient/p", patient("p", "")).want(t, 201)
	for _, q := range []string{"", "?", "?_count=1", "?_sort=name", "?_elements=id&_format=json"} {
		h.do("DELETE /Patient"+q, "").want(t, 400)
		h.do("PUT /Patient"+q, patient("p", "")).want(t, 400)
		h.do("PATCH /Patient"+q, setGender("male"), asPatch).want(t, 400)
		if q != "" {
			h.do("POST /Patient", patient("", ""), "If-None-Exist: "+q).want(t, 400)
		}
	}
	if n := h.do("GET /Patient", "").node(t).Get("entry").Len(); n != 1 {
		t.Errorf("%d patients are left", n)
	}
}

// TestAcceptsGzip reads Accept-Encoding with its weights.
func TestAcceptsGzip(t *testing.T) {
	h := newHub(t, func(c *server.Config, _ *server.Parts) { c.GzipMin = 1 })
	for accept, want := range map[string]string{"gzip": "gzip", "br, gzip;q=0.1": "gzip", "*": "gzip", "GZIP; q=1": "gzip",
		"gzip;q=0": "", "*, gzip;q=0": "", "*;q=0": "", "br": "", "identity": ""} {
		if got := h.do("GET /metadata", "", "Accept-Encoding: "+accept).Header.Get("Content-Encoding"); got != want {
			t.Errorf("%s: answered %q", accept, got)
		}
	}
}

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
		{"GET /Patient/p?_elements=id,nmae", "", 400, nil, `did you mean \"name\"?`},
		{"GET /Patient?_elements=nmae", "", 400, []string{"Accept-Language: en"}, "Patient has no element nmae"},
		{"GET /Patient?_elements=nmae", "", 200, []string{"Prefer: handling=lenient"}, `"searchset"`},
		{"GET /Patient?_elements=Patient.name.given,deceased,deceasedBoolean,Observation.status,_birthDate", "", 200, nil, `"searchset"`},
		{"GET /Patient?_elements=status&_revinclude=Observation:subject", "", 200, nil, `"searchset"`},
		{"GET /Pateint/p", "", 404, nil, `did you mean \"Patient\"?`},
		{"GET /metadata/x/y/z/1/2/3", "", 404, nil, `"resource-type"`},
		{"GET /Organization/o/Observation", "", 400, []string{"Accept-Language: en"}, "there is no Organization compartment"},
		{"GET ?name=x", "", 400, []string{"Accept-Language: en"}, "parameters that all have"},
		{"POST /Patient/_search", "name=%zz", 400, []string{"Content-Type: application/x-www-form-urlencoded"}, "表单"},
		{"POST /Patient", "{}", 400, []string{"Content-Encoding: gzip"}, "Content-Encoding"},
		{"PATCH /Patient/p", "{}", 415, []string{"Content-Type: application/merge-patch+json"}, "application/json-patch+json"},
		{"PATCH /Patient/p", `[{"op":"replace","path":"/id","value":"q"}]`, 400, []string{asPatch}, "Patient.id"},
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
