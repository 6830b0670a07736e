package mapping

import (
	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// miss says what becomes of a code without a target.
type miss string

const (
	missKeep   miss = "keep"   // the code stands as it came, its text beside it
	missDrop   miss = "drop"   // nothing is written
	missRefuse miss = "refuse" // the message goes to the dead letters until the code is mapped
	missUse    miss = "use"    // a default, noted
)

// codeTable is a code table of a map: a ConceptMap, codes inside the map, or both
// (the ConceptMap first).
type codeTable struct {
	name       string
	conceptMap string
	source     string // system of the codes that come in
	target     string // system of the codes that go out
	inline     map[string]Coding
	miss       miss
	use        Coding
	silent     bool // a miss is no finding
}

func (r *compiling) addTables(n *yaml.Node) {
	for k, v := range pairs(n) {
		t := &codeTable{name: k.Value, miss: missDrop, inline: map[string]Coding{}}
		var rows *yaml.Node
		for key, x := range pairs(v) {
			switch key.Value {
			case "map":
				t.conceptMap = x.Value
			case "source":
				t.source = x.Value
			case "system":
				t.target = x.Value
			case "table":
				rows = x
			case "silent":
				t.silent = x.Value == "true"
			case "miss":
				r.missing(t, x)
			default:
				r.fail(key, "代码表中不认识的键 %s", "可用：map source system table miss silent", key.Value)
			}
		}
		for code, to := range pairs(rows) {
			t.inline[code.Value] = t.coding(to)
		}
		if t.use.Code != "" {
			t.use = t.coding(&yaml.Node{Kind: yaml.ScalarNode, Value: t.use.Code})
		}
		r.m.tables[k.Value] = t
	}
}

func (r *compiling) missing(t *codeTable, n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		for k, v := range pairs(n) {
			if k.Value != "use" {
				r.fail(k, "miss 中不认识的键 %s", "写 use: 代码", k.Value)
			}
			t.miss, t.use.Code = missUse, v.Value
		}
		return
	}
	switch t.miss = miss(n.Value); t.miss {
	case missKeep, missDrop, missRefuse:
	default:
		r.fail(n, "不认识的 miss: %s", "可用：keep drop refuse，或 {use: 代码}", n.Value)
	}
}

// coding reads a target: a code, or [code, display].
func (t *codeTable) coding(n *yaml.Node) Coding {
	c := Coding{System: t.target}
	for i, x := range list(n) {
		switch i {
		case 0:
			c.Code = x.Value
		case 1:
			c.Display = x.Value
		case 2:
			c.System = x.Value
		}
	}
	return c
}

// translate finds the target of a code. What it does with one that has none is
// the table's to say; the result then has no code, or the code as it came.
func (t *codeTable) translate(r *run, from Coding, place string) (Coding, error) {
	if from.Code == "" {
		return Coding{}, nil
	}
	if t.conceptMap != "" && r.m.compiler.codes != nil {
		system := from.System
		if system == "" {
			system = t.source
		}
		to, ok, err := r.m.compiler.codes.Translate(r.paths.Ctx, t.conceptMap, system, from.Code)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return Coding{}, err
		}
		if ok {
			return to, nil
		}
	}
	if to, ok := t.inline[from.Code]; ok {
		return to, nil
	}
	return t.missed(r, from, place)
}

func (t *codeTable) missed(r *run, from Coding, place string) (Coding, error) {
	if from.System == "" {
		from.System = t.source
	}
	if len(r.out.Unmapped) < maxIssues && !t.silent {
		r.out.Unmapped = append(r.out.Unmapped, Unmapped{Table: t.name, ConceptMap: t.conceptMap, System: from.System,
			Code: from.Code, Display: from.Display, Place: place})
	}
	switch t.miss {
	case missRefuse:
		e := fault.New(fault.Invalid, "代码表 %s 中没有该代码", t.name)
		return Coding{}, e.With(fault.Issue{Severity: "error", Code: "code-invalid", Key: "unmapped-code", Text: e.Msg, Expression: place,
			Hint: "在控制台「代码对照」中为它确定对应，然后重放"})
	case missUse:
		r.note("code-invalid", "unmapped-code", place, "代码表 "+t.name+" 中没有该代码，已用默认值", nil)
		return t.use, nil
	case missKeep:
		return from, nil
	}
	return Coding{}, nil
}

