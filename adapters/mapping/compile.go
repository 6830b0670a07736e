package mapping

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of the compiler.
const (
	maxMap    = 1 << 20 // bytes of a map
	maxIssues = 50
	maxNest   = 40 // templates inside templates
)

// Coding is a code with its system.
type Coding struct{ System, Code, Display string }

// Codes answers from ConceptMaps.
type Codes interface {
	// Translate returns the target of a code in the map with this canonical; ok
	// is false if the map does not have the code. system may be "".
	// fault.NotFound if there is no such map.
	Translate(ctx context.Context, conceptMap, system, code string) (c Coding, ok bool, err error)
}

// Compiler compiles maps. It is immutable and safe for concurrent use.
type Compiler struct {
	model  *definitions.Model
	paths  *fhirpath.Engine
	codes  Codes
	zone   *time.Location
	shapes []string
}

// NewCompiler returns a compiler for times in zone. codes may be nil: tables
// inside the map still work then. shapes are names of documents that maps may
// write beside resources; their members are not checked against a model.
func NewCompiler(model *definitions.Model, codes Codes, zone *time.Location, shapes ...string) *Compiler {
	c := &Compiler{model: model, codes: codes, zone: zone, shapes: shapes}
	c.paths = fhirpath.NewEngine(model, fhirpath.WithFunctions(functions(zone)))
	return c
}

// Map is a compiled map. It is immutable and safe for concurrent use.
type Map struct {
	Name    string
	Title   string
	Version string // of its content: eight hex digits, the libraries' included
	Format  Format
	Text    []byte // as written

	compiler *Compiler
	names    []string // Source.Name of messages it takes; empty = any
	when     *expression
	time     *expression // business time of what it writes; nil = arrival
	require  []requirement
	lets     []binding
	tables   map[string]*codeTable
	body     []group
	tests    []*test
	priority int
	joined   *join // rows of several tables; nil: a row alone
}

// ID is name@version, as it stands in dead letters and traces.
func (m *Map) ID() string { return m.Name + "@" + m.Version }

// requirement is a condition without which a message is refused.
type requirement struct {
	test *expression
	at   string
	text string
}

type binding struct {
	name string
	expr *expression
}

// compiling is one run of the compiler.
type compiling struct {
	*Compiler
	m         *Map
	templates map[string]*yaml.Node
	shared    []*yaml.Node // libraries in use
	issues    []fault.Issue
	declared  []string // variables
	parts     int      // > 0: in a template that is only a part of what it is used in
	depth     int
}

// Compile compiles a map. libraries are the texts of the maps it may use
// templates and tables of, by name. All errors are one fault.Invalid with an
// issue per finding: line and column of the map, and how to mend it.
func (c *Compiler) Compile(name string, text []byte, libraries ...Library) (*Map, error) {
	if len(text) > maxMap {
		return nil, fault.New(fault.TooCostly, "映射 %s 超过 %d 字节", name, maxMap)
	}
	r := &compiling{Compiler: c, templates: map[string]*yaml.Node{}}
	r.m = &Map{Name: name, Text: slices.Clone(text), compiler: c, tables: map[string]*codeTable{}, Format: FormatV2}
	sum := sha256.New()
	root := r.parse(text)
	sum.Write(text)
	if root != nil {
		for _, use := range r.uses(root) {
			i := slices.IndexFunc(libraries, func(l Library) bool { return l.Name == use.Value })
			if i < 0 {
				r.fail(use, "没有库 %s", "检查 uses 中的名字", use.Value)
				continue
			}
			sum.Write(libraries[i].Text)
			r.library(libraries[i])
		}
		r.document(root)
	}
	r.m.Version = hex.EncodeToString(sum.Sum(nil)[:4])
	if len(r.issues) > 0 {
		return nil, fault.New(fault.Invalid, "映射 %s 不能编译", name).With(r.issues...)
	}
	return r.m, nil
}

// Library is a map file that others use templates and code tables of.
type Library struct {
	Name string
	Text []byte
}

// fail notes a finding at a node of the map.
func (r *compiling) fail(at *yaml.Node, format, hint string, args ...any) {
	if len(r.issues) >= maxIssues {
		return
	}
	is := fault.Issue{Severity: "error", Code: "invalid", Key: "map", Text: fmt.Sprintf(format, args...), Hint: hint}
	if at != nil {
		is.Line, is.Col = at.Line, at.Column
	}
	if slices.Contains(r.issues, is) {
		return // a template in use more than once
	}
	r.issues = append(r.issues, is)
}

func (r *compiling) parse(text []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		var line int
		fmt.Sscanf(unwrapped(err).Error(), "yaml: line %d:", &line)
		r.fail(&yaml.Node{Line: line, Column: 1}, "不是合法的 YAML：%v", "检查该行的缩进、冒号与引号", err)
		return nil
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		r.fail(&doc, "映射应为 YAML 键值结构", "以 map: 名字 开头")
		return nil
	}
	return doc.Content[0]
}

