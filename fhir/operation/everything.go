package operation

import (
	"context"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/bundle"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/rest"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// everything is $everything of a Patient or an Encounter, or of all of them: its
// compartment and what that refers to, written as it is read
// (patient-operation-everything.html). Parameters: start, end, _since, _type.
func everything() server.Operation {
	return server.Operation{Name: "everything", Definition: coreOp + "Patient-everything", Types: []string{"Patient", "Encounter"}, Instances: []string{"Patient", "Encounter"}, Run: runEverything}
}

func runEverything(ctx context.Context, s *server.Server, r *server.Request) (*server.Reply, error) {
	in, err := readInputs(r)
	if err == nil && !r.Prefer.Lenient {
		err = everythingInputs(s, in)
	}
	if err != nil {
		return nil, err
	}
	snap, err := s.Snapshot(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Target.ID != "" {
		if _, err := snap.Read(r.Type, r.Target.ID); err != nil {
			_ = snap.Close()
			return nil, err
		}
	}
	e := &everythingRun{s: s, r: r, in: in, snap: snap, id: r.Target.ID, seen: map[string]bool{}}
	return &server.Reply{Offset: snap.Offset(), Stream: func(w io.Writer) error { return e.write(ctx, w) },
		Close: func() { _ = snap.Close() }}, nil
}

// everythingInputs refuses parameters and types that would change nothing.
// _count is taken, though the record comes as one stream.
func everythingInputs(s *server.Server, in inputs) error {
	params := []string{"start", "end", "_since", "_type", "_count", "_format", "_pretty"}
	for _, name := range slices.Sorted(maps.Keys(in.Values)) {
		if !slices.Contains(params, name) {
			return misspelt("$everything 没有参数 ", "$everything has no parameter ", name, params)
		}
	}
	for _, list := range in.Values["_type"] {
		for typ := range strings.SplitSeq(list, ",") {
			if !s.Model().IsResource(typ) {
				return misspelt("_type：没有资源类型 ", "_type: there is no resource type ", typ, s.Model().Resources())
			}
		}
	}
	return nil
}

// misspelt refuses a name and hints at the one that was meant, perhaps.
func misspelt(zh, en, name string, known []string) error {
	return fault.New(fault.Invalid, "unknown name").With(fault.Issue{Severity: "error", Code: "invalid", Key: "parameter",
		Text: zh + rest.Clip(name), TextEN: en + rest.Clip(name), Hint: fault.DidYouMean(name, known)})
}

// everythingRun is one $everything on its way out.
type everythingRun struct {
	s      *server.Server
	r      *server.Request
	in     inputs
	snap   store.Snapshot
	id     string // of the patient or encounter being written
	parser fhir.Parser
	seen   map[string]bool // Type/id written
	refs   []string        // Type/id referred to
	out    *bundle.Writer
	w      io.Writer
}

func (e *everythingRun) write(ctx context.Context, w io.Writer) error {
	e.w, e.out = w, bundle.New("searchset", e.s.NewID(), e.s.Now(), -1)
	if err := e.all(ctx); err != nil {
		return err
	}
	_, err := w.Write(e.out.End())
	return err
}

// all writes the one record asked for, or each.
func (e *everythingRun) all(ctx context.Context) error {
	if e.id != "" {
		return e.one(ctx)
	}
	req := search.Request{Type: e.r.Type, Query: "_count=1000&_total=none"}
	for {
		page, err := e.s.Find(ctx, e.snap, req)
		if err != nil {
			return err
		}
		for _, m := range page.Matches {
			e.id = m.ID
			if err := e.one(ctx); err != nil {
				return err
			}
		}
		if req.Cursor = page.Next; req.Cursor == "" {
			return nil
		}
	}
}

// one writes the record of one patient or encounter.
func (e *everythingRun) one(ctx context.Context) error {
	if err := e.entry(e.r.Type, e.id, "match", true); err != nil {
		return err
	}
	for _, typ := range e.types() {
		if err := e.compartment(ctx, typ); err != nil {
			return err
		}
	}
	// What the compartment refers to, and what that does: practitioner roles
	// lead to practitioners, medications to their makers.
	for range 2 {
		refs := e.refs
		e.refs = nil
		for _, ref := range refs {
			typ, id, _ := strings.Cut(ref, "/")
			if err := e.entry(typ, id, "include", e.wanted(typ)); err != nil {
				return err
			}
		}
	}
	e.refs = e.refs[:0]
	return nil
}

// types are the compartment's resource types, sorted.
func (e *everythingRun) types() []string {
	def := e.s.Model().Compartment(e.r.Type)
	if def == nil {
		return nil
	}
	var list []string
	for typ := range def.Resources {
		if e.wanted(typ) {
			list = append(list, typ)
		}
	}
	slices.Sort(list)
	return list
}

// wanted reports whether _type, if given, names typ.
func (e *everythingRun) wanted(typ string) bool {
	list := e.in.Values["_type"]
	return len(list) == 0 || slices.ContainsFunc(list, func(v string) bool { return slices.Contains(strings.Split(v, ","), typ) })
}

// compartment writes the compartment's resources of one type.
func (e *everythingRun) compartment(ctx context.Context, typ string) error {
	req := search.Request{Type: typ, Query: e.query(typ), Compartment: &search.Compartment{Type: e.r.Type, ID: e.id}}
	for {
		page, err := e.s.Find(ctx, e.snap, req)
		if err != nil {
			return err
		}
		for _, m := range page.Matches {
			if err := e.entry(m.Type, m.ID, "match", true); err != nil {
				return err
			}
		}
		if req.Cursor = page.Next; req.Cursor == "" {
			return nil
		}
	}
}

// query limits a type by the operation's dates.
func (e *everythingRun) query(typ string) string {
	q := "_count=1000&_total=none"
	if v := e.in.Get("_since"); v != "" {
		q += "&_lastUpdated=ge" + url.QueryEscape(v)
	}
	dated := slices.ContainsFunc(e.s.Model().SearchParameters(typ), func(p *definitions.SearchParameter) bool { return p.Code == "date" && p.Type == "date" })
	for name, prefix := range map[string]string{"start": "ge", "end": "le"} {
		if v := e.in.Get(name); v != "" && dated {
			q += "&date=" + prefix + url.QueryEscape(v)
		}
	}
	return q
}

// entry writes a resource once and notes what it refers to. What is not there
// (or deleted) is left out.
func (e *everythingRun) entry(typ, id, mode string, wanted bool) error {
	key := typ + "/" + id
	if e.seen[key] || !wanted {
		return nil
	}
	e.seen[key] = true
	v, err := e.snap.Read(typ, id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return nil
	}
	if err != nil {
		return err
	}
	tree, err := e.parser.Parse(v.Resource)
	if err != nil {
		return err
	}
	references(tree.Root(), func(ref fhir.Reference) {
		// Other people's records are not part of this one's.
		if rel := ref.Relative(); ref.Kind == fhir.RefRelative && ref.Type != "Patient" && !e.seen[rel] {
			e.refs = append(e.refs, strings.Clone(rel))
		} else if rel != "" && e.r.Type == "Encounter" && ref.Type == "Patient" && key == "Encounter/"+e.id {
			e.refs = append(e.refs, strings.Clone(rel))
		}
	})
	e.out.Entry(e.r.Base, typ, id, v.Resource, mode)
	return e.out.Flush(e.w)
}

// references calls fn for every literal reference in a resource.
func references(n fhir.Node, fn func(fhir.Reference)) {
	for c := range n.Children() {
		switch c.Kind() {
		case fhir.Object, fhir.Array:
			references(c, fn)
		case fhir.String:
			if c.Key() == "reference" {
				fn(fhir.ParseReference(c.Str()))
			}
		}
	}
}
