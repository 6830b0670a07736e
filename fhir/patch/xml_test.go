package patch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// TestXMLPatchSuite runs the suite of HL7: documents that are no resources, so
// the patch is applied to XML alone.
func TestXMLPatchSuite(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/suites/patch/xml-patch-tests.xml"))
	if err != nil {
		t.Fatal(err)
	}
	suite, _, err := readTree(data)
	if err != nil {
		t.Fatal(err)
	}
	child := func(c *node, name string) *node {
		for _, k := range c.kids {
			if k.name.Local == name {
				return k
			}
		}
		return nil
	}
	inner := func(n *node) []byte {
		var b bytes.Buffer
		for _, k := range n.content() {
			if k.kind == xmlread.Start {
				k.write(&b, "")
			}
		}
		return b.Bytes()
	}
	passed, total := 0, 0
	for _, c := range suite.kids[0].kids {
		if c.kind != xmlread.Start {
			continue
		}
		total++
		var patch bytes.Buffer
		child(c, "patch").write(&patch, "")
		got, err := xmlPatch(inner(child(c, "target")), patch.Bytes())
		want := child(c, "patched")
		switch {
		case want == nil && err == nil:
			t.Errorf("%s: no error, %s", c.value("name"), got)
		case want != nil && (err != nil || shape(t, got) != shape(t, inner(want))):
			t.Errorf("%s: %v\n got %s\nwant %s", c.value("name"), err, got, inner(want))
		default:
			passed++
		}
	}
	shared.Figure(t, "xml patch suite", passed, total)
}

// shape is a document without white space around its texts and comments.
func shape(t *testing.T, data []byte) string {
	t.Helper()
	doc, _, err := readTree(data)
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	var trim func(n *node)
	trim = func(n *node) {
		n.text = strings.TrimSpace(n.text)
		for _, k := range n.kids {
			trim(k)
		}
	}
	trim(doc)
	var b bytes.Buffer
	doc.write(&b, "")
	return b.String()
}

const diff = `<diff xmlns:f="http://hl7.org/fhir">`

func TestXML_ok(t *testing.T) {
	for _, c := range []struct{ ops, want string }{
		{`<replace sel="f:Patient/f:birthDate/@value">1991</replace>`, `"birthDate":"1991"`},
		{`<replace sel="/Patient/name[family/@value='王']/family"><family value="赵 &amp; 钱"/></replace>`, `{"family":"赵 & 钱"}`},
		{`<remove sel="*/f:name[2]"/>`, `{"id":"g"}]}],"birthDate"`},
		{`<add sel="Patient/f:name[1]/f:given[1]" pos="after"><given value="c"/></add>`, `["a","c","b"]`},
		{`<add sel="f:Patient/f:name[1]/f:family" type="@id">i</add>`, `"_family":{"id":"i"}`},
		{`<add sel="f:Patient/f:name[1]" pos="before"><f:identifier><f:value value="1"/></f:identifier></add>`, `"identifier":[{"value":"1"}]`},
		{`<add sel="f:Patient" pos="prepend"><id value="x"/></add><remove sel="f:Patient/f:contact"/>`, `"id":"x"`},
	} {
		got, err := XML(engine().Model(), []byte(patient), []byte(diff+c.ops+`</diff>`))
		if err != nil || !bytes.Contains(got, []byte(c.want)) {
			t.Errorf("%s: %v\n got %s\nwant %s", c.ops, err, got, c.want)
		}
	}
}

func TestXML_bad(t *testing.T) {
	for _, c := range []struct{ ops, key, place string }{
		{``, "patch-form", ""},
		{`<grow sel="f:Patient/f:name[1]"/>`, "patch-op", "Patient.name[0]"},
		{`<remove/>`, "patch-path", ""},
		{`<remove sel="f:Patient/f:name[position()=1]"/>`, "patch-path", ""},
		{`<remove sel="f:Patient/f:name[f:given[1]='a']"/>`, "patch-path", ""},
		{`<remove sel="x:Patient/x:name"/>`, "patch-path", ""},
		{`<remove sel="f:Patient/f:name"/>`, "patch-target", "Patient.name"},
		{`<remove sel="f:Patient/f:name[3]"/>`, "patch-target", "Patient.name[2]"},
		{`<remove sel="f:Patient/f:name[1]/f:family/@id"/>`, "patch-target", "Patient.name[0].family"},
		{`<remove sel="f:Patient"/>`, "patch-root", "Patient"},
		{`<add sel="f:Patient" pos="after"><x/></add>`, "patch-root", "Patient"},
		{`<add sel="f:Patient" pos="middle"><x/></add>`, "patch-form", "Patient"},
		{`<add sel="f:Patient/f:birthDate" type="@value">1</add>`, "patch-exists", "Patient.birthDate"},
		{`<add sel="f:Patient/f:birthDate/@value">1</add>`, "patch-form", "Patient.birthDate"},
		{`<replace sel="f:Patient/f:birthDate">1991</replace>`, "patch-value", "Patient.birthDate"},
		{`<add sel="f:Patient"><active value="true"/></add>`, "xml-order", "Patient.active"},
		{`<add sel="f:Patient/f:contact"><x:y xmlns:x="urn:x"/></add>`, "", ""},
	} {
		_, err := XML(engine().Model(), []byte(patient), []byte(diff+"\n"+c.ops+`</diff>`))
		is := fault.IssuesOf(err)
		if !fault.Is(err, fault.Invalid) || len(is) != 1 || c.key != "" && (is[0].Key != c.key || is[0].Expression != c.place) {
			t.Errorf("%s: %v %+v", c.ops, err, is)
			continue
		}
		if strings.HasPrefix(c.key, "patch-") && c.ops != "" && is[0].Line != 2 {
			t.Errorf("%s: line %d", c.ops, is[0].Line)
		}
	}
	costly := diff + strings.Repeat(`<replace sel="f:Patient/f:birthDate/@value">1991</replace>`, maxChanges+1) + `</diff>`
	if _, err := XML(engine().Model(), []byte(patient), []byte(costly)); !fault.Is(err, fault.TooCostly) {
		t.Errorf("too many operations: %v", err)
	}
}

// FuzzXML applies arbitrary patches: an error or a resource, never a panic.
func FuzzXML(f *testing.F) {
	f.Add(diff + `<add sel="f:Patient/f:name[f:family/@value='x']" pos="before"><name/></add></diff>`)
	f.Add(`<diff><replace sel="*/*[2]/text()[1]">x</replace><remove sel="Patient/comment()"/></diff>`)
	f.Fuzz(func(t *testing.T, patch string) {
		out, err := XML(engine().Model(), []byte(patient), []byte(patch))
		if err == nil && !bytes.HasPrefix(out, []byte(`{"resourceType":`)) {
			t.Errorf("%s", out)
		}
	})
}