// coded writes a Coding or CodeableConcept from a table.
type coded struct {
	table                     *codeTable
	of, system, display, text *expression
	concept                   bool
	line                      int
}

func (r *compiling) coded(n *yaml.Node, d directives, t elementType, s scope) node {
	c := &coded{table: r.m.tables[d.code.Value], line: n.Line}
	if c.table == nil {
		r.fail(d.code, "没有代码表 %s", "在 codes 中定义它", d.code.Value)
		return nil
	}
	if t.typ == nil || t.typ.Name != "CodeableConcept" && t.typ.Name != "Coding" {
		r.fail(n, "$code 只能用于 CodeableConcept 与 Coding", "code 类型的元素用 =….code('表')")
		return nil
	}
	c.concept = t.typ.Name == "CodeableConcept"
	if d.of == nil {
		r.fail(n, "$code 缺少 $of", "给出要翻译的代码")
		return nil
	}
	c.of = r.expression(d.of, s)
	for _, x := range []struct {
		n *yaml.Node
		e **expression
	}{{d.system, &c.system}, {d.display, &c.display}, {d.text, &c.text}} {
		if x.n != nil {
			*x.e = r.expression(x.n, s)
		}
	}
	for _, m := range d.members {
		r.fail(m.key, "$code 旁不能再有元素 %s", "用 $text、$display", m.key.Value)
	}
	if c.of == nil {
		return nil
	}
	return c
}

func (c *coded) class() class { return fromMessage }

func (c *coded) emit(r *run, dst []byte, _ int) ([]byte, int, error) {
	var from Coding
	var text string
	for _, x := range []struct {
		e *expression
		s *string
	}{{c.of, &from.Code}, {c.system, &from.System}, {c.display, &from.Display}, {c.text, &text}} {
		s, err := r.text(x.e)
		if err != nil {
			return dst, 0, err
		}
		*x.s = s
	}
	if from.System == "" {
		from.System = c.table.source
	}
	to, err := c.table.translate(r, from, r.placeOf(r.focus))
	if err != nil {
		return dst, 0, err
	}
	if text == "" {
		text = from.Display
	}
	if to.Code == "" && (text == "" || !c.concept) {
		return dst, 0, nil
	}
	before := len(dst)
	dst = c.write(dst, from, to, text)
	if r.tracer != nil {
		r.tracer.coded(r, c, dst[before:])
	}
	return dst, 1, nil
}

// write writes the target first and the code as it came behind it.
func (c *coded) write(dst []byte, from, to Coding, text string) []byte {
	if !c.concept {
		return to.append(dst)
	}
	dst = append(dst, '{')
	if to.Code != "" {
		dst = to.append(append(dst, `"coding":[`...))
		if from.System != "" && from != to && (from.System != to.System || from.Code != to.Code) {
			dst = from.append(append(dst, ','))
		}
		dst = append(dst, ']')
	}
	if text != "" {
		if to.Code != "" {
			dst = append(dst, ',')
		}
		dst = fhir.AppendString(append(dst, `"text":`...), text)
	}
	return append(dst, '}')
}

func (c Coding) append(dst []byte) []byte {
	dst = append(dst, '{')
	for _, x := range []struct{ key, v string }{{`"system":`, c.System}, {`"code":`, c.Code}, {`"display":`, c.Display}} {
		if x.v == "" {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = fhir.AppendString(append(dst, x.key...), x.v)
	}
	return append(dst, '}')
}
