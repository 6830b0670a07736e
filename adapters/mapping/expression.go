package mapping

import (
	"errors"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// expression is a compiled value of a map.
type expression struct {
	x         *fhirpath.Expression
	src       string
	line, col int
	plain     *plain // when it is no more than a path
	reads     bool   // looks into the message, not only at variables
}

// scope is where in the message a template stands, as far as it is known when
// compiling: the segment that is the focus, and those around it.
type scope struct {
	segment string
	around  []string
}

func (s scope) inside(segment string) scope {
	around := s.around
	if s.segment != "" {
		around = append(around[:len(around):len(around)], s.segment)
	}
	return scope{segment, around}
}

var (
	shorthand = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|\b([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?(?:\.(\d+))?`)
	plainPath = regexp.MustCompile(`^(%[A-Za-z_]\w*|[A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)(\.first\(\))?$`)
)

// plain is an expression that is only a path: from the focus or a variable,
// through members, perhaps to the first item. Most are, and walking them
// needs no engine.
type plain struct {
	variable string
	path     []string
	first    bool
}

func plainOf(text string) *plain {
	m := plainPath.FindStringSubmatch(text)
	if m == nil || m[1] == "true" || m[1] == "false" {
		return nil
	}
	p := &plain{first: m[3] != ""}
	if p.path = strings.Split(m[1]+m[2], "."); m[1][0] == '%' {
		if m[1] == "%resource" || m[1] == "%context" {
			return nil
		}
		p.variable, p.path = m[1][1:], p.path[1:]
	}
	return p
}

// eval appends what the path leads to; ok is false if the engine must say.
func (p *plain) eval(r *run, dst fhirpath.Collection) (out fhirpath.Collection, ok bool) {
	begun := len(dst)
	if p.variable == "" {
		n, ok := r.focus.Node()
		if !ok {
			return dst, false
		}
		dst = walk(dst, n, p.path)
	} else {
		items, known := r.paths.Variables[p.variable]
		if !known {
			return dst, false
		}
		if len(p.path) == 0 {
			dst = append(dst, items...)
		}
		for _, it := range items {
			if n, node := it.Node(); node && len(p.path) > 0 {
				dst = walk(dst, n, p.path)
			}
		}
	}
	if p.first && len(dst) > begun {
		dst = dst[:begun+1]
	}
	return dst, true
}

// expression compiles a scalar, with or without the leading "=".
func (r *compiling) expression(n *yaml.Node, s scope) *expression {
	if n = resolved(n); n == nil || n.Kind != yaml.ScalarNode {
		r.fail(n, "这里应为表达式", "例如 =PID-3.1")
		return nil
	}
	src := strings.TrimSpace(strings.TrimPrefix(n.Value, "="))
	text := src
	if r.m.Format == FormatV2 {
		text = r.expand(src, s)
	}
	x, err := r.paths.Compile(text, fhirpath.Declare(append(r.declared[:len(r.declared):len(r.declared)], append(s.around, s.segment, "message", "index")...)...))
	if err != nil {
		r.fail(n, "表达式 %s：%s", "见 docs/formats/map.md", src, cause(err))
		return nil
	}
	e := &expression{x: x, src: src, line: n.Line, col: n.Column, reads: reads(x.Tree())}
	e.plain = plainOf(text)
	return e
}

func cause(err error) string {
	if is := fault.IssuesOf(err); len(is) > 0 {
		return is[0].Text
	}
	return err.Error()
}

// expand writes the shorthand PID-3.4.2 as a path from where the template
// stands: relative in its own segment, down to a nested one, by variable to one
// around it, else from the top of the message.
func (r *compiling) expand(src string, s scope) string {
	return shorthand.ReplaceAllStringFunc(src, func(m string) string {
		p := shorthand.FindStringSubmatch(m)
		if p[1] == "" {
			return m // a string
		}
		path := "f" + p[2]
		if p[3] != "" {
			path += ".c" + p[3]
			if p[4] != "" && p[4] != "1" {
				path += "s" + p[4]
			}
		}
		return s.prefix(p[1]) + path
	})
}

func (s scope) prefix(segment string) string {
	if segment == s.segment {
		return ""
	}
	for _, a := range s.around {
		if a == segment {
			return "%" + segment + "."
		}
	}
	for _, from := range append([]string{s.segment}, s.around...) {
		if way := downTo(from, segment); from != "" && way != "" {
			if from == s.segment {
				return way + "."
			}
			return "%" + from + "." + way + "."
		}
	}
	ways := topWays(segment)
	if len(ways) == 1 {
		return "%message." + ways[0] + "."
	}
	return "%message.select(" + strings.Join(ways, ".combine(") + strings.Repeat(")", len(ways)) + "."
}

// downTo is the shortest way from a segment to one nested in it, "" if it
// cannot be.
func downTo(from, segment string) string {
	type way struct{ name, path string }
	queue, seen := []way{{segment, segment}}, map[string]bool{}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		for _, p := range hl7v2.Parent("", w.name) {
			if p == from {
				return w.path
			}
			if !seen[p] {
				seen[p] = true
				queue = append(queue, way{p, p + "." + w.path})
			}
		}
	}
	return ""
}

// topWays are the ways from the top of a message to a segment: at the top
// itself, or nested.
func topWays(segment string) []string {
	ways := []string{segment}
	for _, p := range hl7v2.Parent("", segment) {
		if len(ways) < 4 {
			ways = append(ways, p+"."+segment)
		}
	}
	return ways
}

// reads reports whether an expression looks into the message.
func reads(t fhirpath.Tree) bool {
	switch {
	case t.Kind == "Axis" && t.Name == "$this", t.Kind == "Path" && len(t.Children) == 0:
		return true
	case t.Kind == "Variable":
		return t.Name == "%message" || len(t.Name) == 4 && strings.ToUpper(t.Name) == t.Name
	case t.Kind == "Function" && len(t.Children) > 0 && (t.Name == "where" || t.Name == "select"):
		return reads(t.Children[0]) // what it is given moves inside its target
	}
	for _, c := range t.Children {
		if reads(c) {
			return true
		}
	}
	return false
}

// focusSegment is the segment whose occurrences an expression gives, "" if it
// gives something else.
func focusSegment(t fhirpath.Tree) string {
	switch {
	case t.Kind == "Path" && len(t.Name) == 3 && strings.ToUpper(t.Name) == t.Name:
		return t.Name
	case (t.Kind == "Function" || t.Kind == "Indexer") && len(t.Children) > 0:
		switch t.Name {
		case "where", "first", "last", "tail", "skip", "take", "[]", "combine":
			return focusSegment(t.Children[0])
		}
	case t.Kind == "Operator" && t.Name == "|":
		return focusSegment(t.Children[0])
	}
	return ""
}

// each compiles what a $for goes through: one expression or a list of them.
func (r *compiling) each(n *yaml.Node, s scope) (out []*expression, segment string) {
	for i, x := range list(n) {
		e := r.expression(x, s)
		if e == nil {
			return nil, ""
		}
		if of := focusSegment(e.x.Tree()); i == 0 || of == segment {
			segment = of
		} else {
			segment = ""
		}
		out = append(out, e)
	}
	return out, segment
}

// eval evaluates e on the focus and appends to dst.
func (e *expression) eval(r *run, dst fhirpath.Collection) (fhirpath.Collection, error) {
	if e.plain != nil {
		if out, ok := e.plain.eval(r, dst); ok {
			return out, nil
		}
	}
	out, err := e.x.Append(dst, &r.paths, r.focus)
	if err != nil {
		return dst, r.broken(e, err)
	}
	return out, nil
}

// walk appends what a plain path leads to.
func walk(dst fhirpath.Collection, n fhir.Node, path []string) fhirpath.Collection {
	switch n.Kind() {
	case fhir.None, fhir.Null:
		return dst
	case fhir.Array:
		for c := n.First(); c.Exists(); c = c.Next() {
			dst = walk(dst, c, path)
		}
		return dst
	}
	if len(path) == 0 {
		return append(dst, fhirpath.NodeItem(n, fhir.Node{}, nil))
	}
	return walk(dst, n.Get(path[0]), path[1:])
}

// truth evaluates a condition: empty is false.
func (e *expression) truth(r *run) (bool, error) {
	ok, err := e.x.EvalItemBool(&r.paths, r.focus)
	if err != nil {
		return false, r.broken(e, err)
	}
	return ok, nil
}

// broken says which expression of the map failed.
func (r *run) broken(e *expression, err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		if is := fault.IssuesOf(inner); len(is) > 0 { // a code that must not pass
			is[0].Line, is[0].Col = e.line, e.col
			return fault.New(fault.Invalid, "%s", is[0].Text).With(is[0])
		}
	}
	f := fault.New(fault.Invalid, "映射 %s 第 %d 行的表达式不能求值", r.m.Name, e.line)
	is := fault.Issue{Severity: "error", Code: "processing", Key: "map-expression", Text: "表达式 " + e.src + "：" + cause(err), Line: e.line, Col: e.col}
	if n, ok := r.focus.Node(); ok {
		is.Expression = r.src.Place(n)
	}
	return f.With(is)
}
