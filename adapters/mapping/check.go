package mapping

import (
	"bytes"
	"context"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// test is an example that stands in the map.
type test struct {
	name    string
	message string
	source  string // Source.Name for JSON and rows
	refused bool
	expect  []expectation
	line    int
}

// expectation is a FHIRPath over the Bundle of what the map wrote.
type expectation struct {
	expr *fhirpath.Expression
	src  string
	line int
}

// Failure is a test of a map that did not hold.
type Failure struct {
	Test string
	Line int
	Text string
}

func (r *compiling) readTests(n *yaml.Node) {
	for _, item := range list(n) {
		t := &test{line: item.Line}
		for k, v := range pairs(item) {
			switch k.Value {
			case "name":
				t.name = v.Value
			case "message":
				t.message = v.Value
			case "source":
				t.source = v.Value
			case "refused":
				t.refused = v.Value == "true"
			case "expect":
				r.expectations(t, v)
			default:
				r.fail(k, "tests 中不认识的键 %s", "可用：name source message expect refused", k.Value)
			}
		}
		if t.message == "" || len(t.expect) == 0 && !t.refused {
			r.fail(item, "测试缺少 message 或 expect", "给出报文和至少一条期望")
		}
		r.m.tests = append(r.m.tests, t)
	}
}

func (r *compiling) expectations(t *test, n *yaml.Node) {
	for _, x := range list(n) {
		e, err := r.paths.Compile(x.Value)
		if err != nil {
			r.fail(x, "期望 %s：%s", "对结果 Bundle 的 FHIRPath 条件", x.Value, cause(err))
			continue
		}
		t.expect = append(t.expect, expectation{e, x.Value, x.Line})
	}
}

// Example returns the first message of the map's tests, and what its source is
// called: something to try it on.
func (m *Map) Example() (message, source string) {
	for _, t := range m.tests {
		if !t.refused {
			return t.message, t.source
		}
	}
	return "", ""
}

// Read makes the source of a message in the map's format. name is the table of
// a row, or what a JSON message is called.
func Read(format Format, name string, message []byte) (*Source, error) {
	switch format {
	case FormatV2:
		m, _, err := hl7v2.Decode(message)
		if err != nil {
			return nil, err
		}
		return V2(m)
	case FormatXML:
		return XML(message)
	case FormatRow:
		s, err := JSON(name, message)
		if err == nil {
			s.Format = FormatRow
		}
		return s, err
	}
	return JSON(name, message)
}

// FormatOf guesses what a message is written in, by its beginning.
func FormatOf(message []byte) Format {
	head := bytes.TrimLeft(message[:min(len(message), 4096)], "\ufeff \t\r\n\x0b")
	switch {
	case bytes.HasPrefix(head, []byte("MSH")):
		return FormatV2
	case bytes.HasPrefix(head, []byte("<")):
		return FormatXML
	}
	return FormatJSON
}

// Test runs the map's own tests; none failing is an empty list.
func (m *Map) Test(ctx context.Context) (passed int, failures []Failure) {
	for _, t := range m.tests {
		if f := m.check(ctx, t); len(f) > 0 {
			failures = append(failures, f...)
		} else {
			passed++
		}
	}
	return passed, failures
}

func (m *Map) check(ctx context.Context, t *test) []Failure {
	fail := func(line int, format string, args ...any) []Failure {
		return []Failure{{t.name, line, fmt.Sprintf(format, args...)}}
	}
	src, err := Read(m.Format, t.source, []byte(t.message))
	if err != nil {
		return fail(t.line, "报文不能解析：%v", err)
	}
	out, err := m.Apply(ctx, src)
	if t.refused {
		if !fault.Is(err, fault.Invalid) {
			return fail(t.line, "应被拒绝，却被接受")
		}
		return nil
	}
	if err != nil {
		return fail(t.line, "%v", err)
	}
	tree, err := fhir.Parse(out.Bundle())
	if err != nil {
		return fail(t.line, "结果不是合法 JSON：%v", err)
	}
	var bad []Failure
	for _, e := range t.expect {
		if ok, err := e.expr.EvalBool(nil, tree.Root()); err != nil || !ok {
			text := "不成立：" + e.src
			if err != nil {
				text += "（" + err.Error() + "）"
			}
			bad = append(bad, Failure{t.name, e.line, text})
		}
	}
	return bad
}

// Bundle is the result as a collection Bundle. Documents of other shapes stand
// among the resources, for tests and previews.
func (o *Result) Bundle() []byte {
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	n := 0
	for _, r := range o.Resources {
		if r.Body == nil {
			continue
		}
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`{"resource":`)
		b.Write(r.Body)
		b.WriteByte('}')
	}
	b.WriteString(`]}`)
	return b.Bytes()
}
