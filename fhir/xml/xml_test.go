package xml

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/fetch"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var model = sync.OnceValue(func() *definitions.Model {
	m, err := definitions.Load()
	if err != nil {
		panic(err)
	}
	return m
})

const head = `<Patient xmlns="http://hl7.org/fhir">`

// TestBothWays holds pairs that convert into each other exactly.
func TestBothWays(t *testing.T) {
	for _, c := range []struct{ json, xml string }{
		{`{"resourceType":"Patient"}`, `<Patient xmlns="http://hl7.org/fhir"/>`},
		{`{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"李","given":["时","珍"]}]}`,
			head + `<id value="a"/><active value="true"/><name><family value="李"/><given value="时"/><given value="珍"/></name></Patient>`},
		{`{"resourceType":"Patient","name":[{"id":"n1","given":["a",null],"_given":[null,{"id":"g","extension":[{"url":"u","valueString":"x"}]}]}]}`,
			head + `<name id="n1"><given value="a"/><given id="g"><extension url="u"><valueString value="x"/></extension></given></name></Patient>`},
		{`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"u","valueBoolean":false}]}}`,
			head + `<birthDate><extension url="u"><valueBoolean value="false"/></extension></birthDate></Patient>`},
		{`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">\n a &amp; <b>中</b><br/></div>"},"contained":[{"resourceType":"Organization","id":"o"}]}`,
			head + "<text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\">\n a &amp; <b>中</b><br/></div></text><contained><Organization><id value=\"o\"/></Organization></contained></Patient>"},
		{`{"resourceType":"Observation","status":"final","code":{"text":"a\nb\t\"<&>"},"valueQuantity":{"value":1.00,"unit":"g"}}`,
			`<Observation xmlns="http://hl7.org/fhir"><status value="final"/><code><text value="a&#10;b&#9;&quot;&lt;&amp;&gt;"/></code><valueQuantity><value value="1.00"/><unit value="g"/></valueQuantity></Observation>`},
		{`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"x"},"request":{"method":"PUT","url":"Patient/x"}}]}`,
			`<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/><entry><resource><Patient><id value="x"/></Patient></resource><request><method value="PUT"/><url value="Patient/x"/></request></entry></Bundle>`},
		{`{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"2","type":"string"}]}]}`,
			`<Questionnaire xmlns="http://hl7.org/fhir"><status value="draft"/><item><linkId value="1"/><type value="group"/><item><linkId value="2"/><type value="string"/></item></item></Questionnaire>`},
	} {
		x, err := FromJSON(model(), []byte(c.json))
		if got := strings.TrimPrefix(string(x), Declaration); err != nil || got != c.xml {
			t.Errorf("%s\n got %s %v\nwant %s", c.json, got, err, c.xml)
		}
		j, err := ToJSON(model(), []byte(c.xml))
		if err != nil || string(j) != c.json {
			t.Errorf("%s\n got %s %v\nwant %s", c.xml, j, err, c.json)
		}
	}
}

// TestToJSON_ok holds XML that FHIR allows but we do not write.
func TestToJSON_ok(t *testing.T) {
	for _, c := range []struct{ xml, json string }{
		{`<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text><f:status value="generated"/><h:div>a<h:i x="1">b</h:i> c</h:div></f:text></f:Patient>`,
			`{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a<i x=\"1\">b</i> c</div>"}}`},
		{`<?xml version="1.0"?><!-- c --><Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b">
			<active value=" true "/><!-- c -->
		</Patient>`, `{"resourceType":"Patient","active":true}`},
	} {
		j, err := ToJSON(model(), []byte(c.xml))
		if err != nil || string(j) != c.json {
			t.Errorf("%s\n got %s %v\nwant %s", c.xml, j, err, c.json)
		}
	}
}

func TestToJSON_bad(t *testing.T) {
	for _, c := range []struct{ xml, key, expr string }{
		{`<Patient/>`, "xml-namespace", "Patient"},
		{`<Resource xmlns="http://hl7.org/fhir"/>`, "unknown-type", "Resource"},
		{head + `<nme/></Patient>`, "unknown-property", "Patient.nme"},
		{head + `<name/><active value="true"/></Patient>`, "xml-order", "Patient.active"},
		{head + `<active value="true"/><active value="true"/></Patient>`, "max-cardinality", "Patient.active"},
		{head + `<active value="yes"/></Patient>`, "bad-boolean", "Patient.active"},
		{head + `<active/></Patient>`, "ele-1", "Patient.active"},
		{head + `<multipleBirthInteger value="01"/></Patient>`, "bad-number", "Patient.multipleBirthInteger"},
		{head + `<name><family value="x" lang="zh"/></name></Patient>`, "unknown-property", "Patient.name[0].family"},
		{head + `<name>text</name></Patient>`, "xml-text", "Patient.name[0]"},
		{head + `<contained/></Patient>`, "xml-resource", "Patient.contained[0]"},
		{head + `<name><given value="a"/><given value="b"><x/></given></name></Patient>`, "unknown-property", "Patient.name[0].given[1].x"},
		{head, "xml-syntax", ""},
	} {
		_, err := ToJSON(model(), []byte(c.xml))
		is := fault.IssuesOf(err)
		if len(is) != 1 || is[0].Key != c.key || is[0].Expression != c.expr || is[0].Line == 0 {
			t.Errorf("%s: %+v, want %s at %s", c.xml, is, c.key, c.expr)
		}
	}
}

