package param_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
)

func catalog(t *testing.T) *param.Catalog {
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	return param.New(m, fhirpath.NewEngine(m), param.Config{Content: true, Units: true})
}

// TestNumbers: the four bytes of hash are enough for every parameter of R4.
func TestNumbers(t *testing.T) {
	seen := map[uint32]string{}
	n := 0
	for name, table := range catalog(t).Types {
		for _, p := range append([]*param.Param{table.List}, table.Params...) {
			n++
			if other := seen[p.Number()]; other != "" {
				t.Errorf("%s.%s and %s have the same number", name, p.Code, other)
			}
			seen[p.Number()] = name + "." + p.Code
			if p.Bit >= 64*8 {
				t.Errorf("%s.%s: no presence bit %d", name, p.Code, p.Bit)
			}
		}
	}
	if n < 3000 {
		t.Errorf("only %d parameters", n)
	}
}

func parse(t *testing.T, s string) fhir.Node {
	tree, err := fhir.Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return tree.Root()
}

// TestKeys: sorted, each once, and in a buffer of their own.
func TestKeys(t *testing.T) {
	c := catalog(t)
	res := parse(t, `{"resourceType":"Patient","id":"1","gender":"male","name":[{"text":"张三"},{"text":"张三"}],"deceasedBoolean":true}`)
	a, err := c.Keys(nil, "Patient", "1", res)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(a)
	for i := range before {
		before[i] = bytes.Clone(before[i])
	}
	b, err := c.Keys(nil, "Patient", "2", res)
	if err != nil || len(a) != len(b) {
		t.Fatal(len(a), len(b), err)
	}
	if !slices.EqualFunc(a, before, bytes.Equal) {
		t.Error("a second call changed the keys of the first")
	}
	if !slices.IsSortedFunc(a, bytes.Compare) || len(slices.CompactFunc(slices.Clone(a), bytes.Equal)) != len(a) {
		t.Error("keys are not sorted and unique")
	}
	if _, err := c.Keys(nil, "Pateint", "1", res); err == nil {
		t.Error("an unknown type is accepted")
	}
}

// TestWith: parameters added at run time, by a path and by FHIRPath.
func TestWith(t *testing.T) {
	c := catalog(t)
	more, err := c.With(
		&definitions.SearchParameter{URL: "http://x/a", Code: "nick", Type: "string", Base: []string{"Patient"}, Expression: "Patient.name.where(use='nickname').given"},
		&definitions.SearchParameter{URL: "http://x/b", Code: "named", Type: "token", Base: []string{"Patient", "Practitioner"}, Expression: "(Patient | Practitioner).name.exists()"},
		&definitions.SearchParameter{URL: "http://x/c", Code: "narrated", Type: "token", Base: []string{"DomainResource"}, Expression: "DomainResource.text.status"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Types["Patient"].ByCode["nick"] != nil || more.Types["Observation"].ByCode["narrated"] == nil || more.Types["Bundle"].ByCode["narrated"] != nil {
		t.Error("parameters are on the wrong types")
	}
	keys, err := more.Keys(nil, "Patient", "1", parse(t, `{"resourceType":"Patient","name":[{"use":"nickname","given":["Z"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for code, tail := range map[string][]byte{"nick": key.AppendText(more.Types["Patient"].ByCode["nick"].Prefix(key.String), "z"),
		"named":   key.AppendText(more.Types["Patient"].ByCode["named"].Prefix(key.Token), "true"),
		"present": more.Types["Patient"].ByCode["nick"].Prefix(key.Present)} {
		if !slices.ContainsFunc(keys, func(k []byte) bool { return bytes.HasPrefix(k, tail) }) {
			t.Errorf("no key for %s", code)
		}
	}
	for _, sp := range []*definitions.SearchParameter{
		{Code: "x", Type: "string", Base: []string{"Patient"}, Expression: "Patient.name.("},
		{Code: "x", Type: "magic", Base: []string{"Patient"}, Expression: "Patient.name"},
		{Code: "x", Type: "composite", Base: []string{"Patient"}, Expression: "Patient"},
	} {
		if _, err := c.With(sp); err == nil {
			t.Errorf("%s %q is accepted", sp.Type, sp.Expression)
		}
	}
}
