package operation_test

import (
	"strings"
	"testing"
)

// TestPurge shows that no version of a purged resource can be had again, that
// searches and histories do not show it, and what proves it.
func TestPurge(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	for _, v := range []string{"amended", "corrected"} {
		do("PUT /Observation/o1", `{"resourceType":"Observation","id":"o1","status":"`+v+`","code":{"text":"secret"},"subject":{"reference":"Patient/p"}}`)
	}
	if status, _ := do("GET /Observation/o1/$purge", ""); status != 405 {
		t.Errorf("GET $purge: %d", status)
	}
	if status, _ := do("POST /Observation/none/$purge", ""); status != 404 {
		t.Errorf("$purge of nothing: %d", status)
	}
	status, n := do("POST /Observation/o1/$purge", "")
	if status != 200 || !strings.Contains(string(n.Raw()), "AuditEvent/") {
		t.Fatalf("%d %s", status, n.Raw())
	}
	for line, want := range map[string]int{"GET /Observation/o1": 410, "GET /Observation/o1/_history/1": 404, "GET /Observation/o1/_history/3": 404} {
		if status, n := do(line, ""); status != want {
			t.Errorf("%s: %d %s", line, status, n.Raw())
		}
	}
	for _, line := range []string{"GET /Observation/o1/_history", "GET /Observation/_history?_count=1000", "GET /_history?_count=1000", "GET /Observation?_count=1000"} {
		if _, n := do(line, ""); strings.Contains(string(n.Raw()), "secret") {
			t.Errorf("%s still shows it: %s", line, n.Raw())
		}
	}
	_, proof := do("GET /AuditEvent?entity=Observation/o1", "")
	event := proof.Get("entry").First().Get("resource")
	if event.Get("action").Str() != "D" || event.Path("agent").First().Path("who", "display").Str() != "anonymous" {
		t.Errorf("proof: %s", proof.Raw())
	}
	if _, found := do("POST /AuditEvent/$validate", string(event.Raw())); strings.Contains(string(found.Raw()), `"error"`) {
		t.Errorf("the proof is not valid: %s", found.Raw())
	}
	if status, n := do("PUT /Observation/o1", `{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"new"}}`); status != 201 || n.Path("meta", "versionId").Str() != "5" {
		t.Errorf("a new life: %d %s", status, n.Raw())
	}
}

// TestPurge_patient takes the compartment along, but not what is about others.
func TestPurge_patient(t *testing.T) {
	do := hub(t)
	fixture(t, do)
	do("PUT /Observation/other", `{"resourceType":"Observation","id":"other","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/q"},"performer":[{"reference":"Patient/p"}]}`)
	status, n := do("POST /Patient/p/$purge", "")
	if status != 200 {
		t.Fatalf("%d %s", status, n.Raw())
	}
	for path, want := range map[string]int{"Patient/p": 410, "Encounter/e": 410, "Observation/o2": 410, "Composition/c": 410,
		"Observation/other": 200, "Observation/o4": 200, "Organization/org": 200, "Patient/q": 200} {
		if status, _ := do("GET /"+path, ""); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if _, b := do("GET /AuditEvent?entity=Encounter/e", ""); b.Get("entry").Len() != 1 {
		t.Errorf("proof: %s", b.Raw())
	}
}