func TestFromJSON_bad(t *testing.T) {
	for _, c := range []struct{ json, key, expr string }{
		{`{"resourceType":"Nope"}`, "unknown-type", ""},
		{`[]`, "wrong-kind", ""},
		{`{"resourceType":"Patient","nme":1}`, "unknown-property", "Patient"},
		{`{"resourceType":"Patient","active":"true"}`, "wrong-kind", "Patient.active"},
		{`{"resourceType":"Patient","active":[true]}`, "wrong-kind", "Patient"},
		{`{"resourceType":"Patient","name":{"family":"x"}}`, "wrong-kind", "Patient"},
		{`{"resourceType":"Patient","name":[{"family":"x"},{"family":"y"},{"family":{"a":1}}]}`, "wrong-kind", "Patient.name[2].family"},
		{`{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}`, "choice", "Patient"},
		{`{"resourceType":"Patient","gender":"a\u0001"}`, "xml-char", "Patient.gender"},
		{`{"resourceType":"Patient","text":{"div":"<div><script"}}`, "narrative", "Patient.text.div"},
		{`{"resourceType":"Patient","text":{"div":"<div/><x/>"}}`, "narrative", "Patient.text.div"},
		{`{"resourceType":"Patient","active":true,"active":true}`, "duplicate-property", "Patient"},
		{`{"resourceType":"Patient"`, "json-syntax", ""},
	} {
		_, err := FromJSON(model(), []byte(c.json))
		is := fault.IssuesOf(err)
		if len(is) != 1 || is[0].Key != c.key || is[0].Expression != c.expr || is[0].Line == 0 {
			t.Errorf("%s: %+v, want %s at %s", c.json, is, c.key, c.expr)
		}
	}
}

func TestConvert(t *testing.T) {
	const compact = `{"resourceType":"Patient","text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a</p> b</div>"},"name":[{"given":["x"]}],"contact":[{}]}`
	const pretty = Declaration + `
<Patient xmlns="http://hl7.org/fhir">
  <text>
    <status value="empty"/>
    <div xmlns="http://www.w3.org/1999/xhtml"><p>a</p> b</div>
  </text>
  <name>
    <given value="x"/>
  </name>
  <contact/>
</Patient>
`
	x, err := Convert(model(), []byte(compact), FormatXML, true)
	if err != nil || string(x) != pretty {
		t.Errorf("%v\n%s", err, x)
	}
	again, err := Convert(model(), x, FormatXML, true)
	if err != nil || !bytes.Equal(again, x) {
		t.Errorf("%v\n%s", err, again)
	}
	j, err := Convert(model(), x, FormatJSON, false)
	if err != nil || string(j) != compact {
		t.Errorf("%v\n%s", err, j)
	}
	if j, err = Convert(model(), j, FormatJSON, true); err != nil || !bytes.HasPrefix(j, []byte("{\n  \"resourceType\"")) {
		t.Errorf("%v\n%s", err, j)
	}
	if _, err := Convert(model(), []byte(`{"resourceType":"Patient","x":1}`), FormatJSON, false); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := Convert(model(), x, "ttl", false); !fault.Is(err, fault.Unsupported) {
		t.Error(err)
	}
}

// Narrative that XML cannot hold as it is becomes what means the same.
func TestDiv(t *testing.T) {
	x, err := FromJSON(model(), []byte(`{"resourceType":"Patient","text":{"div":"<div>a&nbsp;b&amp;</div>"}}`))
	want := head + "<text><div xmlns=\"http://www.w3.org/1999/xhtml\">a\u00a0b&amp;</div></text></Patient>"
	if got := strings.TrimPrefix(string(x), Declaration); err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
}

// examples are all R4 examples; the package comes from the cache of go generate
// ./fhir/definitions.
var examples = fetch.Package{Name: "hl7.fhir.r4.examples", Version: "4.0.1"}

