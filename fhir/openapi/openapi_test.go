package openapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/definitions"
)

func TestBuilder(t *testing.T) {
	b := New("Qihuang", "1")
	b.Add("POST", "/ingest/his", Operation{Summary: "visit", Request: &Content{MediaTypes: []string{"application/json"}, Schema: Ref("Visit")}})
	b.Schema("Visit", json.RawMessage(`{"type":"object"}`))
	out, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Schema map[string]string }
			}
			Responses map[string]any
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	op := doc.Paths["/ingest/his"]["post"]
	if doc.OpenAPI != "3.1.0" || op.RequestBody.Content["application/json"].Schema["$ref"] != "#/components/schemas/Visit" || len(op.Responses) == 0 {
		t.Errorf("%s", out)
	}
	if again, _ := b.JSON(); string(again) != string(out) {
		t.Error("not the same twice")
	}
}

// TestTypes checks that every reference between schemas leads somewhere.
func TestTypes(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	b := New("Qihuang", "1")
	if err := b.AddTypes(m); err != nil {
		t.Fatal(err)
	}
	for name, s := range b.schemas {
		for part := range strings.SplitSeq(string(s), `"#/components/schemas/`) {
			target, _, ok := strings.Cut(part, `"`)
			if ok && !strings.HasPrefix(part, "{") && b.schemas[target] == nil {
				t.Errorf("%s refers to %s", name, target)
			}
		}
	}
	if s := string(b.schemas["Patient"]); !strings.Contains(s, `"_birthDate"`) || !strings.Contains(s, `"deceasedBoolean"`) || !strings.Contains(s, `Patient.contact`) {
		t.Errorf("%s", s)
	}
}
