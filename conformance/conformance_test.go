package conformance

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestTerminology holds the counts of the sources and that every code system
// says where its facts come from and who has reviewed them.
func TestTerminology(t *testing.T) {
	want := map[string]int{"gbt-15657-2021": 3299, "gbt-16751-3-2023": 1276, "herb": 763, "szjg-t-38-2-2011": 703, "acupoint": 400, "icd11-tm1": 254}
	seen := 0
	for name, b := range Terminology() {
		var r struct {
			ResourceType, ID, URL, Purpose, Copyright, Content string
			Concept                                            []struct{ Code, Display string }
		}
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen++
		if !strings.HasPrefix(name, r.ResourceType+"-"+r.ID) {
			t.Errorf("%s holds %s/%s", name, r.ResourceType, r.ID)
		}
		if r.ResourceType != "CodeSystem" {
			continue
		}
		if r.Purpose == "" || r.Copyright == "" {
			t.Errorf("%s: source or review state missing", name)
		}
		codes := map[string]bool{}
		for _, c := range r.Concept {
			if c.Code == "" || c.Display == "" || codes[c.Code] {
				t.Errorf("%s: code %q empty, unnamed or twice", name, c.Code)
			}
			codes[c.Code] = true
		}
		if n, ok := want[r.ID]; ok && len(codes) != n {
			t.Errorf("%s: %d codes, the source has %d", name, len(codes), n)
		}
		delete(want, r.ID)
	}
	if seen < 60 || len(want) > 0 {
		t.Fatalf("%d resources, missing %v", seen, want)
	}
}
