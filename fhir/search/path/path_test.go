package path_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search/path"
	"github.com/qihuang-health/qihuang/internal/shared"
)

func load(t testing.TB) *definitions.Model {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestExtensionsOfPrimitives reaches what stands in the member beside a value.
func TestExtensionsOfPrimitives(t *testing.T) {
	m := load(t)
	tree, err := fhir.Parse([]byte(`{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"b","extension":[{"url":"http://a","valueCode":"x"},{"url":"http://b","valueCode":"y"}]},
		"name":[{"given":["A","B"],"_given":[null,{"extension":[{"url":"http://a","valueCode":"z"}]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]string{
		"Patient.birthDate.extension('http://a').value":             "x",
		"Patient.birthDate.extension.where(url = 'http://b').value": "y",
		"Patient.birthDate.id":                                      "b",
		"Patient.name.given.extension('http://a').value":            "z",
		"Patient.name.given[1].extension('http://a').value":         "z",
		"Patient.name.given[0].extension('http://a').value":         "",
		"(Patient.birthDate.extension('http://b').value as code)":   "y",
		"Patient.birthDate.extension('http://a').value.ofType(uri)": "",
	} {
		paths, ok := path.Compile(m, "Patient", expression)
		if !ok {
			t.Errorf("%s refused", expression)
		}
		var got []string
		for _, p := range paths {
			for _, n := range p.Append(nil, tree.Root(), tree.Root()) {
				got = append(got, n.Str())
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
}

// TestAgreesWithFHIRPath compares both ways for every search parameter on the
// official examples and a Synthea patient.
func TestAgreesWithFHIRPath(t *testing.T) {
	m := load(t)
	fp := fhirpath.NewEngine(m)
	files, _ := filepath.Glob(filepath.Join(shared.Dir(t), "data/suites/examples/*.json"))
	more, _ := filepath.Glob(filepath.Join(shared.Dir(t), "data/samples/synthea/R*.json"))
	compared, values := 0, 0
	for _, f := range append(files, more[:min(1, len(more))]...) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := fhir.Parse(raw)
		if err != nil {
			continue
		}
		resources := []fhir.Node{tree.Root()}
		for e := range tree.Root().Get("entry").Each() {
			resources = append(resources, e.Get("resource"))
		}
		for _, res := range resources {
			if res.Get("id").Str() == "decimal" {
				continue // a union of FHIRPath drops 1.0 beside 1.00; an index need not
			}
			for _, sp := range m.SearchParameters(res.ResourceType()) {
				if sp.Expression == "" {
					continue
				}
				paths, ok := path.Compile(m, res.ResourceType(), sp.Expression)
				x, err := fp.Compile(sp.Expression)
				if !ok || err != nil {
					continue
				}
				compared++
				values += agree(t, res, sp, paths, x)
			}
		}
	}
	if values < 5000 {
		t.Errorf("only %d values in %d comparisons", values, compared)
	}
}

func agree(t *testing.T, res fhir.Node, sp *definitions.SearchParameter, paths []path.Path, x *fhirpath.Expression) int {
	var fast, slow []string
	for _, p := range paths {
		for _, n := range p.Append(nil, res, res) {
			fast = append(fast, string(n.Raw()))
		}
	}
	items, err := x.Eval(&fhirpath.Context{Resource: res, Resolver: byName{}}, res)
	if err != nil {
		t.Fatal(sp.URL, err)
	}
	for _, it := range items {
		if n, ok := it.Node(); ok {
			slow = append(slow, string(n.Raw()))
		}
	}
	slices.Sort(fast)
	slices.Sort(slow)
	fast, slow = slices.Compact(fast), slices.Compact(slow) // a union drops equal values
	if !slices.Equal(fast, slow) {
		t.Errorf("%s on %s/%s: fast %q, FHIRPath %q", sp.Expression, res.ResourceType(), res.Get("id").Str(), fast, slow)
	}
	return len(slow)
}

type byName struct{}

func (byName) Resolve(_ context.Context, ref string, _ fhir.Node) (fhir.Node, error) {
	parts := strings.Split(ref, "/")
	if len(parts) < 2 {
		return fhir.Node{}, nil
	}
	tree, err := fhir.Parse([]byte(`{"resourceType":"` + parts[len(parts)-2] + `"}`))
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}

// TestFastForAll: only the forms listed need FHIRPath.
func TestFastForAll(t *testing.T) {
	m := load(t)
	slow := map[string]bool{}
	for _, typ := range m.Resources() {
		for _, sp := range m.SearchParameters(typ) {
			if sp.Expression == "" {
				continue
			}
			if _, ok := path.Compile(m, typ, sp.Expression); !ok {
				slow[sp.Expression] = true
			}
		}
	}
	for expression := range slow {
		if !strings.Contains(expression, "exists()") {
			t.Errorf("no fast path: %s", expression)
		}
	}
}

func TestCompile_bad(t *testing.T) {
	m := load(t)
	for _, expression := range []string{"", "Patient.nme", "Patient.name.first()", "Patient.name.where(use = 'a' or use = 'b')", "(Patient.name", "Patient.name[x]", "Patient..name"} {
		if p, ok := path.Compile(m, "Patient", expression); ok {
			t.Errorf("Compile(%q) = %v", expression, p)
		}
	}
	if p, ok := path.Compile(m, "Patient", "Observation.code"); !ok || len(p) != 0 {
		t.Error("another type's path is not left out")
	}
}

func FuzzCompile(f *testing.F) {
	m := load(f)
	f.Add("(Observation.value as Quantity) | Observation.component.where(code='x').value.as(SampledData)")
	f.Fuzz(func(t *testing.T, expression string) { path.Compile(m, "Observation", expression) })
}

func TestSplit(t *testing.T) {
	for in, want := range map[string][2]string{
		"Patient/1": {"Patient", "1"}, "http://x/fhir/Patient/1/_history/2": {"Patient", "1"}, "#x": {}, "urn:uuid:1": {},
		"Patient": {}, "patient/1": {}, "Patient/": {}, "Patient/a_b": {}, "Patient?identifier=1": {},
	} {
		if typ, id := path.Split(in); [2]string{typ, id} != want {
			t.Errorf("Split(%q) = %q, %q", in, typ, id)
		}
	}
}
