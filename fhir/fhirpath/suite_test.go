package fhirpath

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	fhirxml "github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/shared"
)

// engine is shared by the tests: loading the model takes most of their time.
var testEngine = sync.OnceValues(func() (*Engine, error) {
	m, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	now := time.Date(2026, 11, 22, 21, 14, 8, 123e6, time.FixedZone("", 8*3600))
	return NewEngine(m, WithClock(clock.Fixed(now))), nil
})

func engine(t testing.TB) *Engine {
	t.Helper()
	e, err := testEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

type suite struct {
	Groups []struct {
		Name  string      `xml:"name,attr"`
		Tests []suiteCase `xml:"test"`
	} `xml:"group"`
}

type suiteCase struct {
	Name       string `xml:"name,attr"`
	Input      string `xml:"inputfile,attr"`
	Mode       string `xml:"mode,attr"`
	Predicate  string `xml:"predicate,attr"`
	Ordered    string `xml:"ordered,attr"`
	Expression struct {
		Invalid string `xml:"invalid,attr"`
		Text    string `xml:",chardata"`
	} `xml:"expression"`
	Outputs []struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"output"`
}

// known are the cases that do not pass, each with its entry in
// docs/spec-choices.md.
var known = map[string]bool{"testFHIRPathAsFunction21": true}

// TestOfficialSuite runs the R4 suite of the specification. The number of
// cases that pass may only grow.
func TestOfficialSuite(t *testing.T) {
	const least = 934
	dir := filepath.Join(shared.Dir(t), "data", "suites", "fhirpath")
	src, err := os.ReadFile(filepath.Join(dir, "tests-fhir-r4.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var s suite
	if err := xml.Unmarshal(src, &s); err != nil {
		t.Fatal(err)
	}
	e := engine(t)
	inputs := map[string]fhir.Node{}
	passed, total := 0, 0
	for _, g := range s.Groups {
		for _, c := range g.Tests {
			total++
			if _, ok := inputs[c.Input]; !ok && c.Input != "" {
				inputs[c.Input] = suiteInput(t, e, filepath.Join(dir, "input", c.Input))
			}
			switch err := runCase(e, &c, inputs[c.Input]); {
			case err == nil:
				passed++
				if known[c.Name] {
					t.Errorf("%s passes now: take it off the list", c.Name)
				}
			case !known[c.Name]:
				t.Errorf("%s/%s: %s: %v", g.Name, c.Name, c.Expression.Text, err)
			}
		}
	}
	shared.Figure(t, "fhirpath suite", passed, total)
	if passed < least {
		t.Errorf("%d cases pass, %d did before", passed, least)
	}
}

func suiteInput(t *testing.T, e *Engine, path string) fhir.Node {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".xml") {
		if src, err = fhirxml.ToJSONAnyOrder(e.model, src); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := fhir.Parse(src)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tree.Root()
}

func runCase(e *Engine, c *suiteCase, input fhir.Node) error {
	var opts []CompileOption
	if c.Mode == "strict" || c.Expression.Invalid == "semantic" {
		opts = append(opts, Strict(input.ResourceType()))
	}
	got, err := evaluate(e, c.Expression.Text, input, opts...)
	if c.Expression.Invalid != "" {
		if err == nil {
			return fmt.Errorf("no error (%s), got %v", c.Expression.Invalid, got)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if c.Predicate == "true" {
		t := truthOf(len(got) > 0)
		if len(got) == 1 {
			t, _ = truthOfItems(got)
		}
		got = appendTruth(nil, t)
	}
	return compareOutputs(c, got)
}

func evaluate(e *Engine, src string, input fhir.Node, opts ...CompileOption) (Collection, error) {
	x, err := e.Compile(src, opts...)
	if err != nil {
		return nil, err
	}
	return x.Eval(nil, input)
}

func compareOutputs(c *suiteCase, got Collection) error {
	var have, want []string
	for _, it := range got {
		have = append(have, it.String())
	}
	for i, o := range c.Outputs {
		want = append(want, strings.TrimPrefix(strings.TrimPrefix(o.Text, "@"), "T"))
		if i < len(got) && o.Type != "" && !strings.EqualFold(o.Type, got[i].Type()) {
			return fmt.Errorf("item %d is a %s, want %s", i, got[i].Type(), o.Type)
		}
	}
	if c.Ordered == "false" {
		slices.Sort(have)
		slices.Sort(want)
	}
	if !slices.EqualFunc(have, want, sameText) {
		return fmt.Errorf("got %q, want %q", have, want)
	}
	return nil
}

// sameText lets -0.0 be 0.0.
func sameText(a, b string) bool {
	return a == b || strings.TrimPrefix(a, "-") == "0.0" && strings.TrimPrefix(b, "-") == "0.0"
}
