package definitions

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// outline is what matters of a snapshot's elements, a line each.
func outline(sd fhir.Node) []string {
	var lines []string
	for e := range sd.Path("snapshot", "element").Each() {
		var types, keys []string
		for t := range e.Get("type").Each() {
			types = append(types, t.Get("code").Str())
		}
		for c := range e.Get("constraint").Each() {
			keys = append(keys, c.Get("key").Str())
		}
		slices.Sort(keys)
		lines = append(lines, fmt.Sprintf("%s %s..%s %v %s %s", e.Get("id").Str(), e.Get("min").Str(), e.Get("max").Str(), types, e.Path("binding", "valueSet").Str(), strings.Join(keys, ",")))
	}
	return lines
}

// peculiar are profiles whose published snapshot does not follow from their
// differential.
var peculiar = map[string]string{
	"bp":                          "children of value[x] beside its slice valueQuantity",
	"catalog":                     "a slice name on an element that is not sliced",
	"elementdefinition-de":        "children of one of two like slices",
	"familymemberhistory-genetic": "slice names on elements that are not sliced",
	"provenance-relevant-history": "a binding of the differential is missing",
}

// TestSnapshotsOfR4 makes the snapshots of R4's own profiles and extensions anew
// and compares them with those published.
func TestSnapshotsOfR4(t *testing.T) {
	m := model(t)
	same, total := 0, 0
	for url, data := range m.Conformance("StructureDefinition") {
		tree, err := fhir.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		sd := tree.Root()
		if sd.Get("derivation").Str() != "constraint" || !sd.Get("snapshot").Exists() {
			continue
		}
		total++
		out, err := m.Snapshot(sd, nil)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		again, err := fhir.Parse(out)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		got, want := outline(again.Root()), outline(sd)
		diff := ""
		for i := range max(len(got), len(want)) {
			g, w := "", ""
			if i < len(got) {
				g = got[i]
			}
			if i < len(want) {
				w = want[i]
			}
			if g != w {
				diff = fmt.Sprintf("element %d\n got %s\nwant %s", i, g, w)
				break
			}
		}
		if diff != "" {
			if peculiar[strings.TrimPrefix(url, sdBase)] == "" {
				t.Errorf("%s (%d, %d): %s", url, len(got), len(want), diff)
			}
			continue
		}
		same++
	}
	t.Logf("snapshots as published: %d of %d", same, total)
}

func TestSnapshot_bad(t *testing.T) {
	m := model(t)
	profile := func(base, elements string) string {
		return `{"resourceType":"StructureDefinition","url":"http://x/p","type":"Patient","baseDefinition":"` + base + `","derivation":"constraint","differential":{"element":[` + elements + `]}}`
	}
	const patient = "http://hl7.org/fhir/StructureDefinition/Patient"
	for _, c := range []struct {
		json string
		kind fault.Kind
	}{
		{profile("http://x/none", ""), fault.NotFound},
		{profile("http://x/p", ""), fault.Invalid}, // its own base
		{profile(patient, `{"path":"Patient.nme"}`), fault.Invalid},
		{profile(patient, `{"path":"Observation"}`), fault.Invalid},
		{profile(patient, `{"path":"Patient.deceased[x].value"}`), fault.Invalid},
		{profile(patient, `{"path":""}`), fault.Invalid},
		{profile(patient, `{"path":"Patient.active.value.x"}`), fault.NotFound},
	} {
		tree, err := fhir.Parse([]byte(c.json))
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Snapshot(tree.Root(), func(url string) ([]byte, bool) { return []byte(c.json), url == "http://x/p" })
		if !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", c.json, err, c.kind)
		}
	}
}

func TestSnapshot_ok(t *testing.T) {
	m := model(t)
	tree, err := fhir.Parse([]byte(`{"resourceType":"StructureDefinition","url":"http://x/p","type":"Observation",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation","derivation":"constraint","differential":{"element":[
		{"path":"Observation.category","slicing":{"discriminator":[{"type":"value","path":"coding.code"}],"rules":"open"}},
		{"path":"Observation.category","sliceName":"tcm","min":1,"max":"1"},
		{"path":"Observation.category.coding.code","fixedCode":"tcm"},
		{"path":"Observation.valueQuantity.unit","min":1},
		{"path":"Observation.valueString","max":"0"},
		{"path":"Observation.subject","constraint":[{"key":"x-1","severity":"error","human":"h","expression":"true"}]}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Snapshot(tree.Root(), nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := fhir.Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, l := range outline(again.Root()) {
		have[strings.TrimSpace(l)] = true
	}
	for _, want := range []string{
		"Observation.category:tcm 1..1 [CodeableConcept] http://hl7.org/fhir/ValueSet/observation-category ele-1",
		"Observation.category:tcm.coding.code 0..1 [code]  ele-1",
		"Observation.value[x] 0..1 [Quantity string]  ele-1",
		"Observation.value[x]:valueQuantity.unit 1..1 [string]  ele-1",
		"Observation.value[x]:valueString 0..0 [string]  ele-1",
		"Observation.subject 0..1 [Reference]  ele-1,x-1",
	} {
		if !have[want] {
			t.Errorf("missing %s", want)
		}
	}
}
