package mapping

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

// exceptions are the public messages that do not give exactly one Patient.
var exceptions = map[string]string{
	"ADT-A40-01.hl7": "a merge has two patients: the one in use and the one replaced", "ADT-A40-02.hl7": "two merges",
	"ADT-A41-02.hl7": "two accounts, the second with a merge", "ADT-A47-01.hl7": "a change of number has two patients", "ADT-A47-02.hl7": "two changes of number",
	"BAR-P02-01.hl7": "a purge of accounts names two patients", "BAR-P02-02.hl7": "a purge of accounts names two patients",
	"PC1-Problem-Delete-v2.3.1.hl7": "refused: neither MSH-4 nor PID-3.4 names an organisation, so the number means nothing",
	"PC1-Problem-Update-v2.3.1.hl7": "refused: neither MSH-4 nor PID-3.4 names an organisation, so the number means nothing",
}

// TestPublicMessages maps the public HL7 v2 examples and checks what must hold
// of any output: one Patient per message, references that resolve, nothing
// empty, nothing twice, every value from the message, structurally valid.
func TestPublicMessages(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "data/suites/hl7v2/*.hl7"))
	if err != nil || len(files) == 0 {
		t.Fatal("no examples", err)
	}
	book := shipped(t)
	m, _ := model()
	check := &invariants{t: t, v: validate.New(m, nil, nil)}
	mapped := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		check.name = filepath.Base(f)
		src, err := Read(FormatV2, "", raw)
		if err != nil {
			t.Errorf("%s: %v", check.name, err)
			continue
		}
		mp, err := book.Find(context.Background(), src)
		if err != nil {
			t.Errorf("%s: %v", check.name, err)
			continue
		}
		out, err := mp.Trace(context.Background(), src)
		if why := exceptions[check.name]; strings.HasPrefix(why, "refused") != (err != nil) {
			t.Errorf("%s: %v %+v", check.name, err, fault.IssuesOf(err))
		}
		if exceptions[check.name] != "" {
			t.Logf("%s: %s", check.name, exceptions[check.name])
		}
		if err != nil {
			continue
		}
		mapped++
		check.all(src, out)
	}
	shared.Figure(t, "HL7 v2 examples mapped", mapped, len(files))
	t.Logf("%d resources, %d values", check.resources, check.values)
}

type invariants struct {
	t                 *testing.T
	v                 *validate.Validator
	name              string
	resources, values int
}

func (c *invariants) all(src *Source, out *Result) {
	ids, bodies := map[string]bool{}, map[string]string{}
	patients := 0
	for _, r := range out.Resources {
		ids[r.Type+"/"+r.ID] = true
		if r.Type == "Patient" {
			patients++
		}
	}
	if patients != 1 && exceptions[c.name] == "" {
		c.t.Errorf("%s: %d patients", c.name, patients)
	}
	for _, r := range out.Resources {
		c.resources++
		tree, err := fhir.Parse(r.Body)
		if err != nil {
			c.t.Errorf("%s: %s: %v", c.name, r.Body, err)
			continue
		}
		if tree.Root().Len() < 3 {
			c.t.Errorf("%s: empty: %s", c.name, r.Body)
		}
		content := string(bytes.Replace(r.Body, []byte(r.ID), nil, 1))
		if twin := bodies[content]; twin != "" {
			c.t.Errorf("%s: %s/%s is the same as %s", c.name, r.Type, r.ID, twin)
		}
		bodies[content] = r.Type + "/" + r.ID
		for _, is := range c.v.Validate(context.Background(), tree.Root(), validate.Options{Level: validate.Structure}) {
			c.t.Errorf("%s: %s: %s in %s", c.name, is.Expression, is.Text, r.Body)
		}
		c.references(tree.Root(), ids)
	}
	c.traceable(src, out)
}

func (c *invariants) references(n fhir.Node, ids map[string]bool) {
	for m := range n.Children() {
		if m.Key() == "reference" && m.Kind() == fhir.String && !ids[m.Str()] {
			c.t.Errorf("%s: %s does not resolve", c.name, m.Str())
		}
		c.references(m, ids)
	}
}

// judged are expressions whose result is a judgement on what they read or a code
// for it, not the words themselves.
var (
	judged   = regexp.MustCompile(`\b(id|sid|code|codeSystem|diagnosisSystem|diagnosisKind|category|encode|iif|number)\(|→|!=| and |replace|\$this`)
	identity = regexp.MustCompile(`^('[^']*' & )?(%\w+|'[A-Z]\w+/' & %\w+)$|^'\w+/' & |^(id|sid)\(|^%`)
	letters  = regexp.MustCompile(`[^\p{L}\p{N}]+`)
	zone     = regexp.MustCompile(`T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)"$`)
)

func folded(s string) string { return letters.ReplaceAllString(strings.ToLower(s), "") }

// traceable checks that each value the message gave stands in the message, and
// that each value computed from it names the places it looked at.
func (c *invariants) traceable(src *Source, out *Result) {
	text := folded(string(src.Root.Raw()))
	for _, s := range out.Trace {
		c.values++
		if s.Map == "" {
			continue // stands in the map
		}
		if len(s.From) == 0 && !identity.MatchString(s.Map) && !strings.Contains(s.Map, "iif(") && s.Value != `"unknown"` {
			c.t.Errorf("%s: %s %s = %s comes from nowhere (%s)", c.name, s.Resource, s.Path, s.Value, s.Map)
			continue
		}
		if judged.MatchString(s.Map) || identity.MatchString(s.Map) {
			continue
		}
		value := strings.ReplaceAll(zone.ReplaceAllString(s.Value, "$1 $2 $3$4"), `\n`, " ")
		if !strings.Contains(text, folded(value)) && !inPieces(text, value) {
			c.t.Errorf("%s: %s %s = %s is not in the message at %v (%s)", c.name, s.Resource, s.Path, s.Value, s.From, s.Map)
		}
	}
}

// inPieces accepts a value that is put together from several places, and a time
// whose seconds the message does not give.
func inPieces(text, value string) bool {
	for _, word := range strings.FieldsFunc(strings.Trim(value, `"`), func(r rune) bool { return r == ' ' || r == '-' }) {
		if w := folded(word); w != "00" && !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// BenchmarkMap maps the messages of the shared scenario: parse, tree, find,
// apply.
func BenchmarkMap(b *testing.B) {
	book := shipped(b)
	for _, name := range []string{"ADT_A04", "RDE_O11"} {
		raw, err := os.ReadFile(filepath.Join(shared.Dir(b), "data/tcm/samples/hl7v2", name+".hl7"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				src, err := Read(FormatV2, "", raw)
				if err != nil {
					b.Fatal(err)
				}
				m, err := book.Find(context.Background(), src)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.Apply(context.Background(), src); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
