package validate

import (
	"context"
	"net/url"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func TestOperation(t *testing.T) {
	v := with(t, definition("a", "Patient", "", `{"id":"Patient.name","path":"Patient.name","min":1}`))
	parse := func(s string) fhir.Node {
		if s == "" {
			return fhir.Node{}
		}
		tree, err := fhir.Parse([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return tree.Root()
	}
	in := func(extra string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":` + patient(`,"id":"1"`) + `}` + extra + `]}`
	}
	for _, c := range []struct {
		name string
		r    Request
		want string
		kind fault.Kind // of the error if there must be one
	}{
		{"resource_ok", Request{Type: "Patient", Body: parse(patient(``))}, "", 0},
		{"parameters_ok", Request{Type: "Patient", Body: parse(in(``))}, "", 0},
		{"type_bad", Request{Type: "Group", Body: parse(patient(``))}, "", fault.Invalid},
		{"id_bad", Request{Type: "Patient", ID: "2", Body: parse(in(``))}, "validate-id@Patient.id", 0},
		{"profile_bad", Request{Type: "Patient", Body: parse(in(`,{"name":"profile","valueUri":"http://t/a"}`))}, "profile-min@Patient.name", 0},
		{"query_profile_bad", Request{Type: "Patient", Body: parse(patient(``)), Query: url.Values{"profile": {"http://t/a"}}}, "profile-min@Patient.name", 0},
		{"stored_ok", Request{Type: "Patient", ID: "1", Stored: func() (fhir.Node, error) { return parse(patient(`,"id":"1"`)), nil }}, "", 0},
		{"delete_ok", Request{Type: "Patient", ID: "1", Query: url.Values{"mode": {"delete"}}}, "", 0},
		{"delete_bad", Request{Type: "Patient", Query: url.Values{"mode": {"delete"}}}, "", fault.Invalid},
		{"mode_bad", Request{Type: "Patient", Body: parse(patient(``)), Query: url.Values{"mode": {"x"}}}, "", fault.Invalid},
		{"profile_missing_bad", Request{Type: "Patient", Body: parse(patient(``)), Query: url.Values{"mode": {"profile"}}}, "", fault.Invalid},
		{"resource_missing_bad", Request{Type: "Patient"}, "", fault.Invalid},
	} {
		is, err := v.Operation(context.Background(), c.r)
		if c.kind != 0 {
			if !fault.Is(err, c.kind) {
				t.Errorf("%s: %v, want %v", c.name, err, c.kind)
			}
			continue
		}
		if got := errorsOf(is); err != nil || got != c.want {
			t.Errorf("%s: %q %v, want %q", c.name, got, err, c.want)
		}
	}
}
