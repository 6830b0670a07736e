package stamp

import (
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
)

func TestSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[1,2]}`, `{ "b":[1,2], "a":1 }`, true},
		{`{"a":1}`, `{"a":1.0}`, false},
		{`{"a":"\u4e2d"}`, `{"a":"中"}`, true},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"meta":{"versionId":"1","lastUpdated":"x","tag":[1]}}`, `{"meta":{"tag":[1],"versionId":"2"}}`, true},
		{`{"meta":{"versionId":"1","tag":[1]}}`, `{"meta":{"tag":[2],"versionId":"1"}}`, false},
		{`{"x":{"versionId":"1"}}`, `{"x":{"versionId":"2"}}`, false},
		{`{"a":null}`, `{"a":"null"}`, false},
	} {
		a, _ := fhir.Parse([]byte(c.a))
		b, _ := fhir.Parse([]byte(c.b))
		if got := Same(a.Root(), b.Root()); got != c.want {
			t.Errorf("%s ~ %s: %v", c.a, c.b, got)
		}
	}
}

func TestConditionalReference(t *testing.T) {
	for ref, want := range map[string]bool{"Patient?identifier=1": true, "Patient/1": false, "?a=1": false, "http://x/Patient?a=b": false,
		"urn:uuid:1?x": false, "patient?x=1": false, "#a?b": false, "": false} {
		if _, _, ok := Conditional(ref); ok != want {
			t.Errorf("%q: %v", ref, ok)
		}
	}
}
