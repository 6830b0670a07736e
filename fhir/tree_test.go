package fhir

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse_ok(t *testing.T) {
	tree, err := Parse([]byte(`{"resourceType":"Patient","name":[{"text":"王\u4e94","given":["a\n","\ud83d\ude00"]}],"n":1.50,"b":true,"_b":null,"e":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	r := tree.Root()
	for _, c := range []struct{ got, want string }{
		{r.ResourceType(), "Patient"},
		{r.Path("name", "text").Str(), "王五"},
		{r.Path("name", "given").At(0).Str(), "a\n"},
		{r.Path("name", "given").At(1).Str(), "😀"},
		{r.Get("n").Str(), "1.50"},
		{string(r.Get("name").At(0).Get("given").Raw()), `["a\n","\ud83d\ude00"]`},
		{r.Get("absent").Path("x", "y").Str(), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	if b, ok := r.Get("b").Bool(); !b || !ok {
		t.Error("b")
	}
	if r.Get("_b").Kind() != Null || r.Get("e").Len() != 0 || r.Len() != 6 {
		t.Error("kinds or counts")
	}
}

func TestParse_bad(t *testing.T) {
	for _, src := range []string{``, `{`, `[1,]`, `{"a"}`, `{"a":01}`, `1.`, `"\x"`, `"` + "\x01" + `"`, `{} {}`, "\"\xff\"", `tru`,
		strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2)} {
		if _, err := Parse([]byte(src)); err == nil {
			t.Errorf("Parse(%.20q) accepted", src)
		}
	}
}

func value(n Node) any {
	switch n.Kind() {
	case Object:
		m := map[string]any{}
		for c := range n.Children() {
			m[c.Key()] = value(c)
		}
		return m
	case Array:
		a := []any{}
		for c := range n.Children() {
			a = append(a, value(c))
		}
		return a
	case String:
		return n.Str()
	case Number:
		return json.Number(n.Str())
	case Bool:
		b, _ := n.Bool()
		return b
	}
	return nil
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,"b",null,{"c":-1.5e3}],"\u0041":"\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := Parse(data)
		if err != nil {
			return
		}
		dec := json.NewDecoder(strings.NewReader(strings.TrimPrefix(string(data), "\ufeff")))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("we accept what encoding/json refuses: %v", err)
		}
		if got := value(tree.Root()); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, want %#v", got, want)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	src := []byte(`{"resourceType":"Observation","id":"1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}],"text":"Body Height"},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2020-01-01T10:00:00+08:00","valueQuantity":{"value":170.5,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}`)
	var p Parser
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(src); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "桂枝汤", "a\x00b\"\\\r\n\t", "\xff\xfe", "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := AppendString(nil, s)
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if utf8.ValidString(s) && back != s {
			t.Fatalf("%q came back %q", s, back)
		}
		if !utf8.ValidString(s) && !strings.Contains(back, "\ufffd") {
			t.Fatalf("%q lost its mark of a bad byte", s)
		}
	})
}
