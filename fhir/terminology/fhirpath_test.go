package terminology

import (
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

func TestFHIRPath(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := service(t, set("pets", `{"include":[{"system":"http://x/animals","concept":[{"code":"cat"},{"code":"dog"}]}]}`))
	engine := fhirpath.NewEngine(m)
	tree, err := fhir.Parse([]byte(`{"resourceType":"Condition","subject":{"display":"x"},"code":{"coding":[{"system":"http://x/animals","code":"cat"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]string{
		"code.memberOf('http://x/vs/pets')":                                                        "true",
		"code.coding.memberOf('http://x/animals?fhir_vs=isa/bird')":                                "false",
		"%terminologies.expand('http://x/vs/pets').expansion.contains.count()":                     "2",
		"%terminologies.validateVS('http://x/vs/pets', code).parameter.where(name='result').value": "true",
		"%terminologies.lookup(code.coding.first()).parameter.where(name='display').value":         "Cat",
		"%terminologies.subsumes('http://x/animals', 'mammal', 'cat').parameter.value":             "subsumes",
	} {
		x, err := engine.Compile(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		out, err := x.Eval(&fhirpath.Context{Terminology: s.FHIRPath()}, tree.Root())
		if err != nil || len(out) != 1 || out[0].String() != want {
			t.Errorf("%s: %v %v, want %s", expr, out, err, want)
		}
	}
}
