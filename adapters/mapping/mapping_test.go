package mapping

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
)

var model = sync.OnceValues(definitions.Load)

func compiler(t testing.TB, codes Codes) *Compiler {
	t.Helper()
	m, err := model()
	if err != nil {
		t.Fatal(err)
	}
	return NewCompiler(m, codes, time.FixedZone("CST", 8*3600), "Visit")
}

const adt = "MSH|^~\\&|HIS|370000000001|HUB|TCM|20261012083105||ADT^A04^ADT_A01|443001A|P|2.5.1|||||CHN|UNICODE UTF-8\r" +
	"PID|1||100001^^^370000000001^PI~379901195603120010^^^&2.16.156.10011.1.3&ISO^NI||张^三||19560312|M|||示例县张庄镇||05300000000\r" +
	"DG1|1||J00.x00^急性上呼吸道感染^I10|||W\rDG1|2||^只有名字\r" +
	"ORC|NW|1\rOBR|1||F1|718-7^Hemoglobin^LN\rOBX|1|NM|718-7^Hb^LN||13.50|g/dL|||||F\rNTE|1||note\rOBX|2|ST|X^x||a\\T\\b||||||F\r"

const first = `map: first
match: {format: hl7v2, name: "ADT^A04"}
time: =MSH-7
require:
  - {test: PID-3.exists(), at: PID-3, text: 缺少患者编号}
let:
  org: =MSH-4.1
  pid: =PID-3.1.first()
  patient: =id('pat', %org, %pid)
codes:
  sex: {table: {M: male, F: female}, miss: refuse}
  labs: {source: http://loinc.org, system: urn:x, table: {718-7: [HB, 血红蛋白]}, miss: keep}
templates:
  CX:
    system: =iif(c5 = 'NI', 'urn:oid:' & c4s2, sid('patient', c4))
    value: =c1
resources:
  - Patient:
      id: =%patient
      active: true
      identifier: {$for: PID-3, $use: CX}
      name:
        - {$for: PID-5, text: "=c1 & c2"}
      gender: =PID-8.1.code('sex')
      birthDate: =PID-7
      telecom: [{system: phone, value: =PID-13}, {system: phone, value: =PID-14}]
      address: [{text: =PID-11}]
  - $for: DG1
    $if: DG1-3.exists()
    Condition:
      id: =id('cond', %patient, DG1-1)
      code: {text: =DG1-3.2, coding: [{code: =DG1-3.1}]}
      subject: ='Patient/' & %patient
  - $for: ORC.OBR
    resources:
      - $for: OBX
        Observation:
          id: =id('obs', OBR-3.1, OBX-1)
          status: final
          code: {$code: labs, $of: =OBX-3.1, $text: =OBX-3.2}
          subject: ='Patient/' & %patient
          valueQuantity:
            $if: OBX-2.1 = 'NM'
            value: =OBX-5
            unit: =OBX-6
          valueString: =iif(OBX-2.1 = 'ST', OBX-5.1)
          note: {$for: NTE, text: =NTE-3}
`

