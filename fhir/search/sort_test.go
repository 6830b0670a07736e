package search_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
)

// forward hides that an index can walk backwards.
type forward struct{ search.Index }

func (f forward) Iter(lower, upper []byte) search.Iterator {
	return struct{ search.Iterator }{f.Index.Iter(lower, upper)}
}

// TestSort reads every page in several orders: everything comes once, values in
// order, resources without one last; and whether the index was walked or all
// matches sorted makes no difference.
func TestSort(t *testing.T) {
	resources := synthea(t, 8)
	e := newEngine()
	ix := memindex.New()
	for _, raw := range resources {
		if err := ix.Add(e, raw); err != nil {
			t.Fatal(err)
		}
	}
	ix.Sort()
	o, err := newOracle(resources)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ typ, q, code string }{
		{"Observation", "", "date"}, {"Observation", "status=final", "date"}, {"Observation", "", "value-quantity"}, {"Observation", "", "code"},
		{"Observation", "value-quantity:missing=false", "value-quantity"}, {"Encounter", "", "date"}, {"Patient", "", "birthdate"},
		{"Patient", "", "family"}, {"Observation", "status:not=final", "date"}, {"Observation", "", "value-string"},
	} {
		for _, desc := range []bool{false, true} {
			sort := c.code
			if desc {
				sort = "-" + sort
			}
			q := strings.TrimPrefix(c.q+"&_sort="+sort, "&")
			got, err := pages(e, ix, c.typ, q, 97)
			if err != nil {
				t.Fatalf("%s?%s: %v", c.typ, q, err)
			}
			again, err := pages(e, forward{ix}, c.typ, q, 1000)
			if err != nil || !slices.Equal(got, again) {
				t.Errorf("%s?%s: %d and %d matches in other orders: %v", c.typ, q, len(got), len(again), err)
			}
			plain, err := pages(e, ix, c.typ, c.q, 1000)
			if err != nil || len(plain) != len(got) {
				t.Errorf("%s?%s: %d matches, %d without order: %v", c.typ, q, len(got), len(plain), err)
			}
			ordered(t, o, c.typ, q, c.code, desc, got)
		}
	}
}

func ordered(t *testing.T, o *oracle, typ, q, code string, desc bool, ids []string) {
	t.Helper()
	var last string
	for i, id := range ids {
		v := o.sortValue(o.all[typ][id], code, desc)
		if i > 0 && v != last && (last == "" || v != "" && (v < last) != desc) {
			t.Fatalf("%s?%s: match %d is %q after %q", typ, q, i, v, last)
		}
		last = v
	}
}

// sortValue is the smallest value, or the largest, in a form that sorts.
func (o *oracle) sortValue(res fhir.Node, code string, largest bool) string {
	var all []string
	for _, v := range o.values(res, paramOf(res.ResourceType(), code).Expression) {
		switch code {
		case "date", "birthdate":
			for _, r := range rangesOf(v) {
				all = append(all, r.from.Format("2006-01-02T15:04:05.000000"))
			}
		case "value-quantity":
			if a, ok := amountOf(v); ok {
				s := a.low.FloatString(6)
				all = append(all, strings.Repeat("0", 20-len(s))+s)
			}
		case "code":
			for _, c := range codesOf(v) {
				all = append(all, c.code)
			}
		default:
			for _, s := range stringsOf(v) {
				all = append(all, folded(s))
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	if largest {
		return slices.Max(all)
	}
	return slices.Min(all)
}

// TestCursor: a damaged or foreign page link is refused, and back leads back.
func TestCursor(t *testing.T) {
	e, ix := newEngine(), memindex.New()
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		if err := ix.Add(e, []byte(`{"resourceType":"Patient","id":"`+id+`","gender":"male"}`)); err != nil {
			t.Fatal(err)
		}
	}
	ix.Sort()
	ask := func(q, cursor string) (*search.Page, error) {
		return e.Search(t.Context(), ix, search.Request{Type: "Patient", Query: q, Cursor: cursor})
	}
	for _, q := range []string{"gender=male&_count=2", "gender=male&_count=2&_sort=-_id"} {
		one, err := ask(q, "")
		if err != nil || one.Prev != "" {
			t.Fatal(err, one)
		}
		two, err := ask(q, one.Next)
		if err != nil {
			t.Fatal(err)
		}
		three, err := ask(q, two.Next)
		if err != nil || three.Next != "" || len(three.Matches) != 1 || *three.Total != 5 {
			t.Errorf("%s: last page %+v, %v", q, three, err)
		}
		back, err := ask(q, three.Prev)
		if err != nil || !slices.Equal(back.Matches, two.Matches) {
			t.Errorf("%s: back %+v, want %+v, %v", q, back.Matches, two.Matches, err)
		}
		if _, err := ask("gender=male&_count=3", one.Next); err == nil {
			t.Errorf("%s: the cursor is good for another query", q)
		}
	}
	for _, c := range []string{"x", "AAAA", "AQAAAAAAAAAAAAAA", strings.Repeat("A", 5000)} {
		if _, err := ask("gender=male", c); err == nil {
			t.Errorf("cursor %.20q is accepted", c)
		}
	}
}

func FuzzSearch(f *testing.F) {
	e, ix := newEngine(), memindex.New()
	for _, raw := range []string{`{"resourceType":"Patient","id":"1","name":[{"text":"张三"}],"birthDate":"1990"}`,
		`{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/1"},"code":{"coding":[{"code":"x"}]},"valueQuantity":{"value":1}}`} {
		if err := ix.Add(e, []byte(raw)); err != nil {
			f.Fatal(err)
		}
	}
	ix.Sort()
	f.Add("subject:Patient.name=z&_sort=-date&_include=*&code-value-quantity=x$gt0&_filter=status pr true&_count=1", "")
	f.Add("_has:Observation:patient:code=x&value-quantity=ap1||mg&near=1|2|3&date=sa2020-01&_content=头&_revinclude:iterate=*:*", "AQ")
	f.Fuzz(func(t *testing.T, q, cursor string) {
		for _, typ := range []string{"Patient", "Observation", ""} {
			for _, lenient := range []bool{false, true} {
				p, err := e.Search(t.Context(), ix, search.Request{Type: typ, Query: q, Cursor: cursor, Lenient: lenient, Explain: true})
				if (p == nil) == (err == nil) {
					t.Errorf("Search(%q) = %v, %v", q, p, err)
				}
			}
		}
	})
}
