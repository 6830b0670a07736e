package search_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var model = sync.OnceValue(func() *definitions.Model {
	m, err := definitions.Load()
	if err != nil {
		panic(err)
	}
	return m
})

func newEngine(opts ...search.Option) *search.Engine {
	return search.NewEngine(model(), fhirpath.NewEngine(model()), opts...)
}

// synthea returns the resources of up to n of the sample bundles, references
// rewritten as a transaction would.
func synthea(t testing.TB, n int) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "data/samples/synthea/*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("no samples")
	}
	var out [][]byte
	for _, f := range files[:min(n, len(files))] {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bundle(t, raw)...)
	}
	return out
}

func bundle(t testing.TB, raw []byte) [][]byte {
	tree, err := fhir.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for e := range tree.Root().Get("entry").Each() {
		r := e.Get("resource")
		if url := e.Get("fullUrl").Str(); strings.HasPrefix(url, "urn:") {
			pairs = append(pairs, `"`+url+`"`, `"`+r.ResourceType()+"/"+r.Get("id").Str()+`"`)
		}
	}
	swap := strings.NewReplacer(pairs...)
	var out [][]byte
	for e := range tree.Root().Get("entry").Each() {
		out = append(out, []byte(swap.Replace(string(bytes.Clone(e.Get("resource").Raw())))))
	}
	return out
}
