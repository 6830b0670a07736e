package rest

import (
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func TestNegotiate_ok(t *testing.T) {
	for _, c := range []struct {
		format, pretty, accept string
		want                   Format
	}{
		{"", "", "", Format{}},
		{"", "", "*/*", Format{}},
		{"", "", "application/fhir+json", Format{}},
		{"", "", "application/fhir+json; fhirVersion=4.0", Format{}},
		{"", "", "application/json;q=0.5, application/fhir+xml", Format{XML: true}},
		{"", "", "application/fhir+xml;q=0.1, */*;q=0.8", Format{}},
		{"", "", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format{Pretty: true}},
		{"xml", "", "application/json", Format{XML: true}},
		{"application/fhir xml", "", "", Format{XML: true}},
		{"application/fhir+json", "true", "", Format{Pretty: true}},
		{"json", "", "image/png", Format{}},
		{"", "", "image/png", Format{Native: "image/png"}},
		{"", "", "application/pdf, application/fhir+json;q=0.1", Format{}},
	} {
		got, err := Negotiate(c.format, c.pretty, c.accept)
		if err != nil || got != c.want {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
}

func TestNegotiate_bad(t *testing.T) {
	for _, c := range [][2]string{{"yaml", ""}, {"turtle", "*/*"}, {"", "application/json;q=0"}} {
		if _, err := Negotiate(c[0], "", c[1]); !fault.Is(err, fault.Unsupported) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestEnglish(t *testing.T) {
	for accept, want := range map[string]bool{"": false, "zh-CN": false, "en": true, "en-US,en;q=0.9": true,
		"zh-CN,zh;q=0.9,en;q=0.8": false, "en;q=0.3, zh;q=0.2": true, "fr": false, "*": false} {
		if English(accept) != want {
			t.Errorf("%q: want %v", accept, want)
		}
	}
}
