package terminology

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fetch"
)

// TestOfficialExpansions compares every value set of hl7.fhir.r4.expansions
// with our own expansion: no code may be missing, and what HL7 leaves out must
// be abstract or inactive. Value sets that need a code system nobody may ship
// (SNOMED CT, LOINC) are counted only.
func TestOfficialExpansions(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	dir, ok := "", false
	for _, s := range m.Sources() {
		if s.Package == "hl7.fhir.r4.expansions" {
			dir, ok = fetch.Package{Name: s.Package, Version: s.Version, Integrity: "sha512-" + s.SHA512}.Cached()
		}
	}
	if !ok {
		t.Skip("package hl7.fhir.r4.expansions@4.0.1 is not in the cache: run `go generate ./fhir/definitions` once")
	}
	files, err := filepath.Glob(filepath.Join(dir, "ValueSet-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	st := New(m).state.Load()
	same, open := 0, 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := fhir.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		url := tree.Root().Get("url").Str()
		x, err := st.expansion(url, 0)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if x == nil || len(x.open) > 0 {
			open++
			continue
		}
		same++
		exp := tree.Root().Get("expansion")
		cut := exp.Get("extension").At(0).Get("url").Str() == "http://hl7.org/fhir/StructureDefinition/valueset-toocostly"
		compareExpansion(t, url, x, exp.Get("contains"), cut)
	}
	t.Logf("%d R4 expansions are equal to ours, %d need code systems that are not loaded", same, open)
}

func compareExpansion(t *testing.T, url string, x *expansion, contains fhir.Node, cut bool) {
	want := map[item]bool{}
	var walk func(fhir.Node)
	walk = func(list fhir.Node) {
		for c := range list.Each() {
			if code := c.Get("code").Str(); code != "" {
				it, ok := x.find(c.Get("system").Str(), code)
				if !ok {
					t.Errorf("%s: %s is missing", url, code)
				}
				want[it] = true
			}
			walk(c.Get("contains"))
		}
	}
	walk(contains)
	for _, it := range x.items {
		if !cut && !want[it] && !x.flag(it, flagAbstract) && !x.flag(it, flagInactive) && !deprecated(x, it) && !more(url) {
			t.Errorf("%s: %s should not be there", url, x.code(it))
		}
	}
}

// deprecated codes may be used; HL7's expansions leave them out.
func deprecated(x *expansion, it item) bool {
	cs, c := x.source(it)
	for name, p := range cs.propertiesOf(c) {
		if name == "status" && p.value == "deprecated" {
			return true
		}
	}
	return false
}

// more tells the value sets where ours has more than HL7's, with reason.
func more(url string) bool {
	switch url {
	case "http://hl7.org/fhir/ValueSet/currencies": // ISO 4217 has grown
		return true
	case "http://hl7.org/fhir/ValueSet/detectedissue-category", "http://hl7.org/fhir/ValueSet/security-labels",
		"http://terminology.hl7.org/ValueSet/v3-ActPharmacySupplyType": // is-a follows the child property too
		return true
	}
	return false
}
