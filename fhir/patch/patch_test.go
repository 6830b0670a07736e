package patch

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

var engine = sync.OnceValue(func() *fhirpath.Engine {
	m, err := definitions.Load()
	if err != nil {
		panic(err)
	}
	return fhirpath.NewEngine(m)
})

func TestJSONPatchSuite(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/suites/patch/json-patch-tests.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Comment, Error       string
		Doc, Patch, Expected json.RawMessage
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, c := range cases {
		got, err := JSON(c.Doc, c.Patch)
		switch {
		case c.Error != "" && err == nil:
			t.Errorf("%s: no error, %s", c.Comment, got)
		case c.Error == "" && (err != nil || !same(t, got, c.Expected)):
			t.Errorf("%s: %s %v", c.Comment, got, err)
		default:
			passed++
		}
	}
	shared.Figure(t, "json patch suite", passed, len(cases))
}

// TestFHIRPathPatchSuite runs the suite of HL7 forwards: input and operations give
// the output.
func TestFHIRPathPatchSuite(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/suites/patch/fhir-patch-tests.xml"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := xmlread.Parse(data, xmlread.Default())
	if err != nil {
		t.Fatal(err)
	}
	toJSON := func(e *xmlread.Element) []byte {
		if e == nil {
			return nil
		}
		out, err := xml.ElementToJSON(engine().Model(), e.Children[0])
		if err != nil {
			t.Fatal(e.Path(), err)
		}
		return out
	}
	passed, total := 0, 0
	for c := range doc.Root.All("case") {
		total++
		got, err := FHIRPath(engine(), toJSON(c.Child("input")), toJSON(c.Child("diff")))
		switch want := toJSON(c.Child("output")); {
		case want == nil && err == nil:
			t.Errorf("%s: no error, %s", c.Attr("name"), got)
		case want != nil && (err != nil || !same(t, got, want)):
			t.Errorf("%s: %v\n got %s\nwant %s", c.Attr("name"), err, got, want)
		default:
			passed++
		}
	}
	shared.Figure(t, "fhirpath patch suite", passed, total)
}

// same compares JSON values; white space inside narrative does not count.
func same(t *testing.T, a, b []byte) bool {
	canon := func(data []byte) string {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		out, _ := json.Marshal(v)
		text := strings.NewReplacer(`\n`, "", `\r`, "", `&quot;`, `\"`, `\u0026quot;`, `\"`).Replace(string(out))
		return strings.Join(strings.Fields(text), "")
	}
	return canon(a) == canon(b)
}

const patient = `{ "resourceType" : "Patient", "multipleBirthInteger" : 2,
  "name": [ {"family": "李", "given": ["a", "b"], "_given": [null, {"id": "g"}]}, {"family":"王"} ],
  "birthDate": "1990", "_birthDate": {"id":"x"}, "contact":[{"name":{"text":"k"},"gender":"male"}] }`

// TestUntouched proves that bytes beside the change stay.
func TestUntouched(t *testing.T) {
	got, err := JSON([]byte(patient), []byte(`[{"op":"replace","path":"/name/1/family","value":"赵"},{"op":"remove","path":"/birthDate"}]`))
	want := strings.NewReplacer(`"王"`, `"赵"`, `,
  "birthDate": "1990"`, ``).Replace(patient)
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

func TestJSON_bad(t *testing.T) {
	for _, c := range []struct{ patch, key, place string }{
		{`{}`, "patch-form", ""},
		{`[{"op":"add","path":"/x"}]`, "patch-form", ""},
		{`[{"op":"grow","path":"/x","value":1}]`, "patch-op", ""},
		{`[{"op":"add","path":"x","value":1}]`, "patch-pointer", ""},
		{`[{"op":"add","path":"/a~2","value":1}]`, "patch-pointer", ""},
		{`[{"op":"add","path":"/name/01","value":1}]`, "patch-index", "Patient.name[01]"},
		{`[{"op":"add","path":"/name/3","value":1}]`, "patch-index", "Patient.name[3]"},
		{`[{"op":"remove","path":"/name/-"}]`, "patch-target", "Patient.name"},
		{`[{"op":"remove","path":""}]`, "patch-root", "Patient"},
		{`[{"op":"replace","path":"/name/0/none","value":1}]`, "patch-target", "Patient.name[0].none"},
		{`[{"op":"move","from":"/name","path":"/name/0"}]`, "patch-move", "Patient.name[0]"},
		{`[{"op":"test","path":"/multipleBirthInteger","value":"2"}]`, "patch-test", "Patient.multipleBirthInteger"},
		{`[{"op":"add","path":"/name/0/family/x","value":1}]`, "patch-target", "Patient.name[0].family.x"},
	} {
		_, err := JSON([]byte(patient), []byte(c.patch))
		is := fault.IssuesOf(err)
		if !fault.Is(err, fault.Invalid) || len(is) != 1 || is[0].Key != c.key || is[0].Expression != c.place {
			t.Errorf("%s: %v %+v", c.patch, err, is)
		}
	}
}

func TestNumbersEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{{"1", "1.0", true}, {"10", "1e1", true}, {"0.10", "1E-1", true}, {"-0", "0", true}, {"1", "-1", false}, {"100", "1e3", false}, {"0.001", "1e-3", true}, {"1e99999999999", "1", false}} {
		if got := number(c.a) == number(c.b); got != c.same {
			t.Errorf("%s = %s: %v", c.a, c.b, got)
		}
	}
}

