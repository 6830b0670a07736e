package graphql

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// execution is one query on its way.
type execution struct {
	*Service
	schema *schema
	ctx    context.Context // of this one query, whose whole life the execution is
	src    Source
	vars   map[string]any
	doc    *ast.QueryDocument

	path      []string // where in the answer, for errors
	errs      []problem
	resources int // read so far
	bytes     int // of leaves so far
}

// problem is an error about a part of the answer (spec.graphql.org #sec-Errors).
type problem struct {
	Message   string         `json:"message"`
	Path      []string       `json:"path,omitempty"`
	Extension map[string]any `json:"extensions,omitempty"`
}

// object is an object of the answer with its members in order. A value is nil,
// json.RawMessage, an object or a []any of them.
type object []member

type member struct {
	key   string
	value any
}

func (o *object) set(key string, v any) {
	for i := range *o {
		if (*o)[i].key == key {
			(*o)[i].value = v
			return
		}
	}
	*o = append(*o, member{key, v})
}

// answer writes data and errors.
func (x *execution) answer(data object) ([]byte, error) {
	out := appendValue([]byte(`{"data":`), data)
	if len(x.errs) > 0 {
		errs, err := json.Marshal(x.errs)
		if err != nil {
			return nil, fault.New(fault.Internal, "write the errors: %w", err)
		}
		out = append(append(out, `,"errors":`...), errs...)
	}
	return append(out, '}'), nil
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case json.RawMessage:
		return append(b, v...)
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(fhir.AppendString(b, m.key), ':')
			b = appendValue(b, m.value)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, item)
		}
		return append(b, ']')
	}
	return append(b, "null"...)
}

func text(s string) json.RawMessage { return fhir.AppendString(nil, s) }

func number(n int) json.RawMessage { return strconv.AppendInt(nil, int64(n), 10) }

// leaf counts the bytes of a leaf. Error: TooCostly.
func (x *execution) leaf(raw []byte) (any, error) {
	if x.bytes += len(raw) + 16; x.bytes > x.limits.Bytes {
		return nil, tooCostly("回答", "answer")
	}
	return json.RawMessage(raw), nil
}

func tooCostly(zh, en string) error {
	return fault.New(fault.TooCostly, "the %s would be too large", en).With(fault.Issue{Severity: "error", Code: "too-costly", Key: "graphql",
		Text: "GraphQL 查询的" + zh + "过大，请缩小范围或分页（_count、Connection）", TextEN: "the query's " + en + " is too large: narrow it or page (_count, Connection)"})
}

// group is the fields of one response key.
type group struct {
	key    string
	fields []*ast.Field
}

