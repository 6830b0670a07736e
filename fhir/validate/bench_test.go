package validate

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

const benchPatient = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"1","lastUpdated":"2026-01-01T00:00:00Z"},
"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>王小明</p></div>"},
"identifier":[{"use":"official","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"NI"}]},"system":"urn:oid:2.16.156","value":"110101199001011234","period":{"start":"2020-01-01"}},
{"use":"usual","system":"http://h/his","value":"0001"}],"active":true,
"name":[{"use":"official","text":"王小明","family":"王","given":["小明"]},{"use":"usual","text":"小明"}],
"telecom":[{"system":"phone","value":"13800000000","use":"mobile","rank":1},{"system":"email","value":"a@b.cn"}],"gender":"male","birthDate":"1990-01-01","deceasedBoolean":false,
"address":[{"use":"home","type":"both","text":"某省某市","line":["一号"],"city":"某市","district":"某县","state":"某省","postalCode":"100000","country":"CN","period":{"start":"1974-12-25"}}],
"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]},
"contact":[{"relationship":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0131","code":"N"}]}],"name":{"family":"李"},"telecom":[{"system":"phone","value":"1"}],"gender":"female"}],
"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"zh-CN"}]},"preferred":true}],
"managingOrganization":{"reference":"Organization/1"}}`

const benchObservation = `{"resourceType":"Observation","id":"o","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},"status":"final",
"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}],"text":"BP"},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-01-01","performer":[{"reference":"Practitioner/1"}],
"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":60,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

// BenchmarkValidate validates resources of about 1.6 kB; parsing included.
func BenchmarkValidate(b *testing.B) {
	v := validator(b)
	for _, c := range []struct {
		name, res string
		o         Options
	}{
		{"patient/structure", benchPatient, Options{Level: Structure}},
		{"patient/full", benchPatient, Options{Level: Full}},
		{"observation/full", benchObservation, Options{Level: Full}},
		{"observation/profile", benchObservation, Options{Level: Full, Profiles: []string{"http://hl7.org/fhir/StructureDefinition/bp"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := &fhir.Parser{}
			b.ReportAllocs()
			b.SetBytes(int64(len(c.res)))
			for b.Loop() {
				tree, err := p.Parse([]byte(c.res))
				if err != nil {
					b.Fatal(err)
				}
				if is := v.Validate(context.Background(), tree.Root(), c.o); !Valid(is) {
					b.Fatal(is)
				}
			}
		})
	}
}

// BenchmarkGuideProfile validates a herbal prescription against its TCM profile.
func BenchmarkGuideProfile(b *testing.B) {
	files, _ := filepath.Glob("../../conformance/profiles/*.json")
	v := with(b)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		if err := v.Add(data); err != nil {
			b.Fatal(err)
		}
	}
	const url = "https://qihuang.health/fhir/StructureDefinition/tcm-patient"
	if p, err := v.profiles.profile(url); p == nil {
		b.Skip("no TCM patient profile:", err)
	}
	tree, err := fhir.Parse([]byte(benchPatient))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v.Validate(context.Background(), tree.Root(), Options{Level: Full, Profiles: []string{url}})
	}
}

// BenchmarkInvariants evaluates the FHIRPath rules of a Patient alone.
func BenchmarkInvariants(b *testing.B) {
	v := validator(b)
	tree, err := fhir.Parse([]byte(benchPatient))
	if err != nil {
		b.Fatal(err)
	}
	w := &walk{v: v}
	w.begin(context.Background(), tree.Root(), &Options{Level: Full})
	var run func(n fhir.Node, s *schema)
	run = func(n fhir.Node, s *schema) {
		w.evaluate(n, fhir.Node{}, s.typ.Name, s.rules.invariants)
		for c := n.First(); c.Exists(); c = c.Next() {
			m := s.members[c.Key()]
			for item := range c.Each() {
				if m != nil && m.child != nil {
					run(item, m.child)
				}
				if m != nil && len(m.rules.invariants) > 0 {
					w.evaluate(item, fhir.Node{}, m.modelType(), m.rules.invariants)
				}
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		run(tree.Root(), v.schemas["Patient"])
	}
}

// TestMemory bounds what a validator with every definition holds after work.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	v := New(m, fhirpath.NewEngine(m), terminology.New(m))
	for name, data := range examples(t) {
		tree, err := fhir.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v.Validate(context.Background(), tree.Root(), Options{Level: Full})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	mb := float64(after.HeapAlloc-before.HeapAlloc) / 1e6
	t.Logf("model, FHIRPath, terminology and validator hold %.0f MB after all R4 examples", mb)
	if mb > 150 {
		t.Errorf("more than 150 MB")
	}
	runtime.KeepAlive(v)
}
