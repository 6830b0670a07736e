package server

import (
	"net/http"
	"reflect"
	"testing"
	"time"

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
		got, err := negotiate(c.format, c.pretty, c.accept)
		if err != nil || got != c.want {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
}

func TestNegotiate_bad(t *testing.T) {
	for _, c := range [][2]string{{"yaml", ""}, {"turtle", "*/*"}, {"", "application/json;q=0"}} {
		if _, err := negotiate(c[0], "", c[1]); !fault.Is(err, fault.Unsupported) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestEnglish(t *testing.T) {
	for accept, want := range map[string]bool{"": false, "zh-CN": false, "en": true, "en-US,en;q=0.9": true,
		"zh-CN,zh;q=0.9,en;q=0.8": false, "en;q=0.3, zh;q=0.2": true, "fr": false, "*": false} {
		if english(accept) != want {
			t.Errorf("%q: want %v", accept, want)
		}
	}
}

func TestParsePrefer(t *testing.T) {
	got := parsePrefer([]string{"return=minimal; handling=lenient", "respond-async"})
	if want := (Prefer{Return: "minimal", Lenient: true, Async: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestNotModified(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)
	for _, c := range []struct {
		field, value string
		want         bool
	}{
		{"If-None-Match", `W/"3"`, true}, {"If-None-Match", `"3"`, true}, {"If-None-Match", `W/"2", W/"3"`, true},
		{"If-None-Match", `W/"2"`, false}, {"If-None-Match", `*`, true},
		{"If-Modified-Since", at.Format(http.TimeFormat), true},
		{"If-Modified-Since", at.Add(-time.Second).Format(http.TimeFormat), false},
		{"If-Modified-Since", "yesterday", false},
	} {
		r := &Request{Header: http.Header{c.field: {c.value}}}
		if r.notModified(3, at) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func TestParseTime(t *testing.T) {
	utc := func(s string) time.Time { v, _ := time.Parse(time.RFC3339Nano, s); return v }
	for v, want := range map[string]span{
		"2026-01-02T03:04:05.678Z":  {utc("2026-01-02T03:04:05.678Z"), utc("2026-01-02T03:04:05.679Z")},
		"2026-01-02T03:04:05+08:00": {utc("2026-01-01T19:04:05Z"), utc("2026-01-01T19:04:06Z")},
		"2026-01-02T03:04:05 08:00": {utc("2026-01-01T19:04:05Z"), utc("2026-01-01T19:04:06Z")},
		"2026-01-02T03:04Z":         {utc("2026-01-02T03:04:00Z"), utc("2026-01-02T03:05:00Z")},
	} {
		got, err := parseTime(v)
		if err != nil || !got.start.Equal(want.start) || !got.end.Equal(want.end) {
			t.Errorf("%s: %v %v", v, got, err)
		}
	}
	if y, err := parseTime("2026"); err != nil || y.end.Sub(y.start) != 365*24*time.Hour {
		t.Errorf("2026: %v %v", y, err)
	}
	for _, v := range []string{"", "x", "2026-13", "26"} {
		if _, err := parseTime(v); err == nil {
			t.Errorf("%q must be refused", v)
		}
	}
}

func TestPager(t *testing.T) {
	p := pager{key: []byte("k")}
	want := cursor{offset: 12345, total: -1, place: "a\x00b"}
	token := p.seal("/Patient", "name=li", want)
	if got, err := p.open("/Patient", "name=li", token); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range [][3]string{{"/Patient", "name=wang", token}, {"/Observation", "name=li", token},
		{"/Patient", "name=li", token[:len(token)-1]}, {"/Patient", "name=li", "AAAA"}, {"/Patient", "name=li", "?"}} {
		if _, err := p.open(bad[0], bad[1], bad[2]); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func FuzzPager(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		_, _ = pager{}.open("/Patient", "", token)
	})
}

func TestStrip(t *testing.T) {
	for in, want := range map[string]string{"": "", "_format=json": "", "name=%E6%9D%8E&_pretty=true&_count=3": "name=%E6%9D%8E&_count=3",
		"a=1&&b=2": "a=1&b=2", "%5Fformat=json&a=1": "a=1"} {
		if got := strip(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
