package cda

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func load(t testing.TB) (*Catalogue, *Checker) {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewChecker(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, k
}

// specimen is the full document of a template as bytes.
func specimen(t testing.TB, code string) []byte {
	t.Helper()
	c, _ := load(t)
	tp := c.Template(code)
	return Append(nil, Specimen(c, tp), tp)
}

func judge(t testing.TB, doc []byte) []fault.Issue {
	t.Helper()
	_, k := load(t)
	d, issues, err := Read(doc, "")
	if err != nil {
		return fault.IssuesOf(err)
	}
	return append(issues, k.Check(d)...)
}

func TestGolden(t *testing.T) {
	for _, code := range []string{"C0002", "C0005", "C0033"} {
		got, file := specimen(t, code), filepath.Join("testdata", code+".golden.xml")
		got = bytes.ReplaceAll(got, []byte("><"), []byte(">\n<"))
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s changed; look at the difference and run with -update", file)
		}
	}
}

// TestCatalogueCoversTheStandard counts what the embedded facts hold.
func TestCatalogueCoversTheStandard(t *testing.T) {
	c, k := load(t)
	elements := 0
	for i := range c.Templates {
		tp := &c.Templates[i]
		if c.TemplateOf(tp.OID) != tp || c.Template(strings.ToLower(tp.Code)) != tp {
			t.Errorf("%s is not found", tp.Code)
		}
		for s, e := range tp.Elements() {
			elements++
			if at, found := tp.Element(e.DE, e.Name); found == nil || at < 0 || at > s {
				t.Errorf("%s %s %s is not found", tp.Code, e.DE, e.Name)
			}
		}
	}
	if len(c.Templates) != 53 || elements < 1100 || len(c.Datasets) != 60 {
		t.Errorf("%d templates, %d elements, %d data sets", len(c.Templates), elements, len(c.Datasets))
	}
	for _, r := range k.Rules() {
		if r.Message == "" || r.English == "" || r.Source == "" {
			t.Errorf("rule %s does not say what, in English, or why", r.ID)
		}
	}
}

