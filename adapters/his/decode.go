package his

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxIssues bounds what is told of one document.
const maxIssues = 50

// Decoder reads visit documents. It is immutable and safe for concurrent use.
type Decoder struct {
	zone  *time.Location
	root  *shape
	codes UnknownCodes
	maps  mapping.Codes // of local diagnosis codes; may be nil
}

// DiagnosisMap is the ConceptMap of diagnosis codes that are no national ones;
// its sources are the organisations' own systems.
const DiagnosisMap = tcm.Base + "/ConceptMap/local-diagnosis"

// diagnosisTable names it in the code workbench.
const diagnosisTable = "diagnosis"

// unmapped is a refusal because of codes that a person may map.
type unmapped struct {
	error
	list []mapping.Unmapped
}

func (u unmapped) Unwrap() error { return u.error }

// Unmapped returns the codes without a target that a document was refused for.
func Unmapped(err error) []mapping.Unmapped {
	var u unmapped
	if errors.As(err, &u) {
		return u.list
	}
	return nil
}

// UnknownCodes says what to do with a diagnosis code that no national code
// system can have.
type UnknownCodes string

// Refuse sends the document to the dead letters, where it can be replayed after
// the code was mapped; Keep stores the code under the organisation's own system.
const (
	Refuse UnknownCodes = "refuse"
	Keep   UnknownCodes = "keep"
)

// shape is what a decoder knows of one struct type.
type shape struct {
	members map[string]*member
	order   []*member
}

type member struct {
	name, doc string
	index     int
	need      bool
	list      bool
	object    *shape // nil for scalars
	scalar    scalar // set == nil: text
}

// NewDecoder returns a decoder for times in zone. maps answers for local
// diagnosis codes; nil knows none.
func NewDecoder(zone *time.Location, codes UnknownCodes, maps mapping.Codes) *Decoder {
	return &Decoder{zone: zone, codes: codes, maps: maps, root: shapeOf(reflect.TypeFor[Document]())}
}

func shapeOf(t reflect.Type) *shape {
	s := &shape{members: map[string]*member{}}
	for i := range t.NumField() {
		f := t.Field(i)
		m := &member{name: f.Tag.Get("json"), doc: f.Tag.Get("doc"), index: i, need: f.Tag.Get("need") == "key"}
		ft := f.Type
		if m.list = ft.Kind() == reflect.Slice; m.list {
			ft = ft.Elem()
		}
		if sc, ok := scalars[ft]; ok {
			m.scalar = sc
		} else if ft.Kind() == reflect.Struct {
			m.object = shapeOf(ft)
		}
		s.members[m.name] = m
		s.order = append(s.order, m)
	}
	return s
}

// Decode reads text (UTF-8 JSON). What is wrong is a fault.Invalid with every
// finding and its place: code "structure" if it is not JSON at all. Warnings
// (unknown members, missing times) do not stop a document.
func (d *Decoder) Decode(ctx context.Context, text []byte) (doc *Document, warnings []fault.Issue, err error) {
	tree, err := fhir.Parse(text)
	if err != nil {
		return nil, nil, syntax(err)
	}
	run := &decoding{tree: tree, zone: d.zone}
	doc = &Document{}
	run.object(tree.Root(), d.root, reflect.ValueOf(doc).Elem(), &place{})
	if len(run.errors) == 0 {
		if err := run.translate(ctx, doc, d.maps); err != nil {
			return nil, run.warnings, err
		}
		run.check(doc, d.codes)
	}
	if len(run.errors) > 0 {
		err = fault.New(fault.Invalid, "就诊文档不符合格式").With(run.errors...)
		if len(run.unmapped) > 0 {
			err = unmapped{err, run.unmapped}
		}
		return nil, run.warnings, err
	}
	return doc, run.warnings, nil
}

func syntax(err error) error {
	e := fault.New(fault.Invalid, "内容不是合法的 JSON：%w", err)
	for _, is := range fault.IssuesOf(err) {
		is.Code, is.Severity = "structure", "fatal"
		if is.Hint == "" {
			is.Hint = "请检查该位置附近的引号、逗号与括号"
		}
		e.Issues = append(e.Issues, is)
	}
	if len(e.Issues) == 0 {
		e.Issues = []fault.Issue{{Severity: "fatal", Code: "structure", Key: "json", Text: err.Error(), Hint: "请检查引号、逗号与括号"}}
	}
	return e
}

