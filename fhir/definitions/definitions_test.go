package definitions

import (
	"runtime"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
)

func model(t testing.TB) *Model {
	t.Helper()
	m, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCounts(t *testing.T) {
	m := model(t)
	count := func(typ string) int {
		n := 0
		for url, data := range m.Conformance(typ) {
			n++
			tree, err := fhir.Parse(data)
			if err != nil || tree.Root().ResourceType() != typ || tree.Root().Get("url").Str() != url {
				t.Errorf("%s %s: bad resource: %v", typ, url, err)
			}
		}
		return n
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"concrete resources", len(m.Resources()), 146},
		{"search parameters", len(m.AllSearchParameters()), 1387},
		{"compartments", len(m.compartments), 5},
		{"StructureDefinition", count("StructureDefinition"), 655},
		{"ValueSet", count("ValueSet"), 1316},
		{"CodeSystem", count("CodeSystem"), 1065},
		{"ConceptMap", count("ConceptMap"), 80},
		{"OperationDefinition", count("OperationDefinition"), 47},
		{"CompartmentDefinition", count("CompartmentDefinition"), 6},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
}

func TestSources(t *testing.T) {
	want := map[string]string{"hl7.fhir.r4.examples": "4.0.1", "hl7.fhir.r4.expansions": "4.0.1", "hl7.terminology.r4": "7.0.1"}
	for _, s := range model(t).Sources() {
		if want[s.Package] != s.Version || len(s.SHA512) != 88 {
			t.Errorf("source %+v", s)
		}
		delete(want, s.Package)
	}
	if len(want) > 0 {
		t.Errorf("missing sources %v", want)
	}
}

func TestJSONElement(t *testing.T) {
	m := model(t)
	for _, c := range []struct{ typ, member, element, code string }{
		{"Observation", "valueQuantity", "value", "Quantity"},
		{"Observation", "value", "", ""},
		{"Patient", "birthDate", "birthDate", "date"},
		{"Patient", "_birthDate", "birthDate", "date"},
		{"Patient", "_name", "", ""},
		{"Patient", "birthdate", "", ""},
		{"Patient", "id", "id", "id"},
		{"Patient", "contained", "contained", "Resource"},
		{"Patient.contact", "id", "id", "string"},
		{"Patient.contact", "modifierExtension", "modifierExtension", "Extension"},
		{"Questionnaire.item", "item", "item", "BackboneElement"},
		{"Extension", "valueBase64Binary", "value", "base64Binary"},
		{"Extension", "url", "url", "uri"},
		{"HumanName", "family", "family", "string"},
		{"Narrative", "div", "div", "xhtml"},
		{"Timing.repeat", "boundsPeriod", "bounds", "Period"},
		{"Age", "value", "value", "decimal"},
		{"Nonsense", "x", "", ""},
	} {
		el, ref := m.Type(c.typ).JSONElement(c.member)
		name, code := "", ""
		if el != nil {
			name = el.Name
		}
		if ref != nil {
			code = ref.Code
		}
		if name != c.element || code != c.code {
			t.Errorf("%s.%s: %s %s, want %s %s", c.typ, c.member, name, code, c.element, c.code)
		}
	}
}

// TestClosed proves that every name in the model leads somewhere.
func TestClosed(t *testing.T) {
	m := model(t)
	for _, name := range m.Types() {
		typ := m.Type(name)
		if typ.Base == nil && name != "Resource" && name != "Element" {
			t.Errorf("%s: no base", name)
		}
		if typ.Kind == Primitive && typ.System == "" && name != "xhtml" {
			t.Errorf("%s: no system type", name)
		}
		for i, e := range typ.Elements {
			if e.Order != i || len(e.Types) == 0 {
				t.Errorf("%s: order %d, %d types", e.Path, e.Order, len(e.Types))
			}
			for _, r := range e.Types {
				if r.Type == nil {
					t.Errorf("%s: unknown type %q", e.Path, r.Code)
				}
			}
			if e.Reference && e.Content == nil {
				t.Errorf("%s: contentReference leads nowhere", e.Path)
			}
			if e.Binding != nil && e.Binding.Strength == "required" &&
				e.Binding.ValueSet != "http://loinc.org/vs/LL379-9|4.0.1" { // a LOINC answer list, in no package
				if _, ok := m.Resource("ValueSet", e.Binding.ValueSet); !ok {
					t.Errorf("%s: value set %s is missing", e.Path, e.Binding.ValueSet)
				}
			}
		}
	}
}

func TestTypes(t *testing.T) {
	m := model(t)
	p := m.Type("Patient")
	if !p.IsA("DomainResource") || !p.IsA("Resource") || p.IsA("Element") || !m.Type("code").IsA("string") || !m.Type("Age").IsA("Quantity") {
		t.Error("IsA")
	}
	if b := p.Element("gender").Binding; b == nil || b.Strength != "required" || b.ValueSet != "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1" {
		t.Errorf("gender binding %+v", b)
	}
	if e := p.Element("deceased"); !e.Choice || len(e.Types) != 2 || !e.Summary || !e.Modifier || e.Max != 1 {
		t.Errorf("deceased %+v", e)
	}
	if e := p.Element("contact"); e.Content != m.Type("Patient.contact") || e.Max != -1 {
		t.Errorf("contact %+v", e)
	}
	if e := m.Type("Observation.component").Element("referenceRange"); !e.Reference || e.Content != m.Type("Observation.referenceRange") {
		t.Errorf("contentReference %+v", e)
	}
	if len(p.Constraints) != 5 { // dom-2, 3, 4, 5, 6
		t.Errorf("Patient constraints %v", p.Constraints)
	}
	if m.Type("positiveInt").Regex == "" || m.Type("positiveInt").System != "Integer" {
		t.Errorf("positiveInt %q %q", m.Type("positiveInt").Regex, m.Type("positiveInt").System)
	}
	if m.IsResource("DomainResource") || !m.IsResource("Patient") || m.IsResource("HumanName") {
		t.Error("IsResource")
	}
}

func TestSearchParameters(t *testing.T) {
	m := model(t)
	codes := map[string]*SearchParameter{}
	for _, p := range m.SearchParameters("Patient") {
		codes[p.Code] = p
	}
	for code, typ := range map[string]string{"_id": "token", "_text": "string", "birthdate": "date", "name": "string", "organization": "reference", "_lastUpdated": "date"} {
		if p := codes[code]; p == nil || p.Type != typ {
			t.Errorf("Patient %s: %+v", code, p)
		}
	}
	if codes["code-value-quantity"] != nil {
		t.Error("Patient has Observation's parameter")
	}
	for _, p := range m.SearchParameters("Observation") {
		if p.Code == "code-value-quantity" && (len(p.Components) != 2 || p.Components[1].Definition != "http://hl7.org/fhir/SearchParameter/Observation-value-quantity") {
			t.Errorf("composite %+v", p)
		}
	}
	c := m.Compartment("Patient")
	if c == nil || len(c.Resources["Observation"]) != 2 || c.Resources["Medication"] != nil {
		t.Errorf("compartment %+v", c)
	}
}

func TestResource(t *testing.T) {
	m := model(t)
	for _, c := range []struct {
		typ, url string
		ok       bool
	}{
		{"StructureDefinition", "http://hl7.org/fhir/StructureDefinition/bp", true},
		{"ValueSet", "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1", true},
		{"ValueSet", "http://hl7.org/fhir/ValueSet/administrative-gender|9", false},
		{"CodeSystem", "http://terminology.hl7.org/CodeSystem/v3-ActCode", true},
		{"CodeSystem", "http://snomed.info/sct/none", false},
		{"Patient", "x", false},
	} {
		if _, ok := m.Resource(c.typ, c.url); ok != c.ok {
			t.Errorf("%s %s: %v", c.typ, c.url, ok)
		}
	}
}

// TestLoadCost holds the promise of a cold load within 150 ms and 60 MB.
func TestLoadCost(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	m := model(t)
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap := float64(after.HeapAlloc-before.HeapAlloc) / 1e6
	t.Logf("load %v, heap %.1f MB, file %.2f MB", took.Round(time.Millisecond), heap, float64(len(r4))/1e6)
	if heap > 60 {
		t.Errorf("heap %.1f MB", heap)
	}
	if took > time.Second { // generous: the machine may be busy; the aim is 150 ms
		t.Errorf("load took %v", took)
	}
	runtime.KeepAlive(m)
}

func TestDecode_bad(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty": nil, "magic": []byte("PK\x03\x04aaaaaaaaaaaa"), "cut": []byte(r4[:1000]),
		"changed": append([]byte(r4[:5000]), append([]byte{r4[5000] ^ 1}, r4[5001:]...)...),
	} {
		if _, err := decode(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONElement(b *testing.B) {
	m := model(b)
	b.ReportAllocs()
	for b.Loop() {
		m.Type("Observation").JSONElement("valueQuantity")
	}
}