// TestBrokenDocuments breaks one thing of a good document each; the report names
// the rule and the place.
func TestBrokenDocuments(t *testing.T) {
	good := string(specimen(t, "C0002"))
	if is := judge(t, []byte(good)); is != nil {
		t.Fatalf("the specimen is not clean: %+v", is)
	}
	const de, system = `code="DE04.01.119.00" codeSystem="`, `2.16.156.10011.2.2.1"`
	for _, c := range []struct{ name, old, new, key, place, severity string }{
		{"wrong template", `2.1.1.22"`, `2.1.1.25"`, "cda-H04", "/ClinicalDocument/templateId", "fatal"},
		{"unknown template", `2.1.1.22"`, `2.1.1.99"`, "cda-H04", "/ClinicalDocument/templateId", "fatal"},
		{"document code system", `codeSystem="2.16.156.10011.2.4"`, `codeSystem="1.2.3"`, "cda-H05", "/ClinicalDocument/code", "error"},
		{"document root", `<id root="2.16.156.10011.1.1"`, `<id root="1.2.3"`, "cda-H06", "/ClinicalDocument/id", "error"},
		{"time", `<effectiveTime value="20261012083600"/>`, `<effectiveTime value="昨天"/>`, "cda-H08", "/ClinicalDocument/effectiveTime", "error"},
		{"no visit", `<id root="2.16.156.10011.1.11" extension="S0001"/>`, ``, "cda-P01", "/ClinicalDocument/recordTarget/patientRole/id", "fatal"},
		{"root of the visit", `root="2.16.156.10011.1.11"`, `root="2.16.156.10011.9.9"`, "cda-P02", "/ClinicalDocument/recordTarget/patientRole/id", "error"},
		{"no name", `<name>张三</name>`, `<name/>`, "cda-P03", "/ClinicalDocument/recordTarget/patientRole/patient/name", "error"},
		{"gender", `administrativeGenderCode code="1"`, `administrativeGenderCode code="M"`, "cda-P04", "/ClinicalDocument/recordTarget/patientRole/patient/administrativeGenderCode", "error"},
		{"no organisation", `<representedCustodianOrganization classCode="ORG" determinerCode="INSTANCE"><id root="2.16.156.10011.1.5" extension="370000000001"/>`,
			`<representedCustodianOrganization>`, "cda-A02", "/ClinicalDocument/custodian/assignedCustodian/representedCustodianOrganization/id", "fatal"},
		{"missing section", `code="10154-3"`, `code="99999-9"`, "cda-S01", "/ClinicalDocument/component/structuredBody", "error"},
		{"foreign section", `code="10154-3"`, `code="99999-9"`, "cda-S02", "/ClinicalDocument/component/structuredBody/component[2]/section", "warning"},
		{"foreign element", de, `code="DE04.50.131.00" codeSystem="`, "cda-E01", "section/entry/observation", "warning"},
		{"element catalogue", de + system, de + `1.2.3"`, "cda-E02", "section/entry/observation", "error"},
		{"value table", `code="1" codeSystem="2.16.156.10011.2.3.2.39"`, `code="7" codeSystem="2.16.156.10011.2.3.2.39"`, "cda-E04", "section/entry[1]/observation", "error"},
		{"code system", `code="J00.x00" codeSystem="2.16.156.10011.2.3.3.11"`, `code="J00.x00" codeSystem="2.16.156.10011.2.3.3.5"`, "cda-E08", "observation", "error"},
		{"2021 code without its edition", `code="BNF012" codeSystem="2.16.156.10011.2.3.3.14" codeSystemName="GB/T 15657-1995 中医病证分类与代码" codeSystemVersion="1995"`,
			`code="A01.01.01" codeSystem="2.16.156.10011.2.3.3.14"`, "cda-E06", "observation", "warning"},
		{"edition", `code="BNF012" codeSystem="2.16.156.10011.2.3.3.14"`, `code="A01.01.01" codeSystem="2.16.156.10011.2.3.3.14"`, "cda-E06", "observation", "warning"},
		{"no chief complaint", `试填主诉`, ``, "cda-D01", "/ClinicalDocument", "error"},
		{"empty value", `<value xsi:type="ST">试填主诉</value>`, `<value xsi:type="ST"/>`, "cda-E07", "observation", "warning"},
		{"flag", `<value xsi:type="BL" value="true"/>`, `<value xsi:type="TS" value="20260101"/>`, "cda-E03", "observation", "error"},
		{"script in text", `<text/>`, `<text><script>alert(1)</script>主诉</text>`, "cda-active-content", "section/text/script", "warning"},
		{"handler in text", `<text/>`, `<text><paragraph onclick="x()">主诉</paragraph></text>`, "cda-active-content", "text/paragraph", "warning"},
		{"doctype", "<ClinicalDocument", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><ClinicalDocument", "xml-syntax", "", "fatal"},
		{"not CDA", "urn:hl7-org:v3", "urn:other", "cda-root", "/ClinicalDocument", "fatal"},
	} {
		doc := strings.Replace(good, c.old, c.new, 1)
		if doc == good {
			t.Errorf("%s: nothing was broken", c.name)
			continue
		}
		found := false
		for _, is := range judge(t, []byte(doc)) {
			found = found || is.Key == c.key && strings.Contains(is.Expression, c.place) && is.Severity == c.severity && is.Text != ""
		}
		if !found {
			t.Errorf("%s: no %s of %s at %s in %+v", c.name, c.severity, c.key, c.place, judge(t, []byte(doc)))
		}
	}
}

func TestScriptsAreTakenOff(t *testing.T) {
	doc := strings.Replace(string(specimen(t, "C0002")), "<text/>", `<text><script>alert(1)</script><paragraph>主诉</paragraph><table><tr><td>甲</td><td>乙</td></tr></table></text>`, 1)
	d, _, err := Read([]byte(doc), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Sections[0].Text; got != "主诉\n甲 乙" {
		t.Errorf("%q", got)
	}
}

func TestCharsets(t *testing.T) {
	doc := specimen(t, "C0005")
	want, _, err := Read(doc, "")
	if err != nil {
		t.Fatal(err)
	}
	gbk, err := simplifiedchinese.GBK.NewEncoder().Bytes(doc)
	if err != nil {
		t.Fatal(err)
	}
	stated, _, err := Read(gbk, "GBK")
	if err != nil {
		t.Fatal(err)
	}
	declared, _, err := Read(bytes.Replace(gbk, []byte(`encoding="UTF-8"`), []byte(`encoding="GBK"`), 1), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Document{stated, declared} {
		if l := Missing(Statements(want), Statements(d)); l != nil {
			t.Errorf("lost %v", l)
		}
	}
}

// TestForeignDocuments reads American C-CDA documents: they are CDA, none follows a
// national template, and none breaks the reader.
func TestForeignDocuments(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "data", "suites", "ccda", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	_, k := load(t)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, _, err := Read(data, "")
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", filepath.Base(f), err)
			}
			continue
		}
		if bad := Fatal(k.Check(d)); bad == nil {
			t.Errorf("%s passes as a national document", filepath.Base(f))
		}
	}
}