// TestExamples converts every R4 example to XML and back and compares bytes.
func TestExamples(t *testing.T) {
	dir, ok := examples.Cached()
	if !ok {
		t.Skip("R4 examples absent: run go generate ./fhir/definitions")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*-*.json"))
	if err != nil {
		t.Fatal(err)
	}
	same, total, size := 0, 0, 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if testing.Short() && len(data) > 1<<20 {
			continue
		}
		var want bytes.Buffer
		if err := json.Compact(&want, data); err != nil {
			t.Fatal(err)
		}
		total, size = total+1, size+len(data)
		x, err := FromJSON(model(), data)
		if err != nil {
			t.Errorf("%s: to XML: %v %+v", filepath.Base(f), err, fault.IssuesOf(err))
			continue
		}
		j, err := ToJSON(model(), x)
		if err != nil {
			t.Errorf("%s: to JSON: %v %+v", filepath.Base(f), err, fault.IssuesOf(err))
			continue
		}
		if !bytes.Equal(j, want.Bytes()) && !equalValue(t, j, data) {
			i := 0
			for i < min(len(j), want.Len()) && j[i] == want.Bytes()[i] {
				i++
			}
			t.Errorf("%s: differs at %d:\n got %.120s\nwant %.120s", filepath.Base(f), i, j[max(0, i-40):], want.Bytes()[max(0, i-40):])
			continue
		}
		same++
	}
	t.Logf("%.0f MB", float64(size)/1e6)
	shared.Figure(t, "R4 examples JSON-XML-JSON", same, total)
}

// equalValue compares as JSON values, numbers by their text: member order and
// escapes in strings may differ.
func equalValue(t *testing.T, a, b []byte) bool {
	canon := func(data []byte) []byte {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		out, _ := json.Marshal(v)
		return out
	}
	return bytes.Equal(canon(a), canon(b))
}

func FuzzToJSON(f *testing.F) {
	f.Add([]byte(head + `<name id="a"><given value="x"/></name></Patient>`))
	f.Add([]byte(head + `<text><div xmlns="http://www.w3.org/1999/xhtml"/></text></Patient>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := ToJSON(model(), data)
		if err != nil {
			return
		}
		x, err := FromJSON(model(), j)
		if err != nil {
			t.Fatalf("%s: %v", j, err)
		}
		again, err := ToJSON(model(), x)
		if err != nil || !bytes.Equal(again, j) {
			t.Fatalf("%s became %s: %v", j, again, err)
		}
	})
}

func FuzzFromJSON(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}`))
	f.Add([]byte(`{"resourceType":"Patient","text":{"div":"<div>&nbsp;</div>"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := FromJSON(model(), data)
		if err != nil {
			return
		}
		if _, err := ToJSON(model(), x); err != nil && !strings.Contains(err.Error(), "ele-1") && fault.IssuesOf(err)[0].Key != "ele-1" {
			t.Fatalf("%s: %v %+v", x, err, fault.IssuesOf(err))
		}
	})
}

func benchmark(b *testing.B, convert func([]byte) ([]byte, error), data []byte) {
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := convert(data); err != nil {
			b.Fatal(err)
		}
	}
}

func sample(b *testing.B) []byte {
	dir, ok := examples.Cached()
	if !ok {
		b.Skip("R4 examples absent: run go generate ./fhir/definitions")
	}
	data, err := os.ReadFile(filepath.Join(dir, "Patient-example.json"))
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func BenchmarkFromJSON(b *testing.B) {
	benchmark(b, func(d []byte) ([]byte, error) { return FromJSON(model(), d) }, sample(b))
}

func BenchmarkToJSON(b *testing.B) {
	x, err := FromJSON(model(), sample(b))
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, func(d []byte) ([]byte, error) { return ToJSON(model(), d) }, x)
}

func TestToJSONAnyOrder(t *testing.T) {
	src := []byte(`<Patient xmlns="http://hl7.org/fhir"><name><family value="a"/></name><id value="1"/><name><family value="b"/></name></Patient>`)
	if _, err := ToJSON(model(), src); err == nil {
		t.Error("ToJSON took elements out of order")
	}
	got, err := ToJSONAnyOrder(model(), src)
	if err != nil || string(got) != `{"resourceType":"Patient","id":"1","name":[{"family":"a"},{"family":"b"}]}` {
		t.Errorf("%s %v", got, err)
	}
	if _, err := ToJSONAnyOrder(model(), []byte(`<Patient xmlns="http://hl7.org/fhir"><nme/></Patient>`)); err == nil {
		t.Error("an unknown element was taken")
	}
}
