package lab

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

var testLab = sync.OnceValues(func() (*Lab, error) {
	m, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	return &Lab{Engine: fhirpath.NewEngine(m), Name: "qihuang test"}, nil
})

func lab(t *testing.T) *Lab {
	t.Helper()
	l, err := testLab()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.xml")
	if err := os.WriteFile(path, []byte(`<Patient xmlns="http://hl7.org/fhir"><active value="true"/><name><given value="五"/></name></Patient>`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, want string }{
		{`{"expr":"1 + 1.0"}`, `{"result":[{"type":"Decimal","value":2.0}]}`},
		{`{"resource":"` + path + `","expr":"Patient.name.given"}`, `{"result":[{"type":"string","value":"五"}]}`},
		{`{"resource":{"resourceType":"Patient","name":[{"given":[null],"_given":[{"id":"x"}]}]},"expr":"name.given"}`, `{"result":[{"type":"string","value":null}]}`},
		{`{"resource":"{\"resourceType\":\"Patient\",\"active\":true}","expr":"active"}`, `{"result":[{"type":"boolean","value":true}]}`},
		{`{"resource":{"resourceType":"Foo","a":[{"b":1.50}]},"expr":"Foo.a.b"}`, `{"result":[{"type":"Decimal","value":1.50}]}`},
		{`{"resource":{"resourceType":"Patient"},"expr":"nme"}`, `{"result":[]}`},
		{`{"resource":{"resourceType":"Patient"},"expr":"nme","strict":true}`, `{"error":"FHIRPath: Patient has no element \"nme\", did you mean \"name\"?"}`},
		{`{"expr":"%x + %y.first()","variables":{"x":"a","y":["b","c"]}}`, `{"result":[{"type":"String","value":"ab"}]}`},
		{`{"expr":"%x","strict":true}`, `{"error":"FHIRPath: unknown variable %x"}`},
		{`{"resource":{"resourceType":"Patient","name":[{"family":"a"},{"family":"b"}]},"context":"name","expr":"family & 'x'"}`,
			`{"result":[{"type":"String","value":"ax"},{"type":"String","value":"bx"}]}`},
		{`{"expr":"1 'mg'"}`, `{"result":[{"type":"Quantity","value":{"value":1,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}]}`},
		{`{"expr":"2 weeks"}`, `{"result":[{"type":"Quantity","value":{"value":2,"unit":"weeks"}}]}`},
		{`{"expr":"@2014-01-05T10:30:00.000"}`, `{"result":[{"type":"DateTime","value":"2014-01-05T10:30:00.000"}]}`},
		{`{"expr":"{}"}`, `{"result":[]}`},
		{`{"resource":"/nowhere/x.json","expr":"id"}`, `{"error":"read the resource: open /nowhere/x.json: no such file or directory"}`},
		{`{"exp":"id"}`, `{"error":"the line has no expr"}`},
	} {
		var out bytes.Buffer
		if err := lab(t).Batch(context.Background(), strings.NewReader(c.in), &out); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(out.String()); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestBatchKeepsOrderAfterBadLine(t *testing.T) {
	var out bytes.Buffer
	if err := lab(t).Batch(context.Background(), strings.NewReader("{\n\n{\"expr\":\"1\"}\n{\"expr\":\"1 +\"}\n{\"expr\":\"2\"}"), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], "error") || !strings.Contains(lines[2], "error") || !strings.Contains(lines[3], `"value":2`) {
		t.Errorf("%q", lines)
	}
}

func TestEvaluate(t *testing.T) {
	in := `{"resourceType":"Parameters","parameter":[{"name":"expression","valueString":"trace('t').given.first() & %v"},{"name":"context","valueString":"name"},
	 {"name":"variables","part":[{"name":"v","valueString":"!"}]},
	 {"name":"resource","resource":{"resourceType":"Patient","name":[{"given":["a"]},{"given":["b"]}]}}]}`
	tree, err := fhir.Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	out, err := lab(t).Evaluate(context.Background(), tree.Root())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"name":"evaluator","valueString":"qihuang test"}`, `"name":"parseDebugTree"`,
		`{"name":"result","valueString":"name[1]","part":[{"name":"string","valueString":"b!"},{"name":"trace","valueString":"t","part":[{"name":"HumanName","valueHumanName":{"given":["b"]}}]}]}`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if _, err := fhir.Parse(out); err != nil {
		t.Error(err)
	}
}

func TestEvaluate_bad(t *testing.T) {
	for _, in := range []string{`{}`, `{"resourceType":"Parameters"}`, `{"resourceType":"Parameters","parameter":[{"name":"expression","valueString":"a."}]}`} {
		tree, err := fhir.Parse([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := lab(t).Evaluate(context.Background(), tree.Root()); err == nil {
			t.Errorf("%s: %s", in, out)
		}
	}
}

func TestEvaluateTellsThePlace(t *testing.T) {
	tree, err := fhir.Parse([]byte(`{"resourceType":"Parameters","parameter":[{"name":"expression","valueString":"1 +"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = lab(t).Evaluate(context.Background(), tree.Root())
	if is := fault.IssuesOf(err); len(is) != 1 || !strings.Contains(is[0].Text, "line 1, column 4") {
		t.Errorf("%v", err)
	}
}
