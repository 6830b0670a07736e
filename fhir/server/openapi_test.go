package server_test

import (
	"encoding/json"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/openapi"
)

func TestOpenAPI(t *testing.T) {
	h := newHub(t)
	b := openapi.New("Qihuang", "1")
	if err := h.srv.OpenAPI(b); err != nil {
		t.Fatal(err)
	}
	out, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][2]string{{"/fhir", "post"}, {"/fhir/metadata", "get"}, {"/fhir/Patient", "get"}, {"/fhir/Patient", "post"},
		{"/fhir/Patient/{id}", "patch"}, {"/fhir/{type}/{id}/_history/{version}", "get"}, {"/fhir/{type}/_search", "post"}} {
		if _, ok := doc.Paths[want[0]][want[1]]; !ok {
			t.Errorf("no %s %s", want[1], want[0])
		}
	}
	found := false
	for _, p := range doc.Paths["/fhir/Patient"]["get"].Parameters {
		found = found || p.Name == "birthdate"
	}
	if !found || len(out) > 4<<20 {
		t.Errorf("birthdate listed: %v, %d bytes", found, len(out))
	}
	t.Logf("%d bytes, %d paths", len(out), len(doc.Paths))
}
