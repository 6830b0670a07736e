package tcm

import (
	"runtime"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/fhir/validate"
)

// guideTerms loads the terminology of the guide.
func guideTerms(tb testing.TB) *terminology.Service {
	tb.Helper()
	m, err := definitions.Load()
	if err != nil {
		tb.Fatal(err)
	}
	terms := terminology.New(m)
	var codes [][]byte
	for _, b := range conformance.Terminology() {
		codes = append(codes, b)
	}
	if err := terms.Include(codes...); err != nil {
		tb.Fatal(err)
	}
	return terms
}

const herbSet = Base + "/ValueSet/herb"

// BenchmarkTerminologyLoad loads every code system, value set and map of the
// guide and makes the herbs searchable.
func BenchmarkTerminologyLoad(b *testing.B) {
	for b.Loop() {
		if _, _, err := guideTerms(b).Find(b.Context(), herbSet, terminology.ExpandOptions{Filter: "hq", Count: 10}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExpandPinyin finds herbs by the initials a doctor types.
func BenchmarkExpandPinyin(b *testing.B) {
	terms := guideTerms(b)
	for b.Loop() {
		if _, err := terms.Expand(b.Context(), herbSet, terminology.ExpandOptions{Filter: "hq", Count: 10}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkValidatePrescription validates a herbal prescription and its herbs
// against their profiles.
func BenchmarkValidatePrescription(b *testing.B) {
	v := guideValidator(b)
	profiles := []string{"tcm-herbal-prescription", "tcm-herbal-medication"}
	var nodes []fhir.Node
	for _, p := range profiles {
		nodes = append(nodes, build(b, sampleVisit()[p])...)
	}
	for b.Loop() {
		for i, n := range nodes {
			for _, is := range v.Validate(b.Context(), n, validate.Options{Level: validate.Full, Profiles: []string{Base + "/StructureDefinition/" + profiles[i]}}) {
				if is.Severity == "error" {
					b.Fatal(is.Text)
				}
			}
		}
	}
}

// TestTerminologyBudget holds time and memory of the whole terminology far
// inside the product's limits (300 ms, 80 MB); the time is a loose bound because
// test machines are shared.
func TestTerminologyBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time and memory")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	terms := guideTerms(t)
	list, _, err := terms.Find(t.Context(), herbSet, terminology.ExpandOptions{Filter: "hq", Count: 1})
	took := time.Since(begin)
	if err != nil || len(list) == 0 || list[0].Code != "黄芪" {
		t.Fatalf("hq finds %v, %v", list, err)
	}
	for _, vs := range []string{"tcm-disease", "tcm-syndrome", "gbt-16751-3-2023", "formula", "acupoint"} {
		if _, _, err := terms.Find(t.Context(), Base+"/ValueSet/"+vs, terminology.ExpandOptions{Filter: "zzz"}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(terms)
	mb := float64(after.HeapAlloc-before.HeapAlloc) / 1e6
	t.Logf("terminology: %.1f MB, loaded and searched in %v", mb, took)
	if mb > 80 || took > 3*time.Second {
		t.Errorf("terminology takes %.1f MB and %v", mb, took)
	}
}