// place is where the decoder is, written out only when something is wrong.
type place struct {
	up    *place
	name  string
	index int // item of a list, -1 = none
}

func (p *place) String() string {
	if p.up == nil {
		return ""
	}
	s := p.up.String()
	if s != "" {
		s += "."
	}
	s += p.name
	if p.index >= 0 {
		s += "[" + strconv.Itoa(p.index) + "]"
	}
	return s
}

type decoding struct {
	tree             *fhir.Tree
	zone             *time.Location
	errors, warnings []fault.Issue
	unmapped         []mapping.Unmapped
}

func (r *decoding) issue(n fhir.Node, severity, code, key, path, text, hint string) {
	line, col := r.tree.Position(n.Offset())
	is := fault.Issue{Severity: severity, Code: code, Key: key, Text: text, Expression: path, Line: line, Col: col, Hint: hint}
	if severity == "warning" {
		r.warnings = append(r.warnings, is)
	} else if len(r.errors) < maxIssues {
		r.errors = append(r.errors, is)
	}
}

func (r *decoding) object(n fhir.Node, s *shape, v reflect.Value, at *place) {
	if n.Kind() != fhir.Object {
		r.issue(n, "error", "structure", "not-an-object", at.String(), fmt.Sprintf("%s 应为 JSON 对象", name(at)), "用 { } 包住各字段")
		return
	}
	var seen uint64
	for c := range n.Children() {
		m := s.members[c.Key()]
		if m == nil {
			r.unknown(c, s, at)
			continue
		}
		if absent(c) {
			continue
		}
		seen |= 1 << m.index
		r.member(c, m, v.Field(m.index), &place{at, m.name, -1})
	}
	for _, m := range s.order {
		if m.need && seen&(1<<m.index) == 0 {
			p := (&place{at, m.name, -1}).String()
			r.issue(n, "error", "required", "missing-key", p, "缺少必填项 "+p+"（"+m.doc+"）", "请补上 "+m.name)
		}
	}
}

func (r *decoding) member(n fhir.Node, m *member, v reflect.Value, at *place) {
	if !m.list {
		r.value(n, m, v, at)
		return
	}
	if n.Kind() != fhir.Array {
		r.issue(n, "error", "structure", "not-a-list", at.String(), at.String()+" 应为数组", "用 [ ] 包住各项")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), n.Len(), n.Len()))
	i := 0
	for c := range n.Children() {
		r.value(c, m, v.Index(i), &place{at.up, m.name, i})
		i++
	}
}

func (r *decoding) value(n fhir.Node, m *member, v reflect.Value, at *place) {
	if m.object != nil {
		r.object(n, m.object, v, at)
		return
	}
	if k := n.Kind(); k != fhir.String && k != fhir.Number && k != fhir.Bool {
		r.issue(n, "error", "structure", "not-a-value", at.String(), at.String()+" 应为文本或数字", "")
		return
	}
	s := strings.TrimSpace(n.Str())
	if m.scalar.set == nil {
		v.SetString(s)
		return
	}
	if !m.scalar.set(v, s, r.zone) {
		code, key := "value", "bad-value"
		if m.scalar.coded {
			code, key = "code-invalid", "unknown-code"
		}
		r.issue(n, "error", code, key, at.String(), at.String()+"（"+m.doc+"）的值无法识别", m.scalar.hint)
	}
}

func (r *decoding) unknown(n fhir.Node, s *shape, at *place) {
	p := (&place{at, n.Key(), -1}).String()
	hint := ""
	for name := range s.members {
		if strings.EqualFold(name, n.Key()) {
			hint = "是否应为 " + name + "？"
		}
	}
	r.issue(n, "warning", "not-found", "unknown-member", p, "不认识的字段 "+p+"，已忽略", hint)
}

// absent reports the ways HIS systems say nothing: null, "", blanks, "null".
func absent(n fhir.Node) bool {
	switch n.Kind() {
	case fhir.Null:
		return true
	case fhir.String:
		s := strings.TrimSpace(n.Str())
		return s == "" || s == "null"
	}
	return false
}

func name(at *place) string {
	if s := at.String(); s != "" {
		return s
	}
	return "就诊文档"
}