func unwrapped(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (r *compiling) uses(root *yaml.Node) []*yaml.Node {
	for k, v := range pairs(root) {
		if k.Value == "uses" {
			return list(v)
		}
	}
	return nil
}

// library takes templates and tables of another file.
func (r *compiling) library(l Library) {
	var doc yaml.Node
	if err := yaml.Unmarshal(l.Text, &doc); err != nil || len(doc.Content) == 0 {
		r.fail(nil, "库 %s 不是合法的 YAML", "", l.Name)
		return
	}
	for k, v := range pairs(doc.Content[0]) {
		switch k.Value {
		case "templates":
			r.addTemplates(v)
		case "codes":
			r.addTables(v)
		}
	}
	r.shared = append(r.shared, doc.Content[0])
}

// common takes what libraries say of every message: variables and requirements.
func (r *compiling) common() {
	for _, lib := range r.shared {
		for k, v := range pairs(lib) {
			switch k.Value {
			case "let":
				r.m.lets = append(r.m.lets, r.bindings(v, scope{})...)
			case "require":
				for _, q := range list(v) {
					r.requirement(q, scope{})
				}
			}
		}
	}
}

func (r *compiling) addTemplates(n *yaml.Node) {
	for k, v := range pairs(n) {
		r.templates[k.Value] = v
	}
}

// document reads the top level. Order matters only for what names need: the
// tables and templates come first.
func (r *compiling) document(root *yaml.Node) {
	var body, lets, require, match, tests, at, joins, key, group *yaml.Node
	for k, v := range pairs(root) {
		switch k.Value {
		case "map", "uses":
		case "title":
			r.m.Title = v.Value
		case "match":
			match = v
		case "time":
			at = v
		case "join":
			joins = v
		case "key":
			key = v
		case "group":
			group = v
		case "require":
			require = v
		case "let":
			lets = v
		case "codes":
			r.addTables(v)
		case "templates":
			r.addTemplates(v)
		case "resources":
			body = v
		case "tests":
			tests = v
		default:
			r.fail(k, "不认识的键 %s", "可用：map title match key join group uses time require let codes templates resources tests", k.Value)
		}
	}
	r.match(match)
	r.joins(key, joins, group)
	s := scope{}
	r.common()
	r.m.lets = append(r.m.lets, r.bindings(lets, s)...)
	if at != nil {
		r.m.time = r.expression(at, s)
	}
	for _, q := range list(require) {
		r.requirement(q, s)
	}
	r.m.body = r.groups(body, s)
	r.readTests(tests)
}

func (r *compiling) match(n *yaml.Node) {
	for k, v := range pairs(n) {
		switch k.Value {
		case "format":
			r.m.Format = Format(v.Value)
			if !slices.Contains([]Format{FormatV2, FormatJSON, FormatXML, FormatRow}, r.m.Format) {
				r.fail(v, "不认识的格式 %s", "可用：hl7v2 json xml row", v.Value)
			}
		case "name":
			for _, x := range list(v) {
				r.m.names = append(r.m.names, x.Value)
			}
		case "when":
			r.m.when = r.expression(v, scope{})
		case "priority":
			if err := v.Decode(&r.m.priority); err != nil {
				r.fail(v, "priority 应为整数", "")
			}
		default:
			r.fail(k, "match 中不认识的键 %s", "可用：format name when priority", k.Value)
		}
	}
}

func (r *compiling) bindings(n *yaml.Node, s scope) []binding {
	var out []binding
	for k, v := range pairs(n) {
		if x := r.expression(v, s); x != nil {
			out = append(out, binding{k.Value, x})
			r.declared = append(r.declared, k.Value)
		}
	}
	return out
}

func (r *compiling) requirement(n *yaml.Node, s scope) {
	var q requirement
	for k, v := range pairs(n) {
		switch k.Value {
		case "test":
			q.test = r.expression(v, s)
		case "at":
			q.at = v.Value
		case "text":
			q.text = v.Value
		default:
			r.fail(k, "require 中不认识的键 %s", "可用：test at text", k.Value)
		}
	}
	if q.test == nil {
		r.fail(n, "require 缺少 test", "给出 FHIRPath 条件")
		return
	}
	r.m.require = append(r.m.require, q)
}

// pairs iterates over a mapping; over nothing for nil and other nodes.
func pairs(n *yaml.Node) func(func(k, v *yaml.Node) bool) {
	return func(yield func(k, v *yaml.Node) bool) {
		n = resolved(n)
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], resolved(n.Content[i+1])) {
				return
			}
		}
	}
}

// list returns the items of a sequence, or a single value as one.
func list(n *yaml.Node) []*yaml.Node {
	switch n = resolved(n); {
	case n == nil:
		return nil
	case n.Kind == yaml.SequenceNode:
		return n.Content
	}
	return []*yaml.Node{n}
}

// resolved follows a YAML alias.
func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
