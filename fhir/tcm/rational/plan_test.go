package rational

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// TestPlanAgrees holds the published PlanDefinition against the evaluator: for
// each rule on pairs, a prescription of its first herbs meets the condition of
// its action and makes the evaluator report the rule; one herb alone does not.
func TestPlanAgrees(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	engine := fhirpath.NewEngine(m)
	k, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	conditions := map[string]string{}
	for name, b := range conformance.Rules() {
		if !strings.HasPrefix(name, "PlanDefinition") {
			continue
		}
		tree, err := fhir.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		for a := range tree.Root().Get("action").Children() {
			conditions[a.Get("id").Str()] = a.Path("condition", "expression", "expression").Str()
		}
	}
	var rules struct{ Pairs []rule }
	if err := json.Unmarshal(conformance.RationalUse(), &rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Pairs {
		for _, c := range []struct {
			herbs []string
			want  bool
		}{{[]string{r.A[0], r.B[0]}, true}, {[]string{r.A[0]}, false}} {
			var ingredients, lines = []string{}, []Line{}
			for _, h := range c.herbs {
				ingredients = append(ingredients, fmt.Sprintf(`{"itemCodeableConcept":{"text":%q}}`, h))
				lines = append(lines, Line{Name: h, Dose: Gram})
			}
			tree, err := fhir.Parse([]byte(`{"resourceType":"Medication","ingredient":[` + strings.Join(ingredients, ",") + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			path, err := engine.Compile(conditions[r.ID])
			if err != nil {
				t.Fatalf("%s: %v", r.ID, err)
			}
			met, err := path.EvalBool(&fhirpath.Context{}, tree.Root())
			if err != nil {
				t.Fatalf("%s: %v", r.ID, err)
			}
			reported := false
			for _, f := range k.Evaluate(lines, Context{}) {
				reported = reported || f.Rule == r.ID
			}
			if met != c.want || reported != c.want {
				t.Errorf("%s %v: the plan says %v, the evaluator %v, wanted %v", r.ID, c.herbs, met, reported, c.want)
			}
		}
	}
}