// collect returns the fields selected on a type, fragments resolved, those of
// one response key together (spec.graphql.org #CollectFields).
func (x *execution) collect(sets []ast.SelectionSet, typ string) ([]group, error) {
	var groups []group
	var walk func(set ast.SelectionSet) error
	walk = func(set ast.SelectionSet) error {
		for _, sel := range set {
			on, inner, dirs := "", ast.SelectionSet(nil), ast.DirectiveList(nil)
			switch sel := sel.(type) {
			case *ast.Field:
				if skip, err := x.skipped(sel.Directives); err != nil || skip {
					if err != nil {
						return err
					}
					continue
				}
				i := slices.IndexFunc(groups, func(g group) bool { return g.key == sel.Alias })
				if i < 0 {
					i = len(groups)
					groups = append(groups, group{key: sel.Alias})
				}
				groups[i].fields = append(groups[i].fields, sel)
				continue
			case *ast.InlineFragment:
				on, inner, dirs = sel.TypeCondition, sel.SelectionSet, sel.Directives
			case *ast.FragmentSpread:
				f := x.doc.Fragments.ForName(sel.Name)
				on, inner, dirs = f.TypeCondition, f.SelectionSet, sel.Directives
			}
			skip, err := x.skipped(dirs)
			if err != nil {
				return err
			}
			if !skip && x.applies(on, typ) {
				if err := walk(inner); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, set := range sets {
		if err := walk(set); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// applies reports whether a fragment on type condition on takes a typ.
func (x *execution) applies(on, typ string) bool {
	if on == "" || on == typeName(typ) {
		return true
	}
	t := x.model.Type(typ)
	return t != nil && t.IsA(on)
}

// skipped evaluates @skip and @include.
func (x *execution) skipped(dirs ast.DirectiveList) (bool, error) {
	for name, want := range map[string]bool{"skip": false, "include": true} {
		d := dirs.ForName(name)
		if d == nil {
			continue
		}
		v, err := x.argument(d.Arguments, "if")
		if err != nil {
			return false, err
		}
		b, ok := v.(bool)
		if !ok {
			return false, invalid("@"+name+" 的 if 应为布尔值", "if of @"+name+" must be a boolean", d.Position)
		}
		if b != want {
			return true, nil
		}
	}
	return false, nil
}

// argument returns the value of an argument, nil if it is not given.
func (x *execution) argument(args ast.ArgumentList, name string) (any, error) {
	a := args.ForName(name)
	if a == nil {
		return nil, nil
	}
	return x.value(a.Value)
}

func (x *execution) value(v *ast.Value) (any, error) {
	out, err := v.Value(x.vars)
	if err != nil {
		return nil, invalid("参数的值不对："+v.Raw, "wrong value: "+v.Raw, v.Position)
	}
	return out, nil
}

// selections of the fields of a group.
func (g *group) sets() []ast.SelectionSet {
	sets := make([]ast.SelectionSet, len(g.fields))
	for i, f := range g.fields {
		sets[i] = f.SelectionSet
	}
	return sets
}

// root answers a query at the system.
func (x *execution) root(set ast.SelectionSet) (object, error) {
	groups, err := x.collect([]ast.SelectionSet{set}, queryType)
	if err != nil {
		return nil, err
	}
	out := object{}
	for _, g := range groups {
		x.path = append(x.path, g.key)
		v, err := x.rootField(&g)
		if err != nil {
			return nil, err
		}
		x.path = x.path[:len(x.path)-1]
		out.set(g.key, v)
	}
	return out, nil
}

func (x *execution) rootField(g *group) (any, error) {
	f := g.fields[0]
	switch f.Name {
	case "__typename":
		return text(queryType), nil
	case "__schema", "__type":
		return x.introspect(g)
	}
	if x.model.IsResource(f.Name) {
		id, err := x.argument(f.Arguments, "id")
		if err != nil {
			return nil, err
		}
		s, _ := id.(string)
		return x.read(g.sets(), f.Name, s, false)
	}
	return x.search(g, "")
}

// instance answers a query at a resource.
func (x *execution) instance(set ast.SelectionSet, typ, id string) (object, error) {
	raw, err := x.src.Read(x.ctx, typ, id)
	if err != nil {
		return nil, err
	}
	return x.resource([]ast.SelectionSet{set}, raw)
}

// read answers with one resource, null and an error if it is not there.
func (x *execution) read(sets []ast.SelectionSet, typ, id string, optional bool) (any, error) {
	if x.resources++; x.resources > x.limits.Resources {
		return nil, tooCostly("资源数", "number of resources")
	}
	raw, err := x.src.Read(x.ctx, typ, id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) || fault.Is(err, fault.Invalid) {
		if !optional {
			x.problem(typ+"/"+id+" is not there", "not-found")
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return x.resource(sets, raw)
}

// problem notes an error about the part of the answer being made.
func (x *execution) problem(message, code string) {
	if len(x.errs) < maxIssues {
		x.errs = append(x.errs, problem{message, slices.Clone(x.path), map[string]any{"code": code}})
	}
}

// resource selects from a resource.
func (x *execution) resource(sets []ast.SelectionSet, raw []byte) (object, error) {
	tree, err := fhir.Parse(raw)
	if err != nil {
		return nil, fault.New(fault.Internal, "stored resource: %w", err)
	}
	root := tree.Root()
	return x.object(sets, root, root, x.model.Type(root.ResourceType()))
}
