package query

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	got, err := Parse("?name=a%2Cb&date=ge2020+08:00&&x&y=")
	want := []Param{{"name", "a,b"}, {"date", "ge2020 08:00"}, {"x", ""}, {"y", ""}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Parse = %v, %v", got, err)
	}
	if _, err := Parse("a=%zz"); err == nil {
		t.Error("bad percent-encoding is accepted")
	}
}

func TestParseName_ok(t *testing.T) {
	for _, s := range []string{"name", "name:exact", "subject:Patient.name:contains", "patient.organization.partof:Organization.name",
		"_has:Observation:patient:code", "_has:Observation:patient:_has:AuditEvent:entity:agent", "_has:Encounter:patient:location.name:exact"} {
		n, err := ParseName(s)
		if err != nil || n.String() != s {
			t.Errorf("ParseName(%q) = %v, %v", s, n, err)
		}
	}
}

func TestParseName_bad(t *testing.T) {
	deep := "a"
	for range 100 {
		deep += ".a"
	}
	for _, s := range []string{"", ":exact", "a.", ".a", "a..b", "_has:Observation", "_has:Observation:patient", "_has::x:y", deep} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("ParseName(%q) = %v", s, n)
		}
	}
}

func TestSplit(t *testing.T) {
	if got := Split(`a\,b,c\\,d`, ','); !slices.Equal(got, []string{`a\,b`, `c\\`, "d"}) {
		t.Errorf("Split = %q", got)
	}
	if got := Unescape(`a\,b\|c\$d\\e\x`); got != `a,b|c$d\e\x` {
		t.Errorf("Unescape = %q", got)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("_has:Observation:patient:code=http%3A%2F%2Floinc.org|1,2\\,3&subject:Patient.name:exact=x")
	f.Fuzz(func(t *testing.T, raw string) {
		params, err := Parse(raw)
		if err != nil {
			return
		}
		for _, p := range params {
			n, err := ParseName(p.Key)
			if err != nil {
				continue
			}
			if again, err := ParseName(n.String()); err != nil || again.String() != n.String() {
				t.Errorf("%q: written as %q: %v", p.Key, n, err)
			}
			for _, v := range Split(p.Value, ',') {
				if s := Unescape(v); Unescape(Escape(s)) != s {
					t.Errorf("Escape(%q) does not come back", s)
				}
			}
		}
	})
}

func TestParseFilter_ok(t *testing.T) {
	f, err := ParseFilter(`name eq "a \"b\"" and not (x:Patient[y pr true].z-q gt 3) or _id eq 1`)
	if err != nil {
		t.Fatal(err)
	}
	and := f.Kids[0]
	if f.Op != "or" || and.Op != "and" || and.Kids[0].Text != `a "b"` || and.Kids[1].Op != "not" {
		t.Errorf("wrong shape: %+v", f)
	}
	path := and.Kids[1].Kids[0].Path
	if len(path) != 2 || path[0].Code != "x" || path[0].Type != "Patient" || path[0].Where.Op != "pr" || path[1].Code != "z-q" {
		t.Errorf("wrong path: %+v", path)
	}
}

func TestParseFilter_bad(t *testing.T) {
	for _, s := range []string{"", "name", "name eq", "name is x", "(name eq a", "name eq a)", "not name eq a", `name eq "a`, "a[b eq c eq d", "and", "name eq a b"} {
		if _, err := ParseFilter(s); err == nil {
			t.Errorf("ParseFilter(%q) is accepted", s)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`name eq "a" and not (x:Patient[y pr true].z gt 3) or _id eq 1`)
	f.Fuzz(func(t *testing.T, s string) {
		if x, err := ParseFilter(s); (x == nil) == (err == nil) {
			t.Errorf("ParseFilter(%q) = %v, %v", s, x, err)
		}
	})
}
