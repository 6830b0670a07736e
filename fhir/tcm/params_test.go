package tcm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
)

// TestSearchParameters proves that the search engine takes every parameter of
// the guide, and that each finds a value in an example.
func TestSearchParameters(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	paths := fhirpath.NewEngine(m)
	var plain, composite [][]byte
	expressions := map[string]string{}
	for name, b := range conformance.SearchParameters() {
		n := root(t, b)
		expressions[name] = n.Get("expression").Str()
		if n.Get("type").Str() == "composite" {
			composite = append(composite, b)
		} else {
			plain = append(plain, b)
		}
	}
	if _, _, err := search.NewEngine(m, paths).Extend(append(plain, composite...)); err != nil {
		t.Error(err)
	}
	var examples []fhir.Node
	for _, file := range glob(t, filepath.Join("..", "..", "conformance", "examples")) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		examples = append(examples, root(t, b))
	}
	for name, expression := range expressions {
		x, err := paths.Compile(expression)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		typ := strings.Split(name, "-")[1]
		if !slices.ContainsFunc(examples, func(n fhir.Node) bool {
			if n.ResourceType() != typ {
				return false
			}
			out, err := x.Eval(&fhirpath.Context{}, n)
			return err == nil && len(out) > 0
		}) {
			t.Errorf("%s finds nothing in any example of %s", name, typ)
		}
	}
}