// params writes a FHIRPath Patch of one operation from name, value pairs; values
// are JSON members.
func params(parts ...string) []byte {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Parameters","parameter":[{"name":"operation","part":[`)
	for i := 0; i < len(parts); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"name":"` + parts[i] + `",` + parts[i+1] + `}`)
	}
	b.WriteString(`]}]}`)
	return []byte(b.String())
}

func op(typ, path string, rest ...string) []byte {
	return params(append([]string{"type", `"valueCode":"` + typ + `"`, "path", `"valueString":"` + path + `"`}, rest...)...)
}

func TestFHIRPath_ok(t *testing.T) {
	for _, c := range []struct {
		patch    []byte
		old, new string
	}{
		{op("replace", "Patient.name[0].given[1]", "value", `"valueString":"c"`), `["a", "b"], "_given": [null, {"id": "g"}]`, `["a", "c"], "_given": [null, null]`},
		{op("delete", "Patient.name[0].given[1]"), `["a", "b"], "_given": [null, {"id": "g"}]`, `["a"]`},
		{op("delete", "Patient.name.given[0]"), `["a", "b"], "_given": [null, {"id": "g"}]`, `["b"], "_given": [{"id": "g"}]`},
		{op("insert", "Patient.name[0].given", "index", `"valueInteger":1`, "value", `"valueString":"x"`), `["a", "b"], "_given": [null, {"id": "g"}]`, `["a", "x","b"], "_given": [null, null,{"id": "g"}]`},
		{op("move", "Patient.name[0].given", "source", `"valueInteger":1`, "destination", `"valueInteger":0`), `["a", "b"], "_given": [null, {"id": "g"}]`, `["b","a"], "_given": [{"id": "g"},null]`},
		{op("add", "Patient.birthDate", "name", `"valueString":"extension"`, "value", `"valueExtension":{"url":"u"}`), `{"id":"x"}`, `{"id":"x","extension":[{"url":"u"}]}`},
		{op("delete", "Patient.birthDate"), ",\n  \"birthDate\": \"1990\", \"_birthDate\": {\"id\":\"x\"}", ""},
		{op("replace", "Patient.multipleBirth", "value", `"valueBoolean":true`), `, "multipleBirthInteger" : 2`, ``},
		{op("replace", "Patient.contact.gender", "value", `"valueString":"female"`), `"male"`, `"female"`},
		{op("insert", "Patient.telecom", "index", `"valueInteger":0`, "value", `"valueContactPoint":{"value":"1"}`), `}] }`, `}],"telecom":[{"value":"1"}] }`},
		{op("add", "Patient", "name", `"valueString":"contained"`, "value", `"resource":{"resourceType":"Organization"}`), `}] }`, `}],"contained":[{"resourceType":"Organization"}] }`},
		{op("add", "Patient", "name", `"valueString":"deceased[x]"`, "value", `"valueDateTime":"2020"`), `}] }`, `}],"deceasedDateTime":"2020" }`},
		{op("add", "Patient", "name", `"valueString":"communication"`, "value", `"part":[{"name":"preferred","valueBoolean":true},{"name":"language","part":[{"name":"coding","valueCoding":{"code":"a"}},{"name":"coding","valueCoding":{"code":"b"}}]}]`),
			`}] }`, `}],"communication":[{"preferred":true,"language":{"coding":[{"code":"a"},{"code":"b"}]}}] }`},
		{op("delete", "Patient.photo"), "", ""},
	} {
		got, err := FHIRPath(engine(), []byte(patient), c.patch)
		want := strings.Replace(patient, c.old, c.new, 1)
		if strings.Contains(string(c.patch), "multipleBirth") {
			want = strings.Replace(want, `}] }`, `}],"multipleBirthBoolean":true }`, 1)
		}
		if err != nil || string(got) != want {
			t.Errorf("%s: %v %+v\n got %s\nwant %s", c.patch, err, fault.IssuesOf(err), got, want)
		}
	}
}

func TestFHIRPath_bad(t *testing.T) {
	for _, c := range []struct {
		patch []byte
		key   string
	}{
		{[]byte(`{"resourceType":"Patient"}`), "patch-form"},
		{params("type", `"valueCode":"add"`), "patch-form"},
		{op("grow", "Patient"), "patch-op"},
		{op("replace", "Patient.name", "value", `"valueHumanName":{}`), "patch-target"},
		{op("replace", "Patient.photo", "value", `"valueAttachment":{}`), "patch-target"},
		{op("replace", "Patient", "value", `"valueString":"x"`), "patch-target"},
		{op("replace", "'x'", "value", `"valueString":"x"`), "patch-target"},
		{op("delete", "Patient.name"), "patch-target"},
		{op("add", "Patient", "name", `"valueString":"birthDate"`, "value", `"valueDate":"2000"`), "patch-exists"},
		{op("add", "Patient", "name", `"valueString":"multipleBirth"`, "value", `"valueBoolean":true`), "patch-exists"},
		{op("add", "Patient", "name", `"valueString":"nme"`, "value", `"valueDate":"2000"`), "unknown-property"},
		{op("add", "Patient", "name", `"valueString":"photo"`, "value", `"valueHumanName":{}`), "wrong-type"},
		{op("add", "Patient", "name", `"valueString":"active"`, "value", `"valueString":"yes"`), "wrong-type"},
		{op("insert", "Patient.name", "index", `"valueInteger":3`, "value", `"valueHumanName":{}`), "patch-index"},
		{op("move", "Patient.name", "source", `"valueInteger":0`, "destination", `"valueInteger":2`), "patch-index"},
		{op("delete", "Patient.where(birthDate < today())"), "patch-clock"},
		{op("move", "Patient.name.where(family='王')", "source", `"valueInteger":0`, "destination", `"valueInteger":0`), "patch-target"},
	} {
		_, err := FHIRPath(engine(), []byte(patient), c.patch)
		is := fault.IssuesOf(err)
		if !fault.Is(err, fault.Invalid) || len(is) != 1 || is[0].Key != c.key {
			t.Errorf("%s: %v %+v", c.patch, err, is)
		}
	}
}

func TestPatcher(t *testing.T) {
	p := New(engine())
	xmlPatch, err := xml.FromJSON(engine().Model(), op("delete", "Patient.birthDate"))
	if err != nil {
		t.Fatal(err)
	}
	for media, body := range map[string][]byte{
		"application/json-patch+json":         []byte(`[{"op":"remove","path":"/birthDate"},{"op":"remove","path":"/_birthDate"}]`),
		"application/fhir+json; charset=utf8": op("delete", "Patient.birthDate"),
		"application/fhir+xml":                xmlPatch,
	} {
		got, err := p.Patch([]byte(patient), media, body)
		if err != nil || bytes.Contains(got, []byte("irthDate")) {
			t.Errorf("%s: %s %v", media, got, err)
		}
	}
	if _, err := p.Patch([]byte(patient), "text/plain", nil); !fault.Is(err, fault.Unsupported) {
		t.Error(err)
	}
}

// TestTooCostly proves that a small patch cannot grow a document without bound.
func TestTooCostly(t *testing.T) {
	var b strings.Builder
	b.WriteString(`[{"op":"add","path":"/a","value":["` + strings.Repeat("x", 1000) + `"]}`)
	for range 60 {
		b.WriteString(`,{"op":"copy","from":"/a","path":"/a/-"}`)
	}
	b.WriteString("]")
	if _, err := JSON([]byte("{}"), []byte(b.String())); !fault.Is(err, fault.TooCostly) {
		t.Error(err)
	}
}

// Fuzz targets: never panic, and what comes out is JSON.

func FuzzJSON(f *testing.F) {
	f.Add([]byte(patient), []byte(`[{"op":"move","from":"/name/0/given/0","path":"/name/1/x"},{"op":"test","path":"/name","value":[]}]`))
	f.Add([]byte(`{"a":[1,2]}`), []byte(`[{"op":"copy","from":"/a","path":"/a/-"},{"op":"remove","path":"/a/0"}]`))
	f.Fuzz(func(t *testing.T, doc, patch []byte) {
		if out, err := JSON(doc, patch); err == nil {
			if _, err := fhir.Parse(out); err != nil {
				t.Fatalf("%s + %s = %s: %v", doc, patch, out, err)
			}
		}
	})
}

func FuzzFHIRPath(f *testing.F) {
	f.Add([]byte(patient), op("add", "Patient.name[0].given[0]", "name", `"valueString":"extension"`, "value", `"valueExtension":{"url":"u"}`))
	f.Add([]byte(patient), op("move", "Patient.name", "source", `"valueInteger":1`, "destination", `"valueInteger":0`))
	f.Add([]byte(patient), op("insert", "Patient.name[0].given", "index", `"valueInteger":1`, "value", `"valueString":"x"`))
	f.Fuzz(func(t *testing.T, doc, patch []byte) {
		if out, err := FHIRPath(engine(), doc, patch); err == nil {
			if _, err := fhir.Parse(out); err != nil {
				t.Fatalf("%s + %s = %s: %v", doc, patch, out, err)
			}
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	patch := []byte(`[{"op":"replace","path":"/name/1/family","value":"赵"},{"op":"add","path":"/active","value":true}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := JSON([]byte(patient), patch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFHIRPath(b *testing.B) {
	patch := op("replace", "Patient.name[1].family", "value", `"valueString":"赵"`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FHIRPath(engine(), []byte(patient), patch); err != nil {
			b.Fatal(err)
		}
	}
}
