package mapping

import (
	"context"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Write says what a resource does to the one the repository has.
type Write string

// The ways to write.
const (
	Replace    Write = "replace" // take its place
	Merge      Write = "merge"   // take its place, but keep elements the message says nothing of
	CreateOnly Write = "create"  // only if there is none
	Delete     Write = "delete"
)

// Resource is one resource (or document of another shape) a map wrote.
type Resource struct {
	Type, ID  string
	Body      []byte // JSON
	Write     Write
	Condition string // search of a conditional create (Write = CreateOnly) or update, "" if by id
	Unless    string // Type/id of a resource in whose presence this one is not written
	Line      int    // of the template in the map
}

// Unmapped is a code that a table of the map has no target for.
type Unmapped struct {
	Table         string // name in the map
	ConceptMap    string // canonical, "" for a table inside the map
	System        string
	Code, Display string
	Place         string // in the message
}

// Result is what a map made of a message.
type Result struct {
	Map       string // name@version
	Time      string // business time, FHIR dateTime; "" if the map has none
	Resources []Resource
	Findings  []fault.Issue // Expression = place in the message, Line = line of the map
	Unmapped  []Unmapped
	Trace     []Step // with [Map.Trace] only

	timed bool // the map states a business time
}

// maxResources bounds what one message may become.
const maxResources = 50_000

// run is one application of a map.
type run struct {
	m      *Map
	src    *Source
	focus  fhirpath.Item
	paths  fhirpath.Context
	out    *Result
	seen   map[string]int // Type/id → index in out.Resources
	free   []fhirpath.Collection
	tracer *tracer
}

type runKey struct{}

// Matches reports whether the map takes messages like src.
func (m *Map) Matches(ctx context.Context, src *Source) bool {
	if m.Format != src.Format || len(m.names) > 0 && !named(m.names, src.Name) {
		return false
	}
	if m.when == nil {
		return true
	}
	ok, err := m.when.truth(m.run(ctx, src))
	return ok && err == nil
}

// named reports whether a list has a name; "ADT^*" stands for every event.
func named(names []string, name string) bool {
	for _, n := range names {
		if n == name || len(n) > 1 && n[len(n)-1] == '*' && len(name) >= len(n)-1 && name[:len(n)-1] == n[:len(n)-1] {
			return true
		}
	}
	return false
}

func (m *Map) run(ctx context.Context, src *Source) *run {
	r := &run{m: m, src: src, out: &Result{Map: m.ID()}, seen: make(map[string]int, 16)}
	r.focus = fhirpath.NodeItem(src.Root, fhir.Node{}, nil)
	r.paths.Ctx = context.WithValue(ctx, runKey{}, r)
	r.paths.Variables = make(map[string]fhirpath.Collection, 16)
	r.paths.Variables["message"] = fhirpath.Collection{r.focus}
	return r
}

// Apply makes resources of a message. A message that lacks what the map
// requires, or has a code that must not pass, is fault.Invalid with the place in
// the message. Apply is pure: the same message gives the same bytes.
func (m *Map) Apply(ctx context.Context, src *Source) (*Result, error) {
	r := m.run(ctx, src)
	return r.out, r.apply()
}

// Trace is Apply that also says where each value came from. The result holds
// what was done before an error, too.
func (m *Map) Trace(ctx context.Context, src *Source) (*Result, error) {
	r := m.run(ctx, src)
	r.tracer = &tracer{}
	err := r.apply()
	r.out.Trace = r.tracer.steps
	return r.out, err
}

func (r *run) apply() error {
	for _, q := range r.m.require {
		ok, err := q.test.truth(r)
		if err != nil {
			return err
		}
		if !ok {
			e := fault.New(fault.Invalid, "%s", q.text)
			return e.With(fault.Issue{Severity: "error", Code: "required", Key: "map-require", Text: q.text, Expression: q.at,
				Line: q.test.line, Col: q.test.col, Hint: "补上 " + q.at + " 后重发"})
		}
	}
	if err := r.bind(r.m.lets); err != nil {
		return err
	}
	if r.out.timed = r.m.time != nil; r.out.timed {
		items, err := r.m.time.eval(r, nil)
		if err != nil {
			return err
		}
		if len(items) > 0 {
			r.out.Time, _ = DateTime(textOf(items[0]), r.m.compiler.zone)
		}
	}
	return r.groups(r.m.body)
}

// bind evaluates variables, each seeing those before it.
func (r *run) bind(lets []binding) error {
	for _, l := range lets {
		items, err := l.expr.eval(r, nil)
		if err != nil {
			return err
		}
		r.paths.Variables[l.name] = items
	}
	return nil
}

// forEach calls fn with the focus on every item of a path (once, without one)
// for which the condition holds.
func (r *run) forEach(each []*expression, segment string, when *expression, lets []binding, fn func() error) error {
	once := func() error {
		if len(lets) > 0 {
			old := r.save(lets)
			defer r.restore(lets, old)
			if err := r.bind(lets); err != nil {
				return err
			}
		}
		if when != nil {
			if ok, err := when.truth(r); err != nil || !ok {
				return err
			}
		}
		return fn()
	}
	if each == nil {
		return once()
	}
	items := r.buffer()
	var err error
	for _, e := range each {
		if items, err = e.eval(r, items); err != nil {
			return err
		}
	}
	defer func() { r.recycle(items) }()
	focus, vars := r.focus, r.paths.Variables
	outer, index := vars[segment], vars["index"]
	defer func() { r.focus, vars[segment], vars["index"] = focus, outer, index }()
	for i, it := range items {
		r.focus = it
		if segment != "" {
			vars[segment] = fhirpath.Collection{it}
		}
		vars["index"] = fhirpath.Collection{fhirpath.ValueItem(fhirpath.Integer(int64(i + 1)))}
		if err := once(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) save(lets []binding) []fhirpath.Collection {
	old := make([]fhirpath.Collection, len(lets))
	for i, l := range lets {
		old[i] = r.paths.Variables[l.name]
	}
	return old
}

func (r *run) restore(lets []binding, old []fhirpath.Collection) {
	for i, l := range lets {
		r.paths.Variables[l.name] = old[i]
	}
}

func (r *run) groups(list []group) error {
	for i := range list {
		g := &list[i]
		err := r.forEach(g.each, g.segment, g.when, g.lets, func() error {
			if g.resource != nil {
				if err := r.resource(g.resource); err != nil {
					return err
				}
			}
			return r.groups(g.groups)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// resource writes one resource; what is nothing, and what was written already,
// is left out.
func (r *run) resource(t *resource) error {
	if len(r.out.Resources) >= maxResources {
		return fault.New(fault.TooCostly, "一条消息产生的资源超过 %d", maxResources)
	}
	res := Resource{Type: t.typ, Write: t.write, Line: t.line}
	var err error
	if res.ID, err = r.text(t.id); err != nil {
		return err
	}
	if res.Condition, err = r.text(t.condition); err != nil {
		return err
	}
	if res.Unless, err = r.text(t.unless); err != nil {
		return err
	}
	if res.ID == "" && res.Condition == "" && t.body.typ != nil {
		return nil // nothing to know it by
	}
	key := t.typ + "/" + res.ID + "?" + res.Condition
	if _, twice := r.seen[key]; twice && t.body.typ != nil {
		return nil
	}
	if t.write != Delete {
		dst := []byte{'{'}
		if t.body.typ != nil {
			dst = fhir.AppendString(append(dst, `"resourceType":`...), t.typ)
			if res.ID != "" {
				dst = fhir.AppendString(append(dst, `,"id":`...), res.ID)
			}
		}
		r.begin(&res)
		mark := r.mark()
		out, ok, err := t.body.fields(r, dst)
		if err != nil || !ok {
			r.cut(mark)
			return err
		}
		res.Body = append(out, '}')
	}
	r.seen[key] = len(r.out.Resources)
	r.out.Resources = append(r.out.Resources, res)
	return nil
}

// text evaluates an expression to the text of its first item, "" for nil.
func (r *run) text(e *expression) (string, error) {
	if e == nil {
		return "", nil
	}
	items, err := e.eval(r, r.buffer())
	if err != nil {
		return "", err
	}
	defer r.recycle(items)
	if len(items) == 0 {
		return "", nil
	}
	return textOf(items[0]), nil
}

func (r *run) buffer() fhirpath.Collection {
	if n := len(r.free); n > 0 {
		b := r.free[n-1]
		r.free = r.free[:n-1]
		return b
	}
	return make(fhirpath.Collection, 0, 8)
}

func (r *run) recycle(b fhirpath.Collection) { r.free = append(r.free, b[:0]) }

// note adds a warning about a value of the message.
func (r *run) note(code, key, place, text string, e *expression) {
	is := fault.Issue{Severity: "warning", Code: code, Key: key, Text: text, Expression: place}
	if e != nil {
		is.Line, is.Col = e.line, e.col
	}
	if len(r.out.Findings) < maxIssues {
		r.out.Findings = append(r.out.Findings, is)
	}
}

// placeOf names the place of an item in the message, that of the focus for a
// computed one.
func (r *run) placeOf(it fhirpath.Item) string {
	if n, ok := it.Node(); ok {
		return r.src.Place(n)
	}
	if n, ok := r.focus.Node(); ok {
		return r.src.Place(n)
	}
	return ""
}
