package rest

import (
	"net/http"
	"reflect"
	"testing"
	"time"
)

func TestParsePrefer(t *testing.T) {
	got := ParsePrefer([]string{"return=minimal; handling=lenient", "respond-async"})
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
		if r.NotModified(3, at) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
