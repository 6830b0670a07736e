package search_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
)

// TestConcurrent: one engine serves searches and indexing at once (the race
// detector looks on), each with the answer it gives alone.
func TestConcurrent(t *testing.T) {
	e, ix := newEngine(), memindex.New()
	raw := []string{`{"resourceType":"Patient","id":"p","name":[{"text":"张三"}],"gender":"male"}`,
		`{"resourceType":"Observation","id":"a","status":"final","code":{"coding":[{"code":"x"}]},"subject":{"reference":"Patient/p"},"valueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}}`,
		`{"resourceType":"Observation","id":"b","status":"final","code":{"coding":[{"code":"y"}]},"subject":{"reference":"Patient/p"}}`}
	for _, r := range raw {
		if err := ix.Add(e, []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	ix.Sort()
	queries := map[string][]string{
		"subject:Patient.name=zs&status=final": {"a", "b"}, "value-quantity=1000|http://unitsofmeasure.org|g": {"a"},
		"code:not=x": {"b"}, "patient.gender=male&_sort=-code": {"b", "a"}, "status=http://hl7.org/fhir/observation-status|final&code=x": {"a"},
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for q, want := range queries {
					p, err := e.Search(t.Context(), ix, search.Request{Type: "Observation", Query: q})
					if err != nil {
						t.Error(err)
						return
					}
					var got []string
					for _, m := range p.Matches {
						got = append(got, m.ID)
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s: %v, want %v", q, got, want)
					}
				}
				tree, err := fhir.Parse([]byte(raw[1]))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := e.Keys(nil, "Observation", "a", tree.Root()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
