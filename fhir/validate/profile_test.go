package validate

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

// definition makes a StructureDefinition on typ from differential elements.
func definition(name, typ, base string, elements ...string) string {
	if base == "" {
		base = "http://hl7.org/fhir/StructureDefinition/" + typ
	}
	return `{"resourceType":"StructureDefinition","url":"http://t/` + name + `","type":"` + typ + `","kind":"resource","baseDefinition":"` + base +
		`","derivation":"constraint","differential":{"element":[` + strings.Join(elements, ",") + `]}}`
}

// with returns a validator of its own that knows the definitions.
func with(t testing.TB, definitionsJSON ...string) *Validator {
	t.Helper()
	v := validator(t)
	own := New(v.model, v.fp, v.terms)
	for _, d := range definitionsJSON {
		if err := own.Add([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	return own
}

func patient(members string) string {
	return `{"resourceType":"Patient","text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}` + members + `}`
}

func TestProfile(t *testing.T) {
	slicedBy := func(kind, path, rules string) string {
		return `{"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"` + kind + `","path":"` + path + `"}],"rules":"` + rules + `"}}`
	}
	national := `{"id":"Patient.identifier:n","path":"Patient.identifier","sliceName":"n","min":1,"max":"1"}`
	fixedSystem := `{"id":"Patient.identifier:n.system","path":"Patient.identifier.system","min":1,"fixedUri":"http://n"}`
	digits := `{"id":"Patient.identifier:n.value","path":"Patient.identifier.value","min":1,"constraint":[{"key":"n-1","severity":"error","human":"18 characters","expression":"length() = 18"}]}`
	ok18 := `,"identifier":[{"system":"http://n","value":"123456789012345678"}]`
	for _, c := range []struct {
		name     string
		elements []string
		members  string
		want     string
	}{
		{"min_ok", []string{`{"id":"Patient.name","path":"Patient.name","min":1}`}, `,"name":[{"text":"x"}]`, ""},
		{"min_bad", []string{`{"id":"Patient.name","path":"Patient.name","min":1}`}, ``, "profile-min@Patient.name"},
		{"max_bad", []string{`{"id":"Patient.name","path":"Patient.name","max":"1"}`}, `,"name":[{"text":"x"},{"text":"y"}]`, "profile-max@Patient.name"},
		{"prohibited_bad", []string{`{"id":"Patient.photo","path":"Patient.photo","max":"0"}`}, `,"photo":[{"title":"x"}]`, "profile-max@Patient.photo"},
		{"nested_min_bad", []string{`{"id":"Patient.name.family","path":"Patient.name.family","min":1}`}, `,"name":[{"family":"x"},{"text":"y"}]`, "profile-min@Patient.name[1].family"},
		{"nested_absent_ok", []string{`{"id":"Patient.name.family","path":"Patient.name.family","min":1}`}, ``, ""},
		{"fixed_ok", []string{`{"id":"Patient.gender","path":"Patient.gender","fixedCode":"male"}`}, `,"gender":"male"`, ""},
		{"fixed_bad", []string{`{"id":"Patient.gender","path":"Patient.gender","fixedCode":"male"}`}, `,"gender":"female"`, "fixed-value@Patient.gender"},
		{"pattern_ok", []string{`{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","patternCodeableConcept":{"coding":[{"system":"http://s","code":"M"}]}}`},
			`,"maritalStatus":{"coding":[{"system":"http://o","code":"x"},{"system":"http://s","code":"M","display":"d"}]}`, ""},
		{"pattern_bad", []string{`{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","patternCodeableConcept":{"coding":[{"system":"http://s","code":"M"}]}}`},
			`,"maritalStatus":{"coding":[{"system":"http://s","code":"S"}]}`, "pattern-value@Patient.maritalStatus"},
		{"choice_type_bad", []string{`{"id":"Patient.deceased[x]","path":"Patient.deceased[x]","type":[{"code":"boolean"}]}`}, `,"deceasedDateTime":"2020"`, "profile-type@Patient.deceased"},
		{"choice_slice_bad", []string{`{"id":"Patient.deceased[x]:deceasedBoolean","path":"Patient.deceased[x]","sliceName":"deceasedBoolean","fixedBoolean":false}`}, `,"deceasedBoolean":true`, "fixed-value@Patient.deceased"},
		{"choice_short_bad", []string{`{"path":"Patient.deceasedBoolean","fixedBoolean":false}`}, `,"deceasedBoolean":true`, "fixed-value@Patient.deceased"},
		{"choice_short_other_type_bad", []string{`{"path":"Patient.deceasedBoolean","short":"only this"}`}, `,"deceasedDateTime":"2020"`, "profile-type@Patient.deceased"},
		{"choice_short_two_types_ok", []string{`{"path":"Patient.deceasedBoolean","short":"this"}`, `{"path":"Patient.deceasedDateTime","short":"or this"}`}, `,"deceasedDateTime":"2020"`, ""},
		{"choice_short_in_slicing_ok", []string{`{"path":"Patient.deceased[x]","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"open"}}`, `{"path":"Patient.deceasedBoolean","fixedBoolean":false}`}, `,"deceasedDateTime":"2020"`, ""},
		{"length_bad", []string{`{"id":"Patient.language","path":"Patient.language","maxLength":2}`}, `,"language":"zh-CN"`, "too-long@Patient.language"},
		{"range_bad", []string{`{"id":"Patient.birthDate","path":"Patient.birthDate","minValueDate":"1900-01-01"}`}, `,"birthDate":"1899-12-31"`, "out-of-range@Patient.birthDate"},
		{"rule_bad", []string{`{"id":"Patient","path":"Patient","constraint":[{"key":"p-1","severity":"error","human":"needs a name","expression":"name.exists()"}]}`}, ``, "p-1@Patient"},
		{"binding_bad", []string{`{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/marital-status"}}`},
			`,"maritalStatus":{"text":"x"}`, "binding-no-code@Patient.maritalStatus"},
		{"value_slice_ok", []string{slicedBy("value", "system", "open"), national, fixedSystem, digits}, ok18, ""},
		{"value_slice_min_bad", []string{slicedBy("value", "system", "open"), national, fixedSystem}, `,"identifier":[{"system":"http://o","value":"1"}]`, "profile-min@Patient.identifier"},
		{"value_slice_rule_bad", []string{slicedBy("value", "system", "open"), national, fixedSystem, digits}, `,"identifier":[{"system":"http://o"},{"system":"http://n","value":"1"}]`, "n-1@Patient.identifier[1].value"},
		{"value_slice_max_bad", []string{slicedBy("value", "system", "open"), national, fixedSystem}, `,"identifier":[{"system":"http://n"},{"system":"http://n"}]`, "profile-max@Patient.identifier"},
		{"closed_bad", []string{slicedBy("value", "system", "closed"), national, fixedSystem}, `,"identifier":[{"system":"http://n"},{"system":"http://o"}]`, "slice-closed@Patient.identifier[1]"},
		{"open_at_end_bad", []string{slicedBy("value", "system", "openAtEnd"), national, fixedSystem}, `,"identifier":[{"system":"http://o"},{"system":"http://n"}]`, "slice-order@Patient.identifier[1]"},
		{"pattern_slice_bad", []string{slicedBy("pattern", "type", "open"), national, `{"id":"Patient.identifier:n.type","path":"Patient.identifier.type","patternCodeableConcept":{"text":"t"}}`},
			`,"identifier":[{"type":{"text":"u"}}]`, "profile-min@Patient.identifier"},
		{"exists_slice_ok", []string{slicedBy("exists", "period", "open"), national, `{"id":"Patient.identifier:n.period","path":"Patient.identifier.period","min":1}`}, `,"identifier":[{"value":"x"},{"period":{"start":"2020"}}]`, ""},
		{"exists_slice_bad", []string{slicedBy("exists", "period", "open"), national, `{"id":"Patient.identifier:n.period","path":"Patient.identifier.period","min":1}`}, `,"identifier":[{"value":"x"}]`, "profile-min@Patient.identifier"},
		{"no_ids_bad", []string{`{"path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}}`,
			`{"path":"Patient.identifier","sliceName":"n","min":1}`, `{"path":"Patient.identifier.system","min":1,"fixedUri":"http://n"}`}, `,"identifier":[{"system":"http://o"}]`, "profile-min@Patient.identifier"},
	} {
		v := with(t, definition("p", "Patient", "", c.elements...))
		if got := errorsOf(check(t, v, patient(c.members), Options{Level: Full, Profiles: []string{"http://t/p"}})); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestProfileOnProfile(t *testing.T) {
	v := with(t,
		definition("a", "Patient", "", `{"id":"Patient.identifier","path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"rules":"open"}}`,
			`{"id":"Patient.identifier:n","path":"Patient.identifier","sliceName":"n","min":0,"max":"1"}`, `{"id":"Patient.identifier:n.system","path":"Patient.identifier.system","fixedUri":"http://n"}`),
		definition("b", "Patient", "http://t/a", `{"id":"Patient.identifier:n","path":"Patient.identifier","sliceName":"n","min":1}`),
		definition("loop1", "Patient", "http://t/loop2"), definition("loop2", "Patient", "http://t/loop1"))
	for url, want := range map[string]string{"http://t/a": "", "http://t/b": "profile-min@Patient.identifier", "http://t/none": "profile-unknown@Patient", "http://t/loop1": "profile-unknown@Patient"} {
		if got := errorsOf(check(t, v, patient(``), Options{Level: Full, Profiles: []string{url}})); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	if got := errorsOf(check(t, v, patient(`,"meta":{"profile":["http://t/b"]}`), Options{Level: Full})); got != "profile-min@Patient.identifier" {
		t.Errorf("meta.profile: %q", got)
	}
	if got := errorsOf(check(t, v, `{"resourceType":"Group","type":"person","actual":true}`, Options{Level: Full, Profiles: []string{"http://t/a"}})); got != "profile-type@Group" {
		t.Errorf("profile on another type: %q", got)
	}
}

func TestAddRemove(t *testing.T) {
	v := with(t)
	o := Options{Level: Full, Profiles: []string{"http://t/a"}}
	named := func(min string) []byte {
		return []byte(strings.Replace(definition("a", "Patient", "", `{"id":"Patient.name","path":"Patient.name","min":`+min+`}`), `"url"`, `"id":"one","url"`, 1))
	}
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return nil }, "profile-unknown@Patient"},
		{func() error { return v.Add(named("0")) }, ""},
		{func() error { return v.Add(named("1")) }, "profile-min@Patient.name"},
		{func() error { v.Remove("StructureDefinition", "one"); return nil }, "profile-unknown@Patient"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := errorsOf(check(t, v, patient(``), o)); got != step.want {
			t.Errorf("%q, want %q", got, step.want)
		}
	}
}

func TestTypeAndReferenceSlices(t *testing.T) {
	v := with(t, definition("g", "Group", "",
		`{"id":"Group.characteristic","path":"Group.characteristic","slicing":{"discriminator":[{"type":"type","path":"value"}],"rules":"open"}}`,
		`{"id":"Group.characteristic:b","path":"Group.characteristic","sliceName":"b","min":1,"max":"1"}`,
		`{"id":"Group.characteristic:b.value[x]","path":"Group.characteristic.value[x]","type":[{"code":"boolean"}]}`),
		definition("c", "Composition", "",
			`{"id":"Composition.section.entry","path":"Composition.section.entry","slicing":{"discriminator":[{"type":"type","path":"resolve()"}],"rules":"closed"}}`,
			`{"id":"Composition.section.entry:p","path":"Composition.section.entry","sliceName":"p","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Procedure"]}]}`))
	group := func(value string) string {
		return `{"resourceType":"Group","type":"person","actual":true,"characteristic":[{"code":{"text":"x"},"exclude":false,` + value + `}]}`
	}
	for _, c := range []struct{ name, profile, res, want string }{
		{"type_ok", "http://t/g", group(`"valueBoolean":true`), ""},
		{"type_bad", "http://t/g", group(`"valueCodeableConcept":{"text":"x"}`), "profile-min@Group.characteristic"},
		{"resolve_bad", "http://t/c", `{"resourceType":"Composition","status":"final","type":{"text":"x"},"date":"2020","author":[{"display":"x"}],"title":"t",` +
			`"contained":[{"resourceType":"Basic","id":"b","code":{"text":"x"}}],"section":[{"title":"s","entry":[{"reference":"#b"}]}]}`, "slice-closed@Composition.section[0].entry[0]"},
	} {
		if got := errorsOf(check(t, v, c.res, Options{Level: Full, Profiles: []string{c.profile}})); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestExtensions(t *testing.T) {
	ext := `{"resourceType":"StructureDefinition","url":"http://t/ext","type":"Extension","kind":"complex-type","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension","derivation":"constraint",
"context":[{"type":"element","expression":"Patient.name"}],"differential":{"element":[{"id":"Extension.url","path":"Extension.url","fixedUri":"http://t/ext"},
{"id":"Extension.value[x]","path":"Extension.value[x]","min":1,"type":[{"code":"code"}]}]}}`
	v := with(t, ext, definition("p", "Patient", "",
		`{"id":"Patient.name.extension:e","path":"Patient.name.extension","sliceName":"e","min":1,"type":[{"code":"Extension","profile":["http://t/ext"]}]}`))
	name := func(e string) string { return patient(`,"name":[{"text":"x","extension":[` + e + `]}]`) }
	for _, c := range []struct{ name, res, want string }{
		{"ok", name(`{"url":"http://t/ext","valueCode":"x"}`), ""},
		{"type_bad", name(`{"url":"http://t/ext","valueString":"x"}`), "profile-type@Patient.name[0].extension[0].value"},
		{"context_bad", patient(`,"name":[{"extension":[{"url":"http://t/ext","valueCode":"x"}]}],"extension":[{"url":"http://t/ext","valueCode":"x"}]`), "extension-context@Patient.extension[0].url"},
		{"relative_bad", name(`{"url":"http://t/ext","valueCode":"x"},{"url":"ext","valueCode":"x"}`), "extension-url@Patient.name[0].extension[1].url"},
		{"missing_bad", patient(`,"name":[{"text":"x"}]`), "profile-min@Patient.name[0].extension"},
		{"unknown_ok", name(`{"url":"http://t/ext","valueCode":"x"},{"url":"http://t/other","valueCode":"x"}`), ""},
		{"core_bad", name(`{"url":"http://t/ext","valueCode":"x"},{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"text":"x"}}`), "extension-context@Patient.name[0].extension[1].url"},
	} {
		if got := errorsOf(check(t, v, c.res, Options{Level: Full, Profiles: []string{"http://t/p"}})); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestCoreProfiles builds every profile of the base definitions.
func TestCoreProfiles(t *testing.T) {
	v := validator(t)
	n := 0
	for _, url := range v.model.Canonicals("StructureDefinition") {
		e := v.profiles.entry(url)
		if h := e.read(); h.derivation != "constraint" || v.model.Type(h.typ) == nil {
			continue
		}
		n++
		if p, err := v.profiles.profile(url); err != nil || p == nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	t.Logf("%d profiles and extensions of R4 compiled", n)
}

// TestGuideProfiles builds every profile of the TCM guide.
func TestGuideProfiles(t *testing.T) {
	files, _ := filepath.Glob("../../conformance/profiles/*.json")
	if len(files) == 0 {
		t.Skip("no profiles in conformance/profiles")
	}
	v := with(t)
	var urls []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Add(data); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	for url := range *v.profiles.known.Load() {
		if strings.HasPrefix(url, "https://qihuang.health/") {
			urls = append(urls, url)
		}
	}
	for _, url := range urls {
		if p, err := v.profiles.profile(url); err != nil || p == nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	t.Logf("%d profiles and extensions of the guide compiled", len(urls))
}

func TestConformsToItself(t *testing.T) {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	v := New(m, fhirpath.NewEngine(m), terminology.New(m))
	if err := v.Add([]byte(definition("self", "Patient", "", `{"id":"Patient","path":"Patient","constraint":[{"key":"s-1","severity":"error","human":"loop","expression":"conformsTo('http://t/self')"}]}`))); err != nil {
		t.Fatal(err)
	}
	check(t, v, patient(``), Options{Level: Full, Profiles: []string{"http://t/self"}})
}

// TestConcurrent validates while profiles come and go (run with -race).
func TestConcurrent(t *testing.T) {
	v := with(t, definition("a", "Patient", "", `{"id":"Patient.name","path":"Patient.name","min":1}`))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				if got := errorsOf(check(t, v, patient(``), Options{Level: Full, Profiles: []string{"http://t/a"}})); got != "profile-min@Patient.name" {
					t.Error(got)
				}
			}
		})
	}
	group.Go(func() {
		for range 20 {
			if err := v.Add([]byte(definition("b", "Patient", "http://t/a"))); err != nil {
				t.Error(err)
			}
			v.Remove("StructureDefinition", "http://t/b")
		}
	})
	group.Wait()
}
