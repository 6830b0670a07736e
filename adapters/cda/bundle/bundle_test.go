package bundle

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/fhir/validate"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var shanghai = time.FixedZone("CST", 8*3600)

func newMapper(t testing.TB) *Mapper {
	t.Helper()
	c, err := cda.Load()
	if err != nil {
		t.Fatal(err)
	}
	k, err := cda.NewChecker(c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(c, k, shanghai)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *Mapper) mustFHIR(t testing.TB, doc []byte) (*Result, fhir.Node) {
	t.Helper()
	r, err := m.FromCDA(doc, "")
	if err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	b, err := m.Document(r, "http://hub/fhir", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := fhir.Parse(b)
	if err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return r, tree.Root()
}

func (m *Mapper) mustCDA(t testing.TB, root fhir.Node, opt Options) []byte {
	t.Helper()
	doc, issues, err := m.ToCDA(root, opt)
	if err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	for _, is := range issues {
		if is.Key == "cda-unplaced" {
			t.Errorf("%s: %s", is.Expression, is.Text)
		}
	}
	return doc
}

// loose forgets where a partner's template puts an element and what it calls it.
func loose(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		where, what, _ := strings.Cut(s, " = ")
		if words := strings.Fields(where); len(words) > 1 {
			where = words[1]
		}
		out[i] = where + " = " + what
	}
	return out
}

func statements(t testing.TB, doc []byte) []string {
	t.Helper()
	d, _, err := cda.Read(doc, "")
	if err != nil {
		t.Fatal(err)
	}
	return cda.Statements(d)
}

// TestEveryTemplate takes a full document of each of the 53 templates to FHIR and
// back: it says the same, and the Bundle is valid R4.
func TestEveryTemplate(t *testing.T) {
	m := newMapper(t)
	v := newValidator(t)
	passed := 0
	for i := range m.catalogue.Templates {
		tp := &m.catalogue.Templates[i]
		t.Run(tp.Code, func(t *testing.T) {
			doc := cda.Append(nil, cda.Specimen(m.catalogue, tp), tp)
			r, root := m.mustFHIR(t, doc)
			for _, is := range r.Issues {
				if is.Severity == "error" {
					t.Errorf("%s %s %s", is.Key, is.Text, is.Expression)
				}
			}
			back := m.mustCDA(t, root, Options{})
			a, b := statements(t, doc), statements(t, back)
			if l := cda.Missing(a, b); l != nil {
				t.Errorf("lost:\n%s", strings.Join(l, "\n"))
			}
			if l := cda.Missing(b, a); l != nil {
				t.Errorf("made up:\n%s", strings.Join(l, "\n"))
			}
			for _, is := range v.Validate(context.Background(), root, validate.Options{Level: validate.Full}) {
				if is.Severity == "error" || is.Severity == "fatal" {
					t.Errorf("%s: %s", is.Expression, is.TextEN)
				}
			}
		})
		if !t.Failed() {
			passed++
		}
	}
	shared.Figure(t, "WS/T 500 templates CDA → FHIR → CDA", passed, len(m.catalogue.Templates))
}

func newValidator(t testing.TB) *validate.Validator {
	t.Helper()
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	terms := terminology.New(model)
	var guide, structures [][]byte
	for _, b := range conformance.Terminology() {
		guide = append(guide, b)
	}
	for _, b := range conformance.Structures() {
		structures = append(structures, b)
	}
	if err := terms.Include(guide...); err != nil {
		t.Fatal(err)
	}
	v := validate.New(model, fhirpath.NewEngine(model), terms)
	if err := v.Include(structures...); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSamples takes the documents of the shared scenario to FHIR and back.
func TestSamples(t *testing.T) {
	m := newMapper(t)
	for _, name := range []string{"C0002_menzhen_bingli", "C0005_zhongyao_chufang"} {
		t.Run(name, func(t *testing.T) {
			doc, err := os.ReadFile(filepath.Join(shared.Dir(t), "data", "tcm", "samples", "cda", name+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			_, root := m.mustFHIR(t, doc)
			back := m.mustCDA(t, root, Options{})
			if l := cda.Missing(loose(statements(t, doc)), loose(statements(t, back))); l != nil {
				t.Errorf("lost:\n%s", strings.Join(l, "\n"))
			}
			_, again := m.mustFHIR(t, back)
			third := m.mustCDA(t, again, Options{})
			if string(third) != string(back) {
				t.Error("the second round trip changes the document")
			}
		})
	}
}

func TestPatientRootIsAUUID(t *testing.T) {
	a, b := patientRoot("370000000001"), patientRoot("370000000002")
	if a == b || len(a) != 36 || a[14] != '5' {
		t.Errorf("%s %s", a, b)
	}
	if a != patientRoot("370000000001") {
		t.Error("not stable")
	}
}

func TestLocalCodesStayWords(t *testing.T) {
	m := newMapper(t)
	c := m.code(tcm.Coding{System: tcm.SystemOf("diagnosis", "1"), Code: "X1", Display: "感冒"})
	if c.NullFlavor != "OTH" || c.Original != "感冒" || c.Code != "" || c.Local.Code != "X1" {
		t.Errorf("%+v", c)
	}
	if back := local(c); back.Code != "X1" || back.System != tcm.SystemOf("diagnosis", "1") {
		t.Errorf("%+v", back)
	}
}

// TestRefuses_bad: what no document can be made of is refused with the place.
func TestRefuses_bad(t *testing.T) {
	m := newMapper(t)
	const patient = `{"resource":{"resourceType":"Patient","id":"p","identifier":[{"system":"https://qihuang.health/fhir/sid/patient/1","value":"7"}]}}`
	const org = `{"resource":{"resourceType":"Organization","id":"o","identifier":[{"system":"https://qihuang.health/fhir/sid/organization","value":"1"}]}}`
	for name, c := range map[string]struct{ in, template, key string }{
		"no bundle":       {`{"resourceType":"Patient"}`, "C0002", "cda-bundle"},
		"empty bundle":    {`{"resourceType":"Bundle","entry":[]}`, "C0002", "cda-patient"},
		"no organisation": {`{"resourceType":"Bundle","entry":[` + patient + `]}`, "C0002", "cda-organization"},
		"no template":     {`{"resourceType":"Bundle","entry":[` + patient + `,` + org + `]}`, "", "cda-template"},
		"unknown":         {`{"resourceType":"Bundle","entry":[` + patient + `,` + org + `]}`, "C9999", "cda-template"},
	} {
		tree, err := fhir.Parse([]byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = m.ToCDA(tree.Root(), Options{Template: c.template})
		if is := fault.IssuesOf(err); !fault.Is(err, fault.Invalid) || len(is) == 0 || is[0].Key != c.key || is[0].Text == "" {
			t.Errorf("%s: %v %+v", name, err, is)
		}
	}
	tree, err := fhir.Parse([]byte(`{"resourceType":"Bundle","entry":[` + patient + `,` + org + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if doc, _, err := m.ToCDA(tree.Root(), Options{Template: "c0002"}); err != nil || !strings.Contains(string(doc), `code="C0002"`) {
		t.Errorf("the least bundle is refused: %v", err)
	}
}

// short is a specimen of two sections: long seeds are minimised for minutes.
func (m *Mapper) short(code string) []byte {
	tp := m.catalogue.Template(code)
	d := cda.Specimen(m.catalogue, tp)
	d.Sections = d.Sections[:2]
	return cda.Append(nil, d, tp)
}

// FuzzFromCDA: whatever comes, mapping ends; what is mapped is JSON that maps back.
func FuzzFromCDA(f *testing.F) {
	m := newMapper(f)
	for _, code := range []string{"C0002", "C0005"} {
		f.Add(m.short(code))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := m.FromCDA(doc, "")
		if err != nil {
			return
		}
		b, err := m.Document(r, "http://hub/fhir", time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		tree, err := fhir.Parse(b)
		if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		if _, _, err := m.ToCDA(tree.Root(), Options{}); err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

// FuzzToCDA: whatever resources come, mapping ends, and what it writes can be read.
func FuzzToCDA(f *testing.F) {
	m := newMapper(f)
	for _, code := range []string{"C0002", "C0005"} {
		r, err := m.FromCDA(m.short(code), "")
		if err != nil {
			f.Fatal(err)
		}
		b, err := m.Document(r, "http://hub/fhir", time.Unix(0, 0))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := fhir.Parse(b)
		if err != nil {
			return
		}
		doc, _, err := m.ToCDA(tree.Root(), Options{Template: "C0002"})
		if err != nil {
			return
		}
		if _, _, err := cda.Read(doc, ""); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
	})
}

// BenchmarkToCDA makes one 中药处方 document from a parsed Bundle.
func BenchmarkToCDA(b *testing.B) {
	for _, code := range []string{"C0002", "C0005"} {
		b.Run(code, func(b *testing.B) {
			m := newMapper(b)
			tp := m.catalogue.Template(code)
			_, root := m.mustFHIR(b, cda.Append(nil, cda.Specimen(m.catalogue, tp), tp))
			raw := root.Raw()
			b.ReportAllocs()
			for b.Loop() {
				tree, err := fhir.Parse(raw)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := m.ToCDA(tree.Root(), Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "documents/s")
		})
	}
}

// BenchmarkFromCDA reads, judges and maps one document.
func BenchmarkFromCDA(b *testing.B) {
	m := newMapper(b)
	tp := m.catalogue.Template("C0002")
	doc := cda.Append(nil, cda.Specimen(m.catalogue, tp), tp)
	b.ReportAllocs()
	for b.Loop() {
		r, err := m.FromCDA(doc, "")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := m.Document(r, "http://hub/fhir", time.Unix(0, 0)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "documents/s")
}