func TestTimestamp(t *testing.T) {
	for s, want := range map[string]bool{"2026": true, "202610": true, "20261012": true, "202610120836": true, "20261012083600": true, "20261012083600.123+0800": true,
		"": false, "202": false, "20261312": false, "20261012250000": false, "2026-10-12": false, "昨天": false} {
		if Timestamp(s) != want {
			t.Errorf("%q", s)
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		format, value string
		want          bool
	}{{"AN..4", "感冒一二", true}, {"AN..4", "感冒一二三", false}, {"N1", "1", true}, {"N1", "12", false}, {"N..8,2", "123456.78", true}, {"N..8,2", "1.234", false},
		{"AN10", "1234567890", true}, {"N1..3", "120", true}, {"N1..3", "1200", false}, {"DT15", "x", true}, {"", "x", true}, {"T/F", "true", true}} {
		if Fits(c.format, c.value) != c.want {
			t.Errorf("%s %q", c.format, c.value)
		}
	}
}

func TestEdition(t *testing.T) {
	for code, want := range map[string]string{"A01.01.01": "2021", "B02.02.04.01.01.02": "2021", "BNF012": "1995", "ZBRDC00": "1995", "J00.x00": "", "感冒": "", "": "", "A01.x": ""} {
		if got := Edition(code); got != want {
			t.Errorf("%s is %q", code, got)
		}
	}
}

// FuzzRead: whatever comes, reading and judging end; what was read can be written,
// read again, and says the same.
func FuzzRead(f *testing.F) {
	c, k := load(f)
	for _, code := range []string{"C0005", "C0053"} { // short ones: long seeds are minimised for minutes
		d := Specimen(c, c.Template(code))
		d.Sections = d.Sections[:2]
		f.Add(Append(nil, d, c.Template(code)))
	}
	f.Add([]byte(`<ClinicalDocument xmlns="urn:hl7-org:v3"/>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		d, _, err := Read(doc, "")
		if err != nil {
			return
		}
		k.Check(d)
		tp := c.Template("C0002")
		again, _, err := Read(Append(nil, d, tp), "")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		written := Append(nil, again, tp)
		if third, _, err := Read(written, ""); err != nil || !bytes.Equal(Append(nil, third, tp), written) {
			t.Fatalf("writing is not stable: %v", err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	doc := specimen(b, "C0005")
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, _, err := Read(doc, ""); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	_, k := load(b)
	d, _, err := Read(specimen(b, "C0002"), "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		k.Check(d)
	}
}