func source(t testing.TB, text string) *Source {
	t.Helper()
	s, err := Read(FormatV2, "", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compile(t testing.TB, text string) *Map {
	t.Helper()
	m, err := compiler(t, nil).Compile("first", []byte(text))
	if err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	return m
}

// eval asks FHIRPath of the Bundle a map made.
func eval(t testing.TB, m *Map, out *Result, expr string) string {
	t.Helper()
	x, err := m.compiler.paths.Compile(expr)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := fhir.Parse(out.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	items, err := x.Eval(nil, tree.Root())
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, it := range items {
		parts = append(parts, it.String())
	}
	return strings.Join(parts, ",")
}

func TestApply(t *testing.T) {
	m := compile(t, first)
	out, err := m.Trace(context.Background(), source(t, adt))
	if err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	for expr, want := range map[string]string{
		"Bundle.entry.count()": "5",
		"Bundle.entry.resource.ofType(Patient).identifier.system":                "https://qihuang.health/fhir/sid/patient/370000000001,urn:oid:2.16.156.10011.1.3",
		"Bundle.entry.resource.ofType(Patient).name.text":                        "张三",
		"Bundle.entry.resource.ofType(Patient).gender":                           "male",
		"Bundle.entry.resource.ofType(Patient).birthDate":                        "1956-03-12",
		"Bundle.entry.resource.ofType(Patient).telecom.count()":                  "1", // no number, no telecom
		"Bundle.entry.resource.ofType(Condition)[1].code.coding.count()":         "0",
		"Bundle.entry.resource.ofType(Observation).value.ofType(Quantity).value": "13.5",
		"Bundle.entry.resource.ofType(Observation).value.ofType(string)":         "a&b",
		"Bundle.entry.resource.ofType(Observation)[0].code.coding.code":          "HB,718-7",
		"Bundle.entry.resource.ofType(Observation).note.text":                    "note",
	} {
		if got := eval(t, m, out, expr); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	if out.Time != "2026-10-12T08:31:05+08:00" || len(out.Unmapped) != 1 || out.Unmapped[0].Code != "X" || len(out.Findings) != 0 {
		t.Errorf("%s %+v %+v", out.Time, out.Unmapped, out.Findings)
	}
	from := map[string]string{}
	for _, s := range out.Trace {
		from[s.Path] = strings.Join(s.From, " ")
	}
	for path, want := range map[string]string{"Patient.name[0].text": "PID[2]-5.1 PID[2]-5.2", "Patient.telecom[0].value": "PID[2]-13",
		"Patient.identifier[1].value": "PID[2]-3(1).1", "Observation.note[0].text": "NTE[8]-3", "Patient.active": ""} {
		if from[path] != want {
			t.Errorf("%s comes from %q, want %q", path, from[path], want)
		}
	}
}

func TestApply_bad(t *testing.T) {
	m := compile(t, first)
	for name, c := range map[string]struct{ from, to, place string }{
		"required": {"100001^^^370000000001^PI~379901195603120010^^^&2.16.156.10011.1.3&ISO^NI", "", "PID-3"},
		"code":     {"|M|", "|Q|", "PID[2]-8.1"},
	} {
		_, err := m.Apply(context.Background(), source(t, strings.Replace(adt, c.from, c.to, 1)))
		is := fault.IssuesOf(err)
		if !fault.Is(err, fault.Invalid) || len(is) != 1 || is[0].Expression != c.place {
			t.Errorf("%s: %v %+v", name, err, is)
		}
	}
	out, err := m.Apply(context.Background(), source(t, strings.Replace(adt, "|19560312|", "|soon|", 1)))
	if err != nil || len(out.Findings) != 1 || out.Findings[0].Expression != "PID[2]-7" {
		t.Errorf("%v %+v", err, out.Findings)
	}
}

// TestCompile_bad: every mistake is told with its line and column.
func TestCompile_bad(t *testing.T) {
	for name, c := range map[string]struct {
		from, to, text string
		line, col      int
	}{
		"element":    {"birthDate: =PID-7", "birthdate: =PID-7", "没有元素 birthdate", 25, 7},
		"syntax":     {"=id('pat', %org, %pid)", "=id('pat', %org", "表达式", 9, 12},
		"function":   {"=MSH-4.1", "=MSH-4.foo()", "foo", 7, 8},
		"type":       {"- Patient:", "- Patent:", "没有资源类型 Patent", 18, 5},
		"template":   {"$use: CX", "$use: CY", "没有模板 CY", 21, 39},
		"table":      {"$code: labs", "$code: lab", "没有代码表 lab", 40, 25},
		"required":   {"          status: final\n", "", "Observation 缺少必需的元素 status", 38, 11},
		"no id":      {"id: =%patient", "language: zh", "没有 id", 18, 5},
		"key":        {"require:", "requires:", "不认识的键 requires", 4, 1},
		"directive":  {"$if: DG1", "$when: DG1", "不认识的指令 $when", 29, 5},
		"format":     {"format: hl7v2", "format: hl7", "不认识的格式 hl7", 2, 17},
		"several":    {"gender: =PID-8.1.code('sex')", "gender: [male, female]", "只能有一个值", 24, 15},
		"boolean":    {"active: true", "active: perhaps", "不是 boolean", 20, 15},
		"yaml":       {"title", "title", "", 0, 0},
		"no library": {"time: =MSH-7", "uses: [x]", "没有库 x", 3, 8},
	} {
		text := strings.Replace(first, c.from, c.to, 1)
		if name == "yaml" {
			text, c.text, c.line, c.col = "map: x\n  y: [", "不是合法的 YAML", 2, 1
		}
		_, err := compiler(t, nil).Compile("first", []byte(text))
		found := false
		for _, is := range fault.IssuesOf(err) {
			found = found || strings.Contains(is.Text, c.text) && is.Line == c.line && is.Col == c.col
		}
		if !found {
			t.Errorf("%s: %v %+v", name, err, fault.IssuesOf(err))
		}
	}
}

func BenchmarkApply(b *testing.B) {
	m := compile(b, first)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Apply(context.Background(), source(b, adt)); err != nil {
			b.Fatal(err)
		}
	}
}
