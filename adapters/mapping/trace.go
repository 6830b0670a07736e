package mapping

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// Step is the origin of one value of the output.
type Step struct {
	Resource string   // Type/id
	Path     string   // Patient.name[0].family
	Value    string   // JSON
	From     []string // places in the message; empty for what stands in the map
	Map      string   // the expression, or "" for a literal
	Line     int      // in the map
}

// maxSteps bounds a trace.
const maxSteps = 20_000

// tracer follows where in the output the run is.
type tracer struct {
	steps    []Step
	resource string
	trail    []string
	index    []int
	list     []bool
}

func (r *run) begin(res *Resource) {
	if t := r.tracer; t != nil {
		t.resource = res.Type + "/" + res.ID
		t.trail, t.index, t.list = append(t.trail[:0], res.Type), append(t.index[:0], 0), append(t.list[:0], false)
	}
}

// mark and cut forget the steps of an object that came to nothing.
func (r *run) mark() int {
	if r.tracer == nil {
		return 0
	}
	return len(r.tracer.steps)
}

func (r *run) cut(mark int) {
	if r.tracer != nil {
		r.tracer.steps = r.tracer.steps[:mark]
	}
}

func (r *run) enter(m *member) {
	if t := r.tracer; t != nil {
		t.trail, t.index, t.list = append(t.trail, m.key), append(t.index, 0), append(t.list, m.list)
	}
}

func (r *run) leave() {
	if t := r.tracer; t != nil {
		n := len(t.trail) - 1
		t.trail, t.index, t.list = t.trail[:n], t.index[:n], t.list[:n]
	}
}

// shift moves on in the list the run is in.
func (r *run) shift(n int) {
	if t := r.tracer; t != nil {
		t.index[len(t.index)-1] += n
	}
}

func (t *tracer) path(offset int) string {
	var b strings.Builder
	for i, name := range t.trail {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(name)
		if t.list[i] {
			n := t.index[i]
			if i == len(t.trail)-1 {
				n += offset
			}
			b.WriteString("[" + strconv.Itoa(n) + "]")
		}
	}
	return b.String()
}

func (t *tracer) add(s Step) {
	if len(t.steps) < maxSteps {
		s.Resource = t.resource
		t.steps = append(t.steps, s)
	}
}

func (t *tracer) literal(l *literal) {
	t.add(Step{Path: t.path(0), Value: string(l.json), Line: l.line})
}

func (t *tracer) value(r *run, v *value, it fhirpath.Item, offset int, json []byte) {
	t.add(Step{Path: t.path(offset), Value: strings.TrimPrefix(string(json), ","), From: r.origins(v.expr, it), Map: v.expr.src, Line: v.expr.line})
}

func (t *tracer) coded(r *run, c *coded, json []byte) {
	items, _ := c.of.eval(r, nil)
	s := Step{Path: t.path(0), Value: string(json), Map: c.of.src + " → " + c.table.name, Line: c.line}
	for _, it := range items {
		s.From = append(s.From, r.origins(c.of, it)...)
	}
	t.add(s)
}

// origins are the places a value was read from: its own, or for a computed one
// all that its expression looks at.
func (r *run) origins(e *expression, it fhirpath.Item) []string {
	if n, ok := it.Node(); ok {
		if p := r.src.Place(n); p != "" {
			return []string{p}
		}
	}
	var out []string
	seen := map[string]bool{}
	for _, src := range readPaths(e.x.Tree()) {
		x, err := r.m.compiler.paths.Compile(src)
		if err != nil {
			continue
		}
		items, err := x.EvalItem(&r.paths, r.focus)
		if err != nil {
			continue
		}
		for _, it := range items {
			if n, ok := it.Node(); ok {
				if p := r.src.Place(n); p != "" && !seen[p] && len(out) < 10 {
					seen[p] = true
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// readPaths are the longest plain paths of an expression.
func readPaths(t fhirpath.Tree) []string {
	if p, ok := pathText(t); ok {
		return []string{p}
	}
	var out []string
	for _, c := range t.Children {
		out = append(out, readPaths(c)...)
	}
	return out
}

func pathText(t fhirpath.Tree) (string, bool) {
	switch {
	case t.Kind == "Variable", t.Kind == "Axis" && t.Name == "$this":
		return t.Name, true
	case t.Kind == "Path" && len(t.Children) == 0:
		return t.Name, true
	case t.Kind == "Path" && len(t.Children) == 1:
		p, ok := pathText(t.Children[0])
		return p + "." + t.Name, ok
	}
	return "", false
}
