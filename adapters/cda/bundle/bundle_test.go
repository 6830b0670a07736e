package bundle

import (
	"context"
	"os"
	"path/filepath"
	"slices"
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

// statements lists what a document says, one line per value, without order.
func statements(t testing.TB, doc []byte) []string {
	t.Helper()
	d, _, err := cda.Read(doc, "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	say := func(path, v string) {
		if v != "" {
			out = append(out, path+" = "+v)
		}
	}
	p := d.Patient
	for _, id := range p.IDs {
		say("id", id.Root+" "+id.Extension)
	}
	for _, id := range p.Numbers {
		say("number", id.Root+" "+id.Extension)
	}
	say("patient", strings.Join([]string{p.Name, p.Gender.Code, p.BirthTime, p.Age, p.Phone, p.Address, p.Marital.Code, p.Department.Name, p.Organization.ID.Extension}, "|"))
	say("doc", strings.Join([]string{d.Template, d.TemplateID, d.ID.Extension, d.Title, d.Time, d.Version, d.Custodian.ID.Extension, d.Custodian.Name}, "|"))
	for _, a := range d.Authors {
		say("author", a.Time+" "+a.ID.Extension+" "+a.Name)
	}
	for _, s := range d.Signers {
		say("signer", strings.Join([]string{s.Time, s.ID.Extension, s.Role, s.Name}, "|"))
	}
	var entry func(section string, e *cda.Entry)
	entry = func(section string, e *cda.Entry) {
		c := e.Value.Code
		say(section+" "+e.Code.Code+" "+e.Name(), strings.TrimSpace(strings.Join([]string{e.Value.Text, e.Value.Unit, c.Code, c.System, words(c), e.Value.NullFlavor, e.Text, e.Time}, " ")))
		if m := e.Medicine; m != nil {
			say(section+" drug", strings.Join([]string{m.Name, m.Code.Code, m.Dose.Text, m.Dose.Unit, m.Route.Code, m.Form.Code, words(m.Frequency)}, "|"))
		}
		for i := range e.Parts {
			entry(section, &e.Parts[i])
		}
	}
	for i := range d.Sections {
		for j := range d.Sections[i].Entries {
			entry(d.Sections[i].Code.Code, &d.Sections[i].Entries[j])
		}
	}
	slices.Sort(out)
	return out
}

// lost are the statements of a that b has not.
func lost(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
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
			if l := lost(a, b); l != nil {
				t.Errorf("lost:\n%s", strings.Join(l, "\n"))
			}
			if l := lost(b, a); l != nil {
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
			if l := lost(loose(statements(t, doc)), loose(statements(t, back))); l != nil {
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
