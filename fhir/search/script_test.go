package search_test

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/search/memindex"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// TestScripts runs testdata/*.test. A script is lines of
//
//	resource JSON                 a resource to search
//	search [lenient] Type?query   what to ask; Compartment Patient/1 Type?query too
//	> Type/id …                   the answer in order; +Type/id is included
//	! kind: words                 or the error, with words its text or hint must have
//	~ words                       a warning of a lenient search
//
// and comments after #.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.test")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	e := newEngine(search.WithTerminology(toyTerms{}))
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".test"), func(t *testing.T) { runScript(t, e, f) })
	}
}

func runScript(t *testing.T, e *search.Engine, file string) {
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ix, sorted := memindex.New(), false
	var page *search.Page
	var failure error
	var asked string
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		verb, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch verb {
		case "", "#":
		case "resource":
			if err := ix.Add(e, []byte(rest)); err != nil {
				t.Fatalf("%s:%d: %v", file, n, err)
			}
		case "search":
			if !sorted {
				ix.Sort()
				sorted = true
			}
			asked = rest
			page, failure = ask(e, ix, rest)
		case ">":
			if failure != nil {
				t.Errorf("%s:%d: %s: %v", file, n, asked, failure)
			} else if got := shown(page); got != rest {
				t.Errorf("%s:%d: %s\n got %s\nwant %s", file, n, asked, got, rest)
			}
		case "!":
			kind, words, _ := strings.Cut(rest, ": ")
			if failure == nil || fault.KindOf(failure).String() != kind || !strings.Contains(said(failure, nil), words) {
				t.Errorf("%s:%d: %s: got %q, want %s", file, n, asked, said(failure, nil), rest)
			}
		case "~":
			if page == nil || !strings.Contains(said(nil, page.Ignored), rest) {
				t.Errorf("%s:%d: %s: no warning %q", file, n, asked, rest)
			}
		default:
			t.Fatalf("%s:%d: unknown verb %q", file, n, verb)
		}
	}
}

func ask(e *search.Engine, ix search.Index, s string) (*search.Page, error) {
	req := search.Request{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Explain: true}
	s, req.Lenient = strings.CutPrefix(s, "lenient ")
	if rest, ok := strings.CutPrefix(s, "compartment "); ok {
		var in string
		in, s, _ = strings.Cut(rest, " ")
		typ, id, _ := strings.Cut(in, "/")
		req.Compartment = &search.Compartment{Type: typ, ID: id}
	}
	req.Type, req.Query, _ = strings.Cut(s, "?")
	return e.Search(context.Background(), ix, req)
}

func shown(p *search.Page) string {
	var out []string
	for _, m := range p.Matches {
		s := m.Type + "/" + m.ID
		if m.Mode == search.ModeInclude {
			s = "+" + s
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func said(err error, warnings []fault.Issue) string {
	var b strings.Builder
	if err != nil {
		b.WriteString(err.Error())
	}
	for _, is := range append(fault.IssuesOf(err), warnings...) {
		b.WriteString(" " + is.Text + " " + is.TextEN + " " + is.Hint)
	}
	return b.String()
}

// toyTerms is a terminology of a few codes: a is above b, b above c.
type toyTerms struct{}

func (toyTerms) Members(_ context.Context, valueSet string, yield func(system, code string) bool) error {
	if valueSet != "http://example.org/vs" {
		return fault.New(fault.NotFound, "unknown value set %s", valueSet)
	}
	_ = yield("http://example.org/cs", "a") && yield("http://example.org/cs", "c")
	return nil
}

func (toyTerms) Below(_ context.Context, _, code string, yield func(string) bool) error {
	for _, c := range "abc"[strings.Index("abc", code):] {
		if !yield(string(c)) {
			break
		}
	}
	return nil
}

func (toyTerms) Above(_ context.Context, _, code string, yield func(string) bool) error {
	for _, c := range "abc"[:strings.Index("abc", code)+1] {
		if !yield(string(c)) {
			break
		}
	}
	return nil
}
