package graphql_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/graphql"
	"github.com/qihuang-health/qihuang/internal/fault"
)

var model = sync.OnceValues(definitions.Load)

func service(t testing.TB, limits graphql.Limits) *graphql.Service {
	t.Helper()
	m, err := model()
	if err != nil {
		t.Fatal(err)
	}
	return graphql.New(m, fhirpath.NewEngine(m), limits)
}

// shelf is a source with one patient under every id, who refers to itself.
type shelf struct{ matches int }

func (shelf) Read(_ context.Context, typ, id string) ([]byte, error) {
	if typ != "Patient" {
		return nil, fault.New(fault.NotFound, "no %s", typ)
	}
	return []byte(`{"resourceType":"Patient","id":"` + id + `","name":[{"family":"李","given":["明"]}],"link":[{"other":{"reference":"Patient/1"},"type":"seealso"},{"other":{"reference":"Patient/1"}}]}`), nil
}

func (s shelf) Search(_ context.Context, typ, _, _ string) (*graphql.Page, error) {
	p := &graphql.Page{Count: s.matches}
	for i := range s.matches {
		p.Matches = append(p.Matches, graphql.Match{Type: typ, ID: strconv.Itoa(i), Mode: "match"})
	}
	return p, nil
}

// TestLimits shows that no query costs more than its limits: a fan of references
// doubles with each level, aliases and lists multiply.
func TestLimits(t *testing.T) {
	limits := graphql.DefaultLimits()
	limits.Resources, limits.Bytes = 500, 20_000
	s := service(t, limits)
	fan := func(levels int) string {
		return strings.Repeat("link{other{resource{...on Patient{", levels) + "id" + strings.Repeat("}}}}", levels)
	}
	for name, query := range map[string]string{
		"fan":        "{" + fan(5) + "}",
		"resources":  "{" + strings.Repeat("x", 1) + ":name{family} " + fan(5) + " y:link{other{resource{...on Patient{" + fan(4) + "}}}}}",
		"bytes":      "{" + aliases(600, "name{family given}") + "}",
		"depth":      "{" + fan(12) + "}",
		"tokens":     "{" + strings.Repeat("id ", 20_000) + "}",
		"introspect": `{a:name{family}}`,
	} {
		start := time.Now()
		_, err := s.Run(t.Context(), shelf{}, graphql.Request{Query: query, Type: "Patient", ID: "1"})
		costly := fault.Is(err, fault.TooCostly) || fault.Is(err, fault.Invalid)
		if want := name == "bytes" || name == "depth" || name == "tokens"; want && !costly {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %s", name, d)
		}
	}
	if _, err := s.Run(t.Context(), shelf{matches: 501}, graphql.Request{Query: `{PatientList{id}}`}); !fault.Is(err, fault.TooCostly) {
		t.Errorf("501 resources: %v", err)
	}
}

func aliases(n int, field string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("a" + strconv.Itoa(i) + ":" + field + " ")
	}
	return b.String()
}

// TestIntrospection runs the query that tools send first and follows every type
// it names.
func TestIntrospection(t *testing.T) {
	s := service(t, graphql.DefaultLimits())
	out, err := s.Run(t.Context(), shelf{}, graphql.Request{Query: `{__schema{queryType{name} directives{name locations args{name}}
		types{kind name interfaces{name} possibleTypes{name} enumValues{name} fields{name type{...t}}}}} fragment t on __Type{kind name ofType{kind name ofType{kind name ofType{kind name}}}}`})
	if err != nil {
		t.Fatal(err)
	}
	type ref struct {
		Kind, Name string
		OfType     *ref
	}
	var doc struct {
		Data struct {
			Schema struct {
				Types []struct {
					Kind, Name string
					Fields     []struct {
						Name string
						Type ref
					}
				}
			} `json:"__schema"`
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, typ := range doc.Data.Schema.Types {
		known[typ.Name] = true
	}
	check := func(where string, r ref) {
		for r.OfType != nil {
			r = *r.OfType
		}
		if !known[r.Name] {
			t.Errorf("%s has the unknown type %q", where, r.Name)
		}
	}
	fields := 0
	for _, typ := range doc.Data.Schema.Types {
		for _, f := range typ.Fields {
			fields++
			check(typ.Name+"."+f.Name, f.Type)
		}
	}
	t.Logf("%d types, %d fields, %d MB", len(known), fields, len(out)>>20)
	if !known["Patient"] || !known["Timing_repeat"] || fields < 5000 {
		t.Error("types are missing")
	}
}

func FuzzRun(f *testing.F) {
	f.Add(`{id name(use: official, _count: 1){family} ...a} fragment a on Patient{link @first{type}}`, `{"x":1}`)
	f.Add(`query q($x: [String!] = ["a"]){PatientList(name: $x, _sort: "a"){id @include(if: true)} __type(name: "x"){name}}`, `{}`)
	f.Add(`{PatientConnection(_cursor: ""){edges{resource{name @flatten{given @singleton}}} telecom @slice(fhirpath: "$this"){value}}}`, `null`)
	limits := graphql.DefaultLimits()
	limits.Resources, limits.Bytes = 100, 1<<20
	s := service(f, limits)
	f.Fuzz(func(t *testing.T, query, variables string) {
		var vars map[string]any
		_ = json.Unmarshal([]byte(variables), &vars)
		for _, r := range []graphql.Request{{Query: query, Variables: vars}, {Query: query, Variables: vars, Type: "Patient", ID: "1"}} {
			out, err := s.Run(t.Context(), shelf{matches: 2}, r)
			if err == nil && !json.Valid(out) {
				t.Errorf("%q gives %q", query, out)
			}
			if fault.KindOf(err) == fault.Internal && err != nil {
				t.Errorf("%q: %v", query, err)
			}
		}
	})
}

func BenchmarkRun(b *testing.B) {
	s := service(b, graphql.DefaultLimits())
	r := graphql.Request{Query: `{PatientList(name: "x"){id name{family given} link{other{resource{... on Patient{id}}}}}}`}
	if _, err := s.Run(b.Context(), shelf{}, r); err != nil { // makes the schema
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(b.Context(), shelf{matches: 10}, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSchema(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := service(b, graphql.DefaultLimits()).Run(b.Context(), shelf{}, graphql.Request{Query: `{__typename}`}); err != nil {
			b.Fatal(err)
		}
	}
}
