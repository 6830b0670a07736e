package graphql

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
)

// object selects from an element n of type t inside resource res.
func (x *execution) object(sets []ast.SelectionSet, res, n fhir.Node, t *definitions.Type) (object, error) {
	if t == nil || n.Kind() != fhir.Object {
		return nil, nil
	}
	if err := x.ctx.Err(); err != nil {
		return nil, err
	}
	groups, err := x.collect(sets, t.Name)
	if err != nil {
		return nil, err
	}
	out := object{}
	for i := range groups {
		g := &groups[i]
		x.path = append(x.path, g.key)
		v, err := x.field(g, res, n, t)
		if err != nil {
			return nil, err
		}
		x.path = x.path[:len(x.path)-1]
		x.place(&out, g, v)
	}
	return out, nil
}

// field answers one field of an element.
func (x *execution) field(g *group, res, n fhir.Node, t *definitions.Type) (any, error) {
	f := g.fields[0]
	name := f.Name
	switch {
	case name == "__typename":
		return text(typeName(t.Name)), nil
	case name == "resourceType":
		return text(t.Name), nil
	case name == "resource" && t.Name == "Reference":
		return x.follow(g, res, n)
	}
	e, ref := t.JSONElement(name)
	if e == nil {
		return x.search(g, t.Name+"/"+n.Get("id").Str()) // the schema has no other fields
	}
	child := n.Get(name)
	typ := e.Content
	if typ == nil {
		typ = ref.Type
	}
	if strings.HasPrefix(name, "_") {
		typ = x.model.Type("Element")
	}
	if e.Max == 1 {
		if !child.Exists() {
			return nil, nil
		}
		return x.item(g, res, child, typ)
	}
	return x.list(g, res, child, typ)
}

// item answers one value: a leaf as it stands, or a selection from it.
func (x *execution) item(g *group, res, n fhir.Node, t *definitions.Type) (any, error) {
	if len(g.fields[0].SelectionSet) == 0 {
		return x.leaf(n.Raw())
	}
	if n.Kind() == fhir.Null { // a place of a list of primitive extensions without one
		return nil, nil
	}
	if typ := n.ResourceType(); typ != "" {
		res, t = n, x.model.Type(typ)
	}
	o, err := x.object(g.sets(), res, n, t)
	if o == nil {
		return nil, err
	}
	return o, err
}

// list answers a repeating element, narrowed by the arguments and @first.
func (x *execution) list(g *group, res, n fhir.Node, t *definitions.Type) (any, error) {
	items, err := x.narrow(g.fields[0], res, n, t)
	if err != nil {
		return nil, err
	}
	out := make([]any, 0, len(items))
	for _, it := range items {
		v, err := x.item(g, res, it, t)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if d := g.fields[0].Directives.ForName("slice"); d != nil {
		return x.slice(d, res, items, t, out)
	}
	return out, nil
}

// narrow returns the items of a list that the arguments leave.
func (x *execution) narrow(f *ast.Field, res, n fhir.Node, t *definitions.Type) ([]fhir.Node, error) {
	var items []fhir.Node
	for it := range n.Each() {
		items = append(items, it)
	}
	offset, count := 0, -1
	for _, a := range f.Arguments {
		v, err := x.value(a.Value)
		if err != nil {
			return nil, err
		}
		switch a.Name {
		case "_offset", "_count":
			i, ok := integer(v)
			if !ok || i < 0 {
				return nil, invalid(a.Name+" 应为非负整数", a.Name+" must be a number of at least 0", a.Position)
			}
			if a.Name == "_offset" {
				offset = i
			} else {
				count = i
			}
		case "fhirpath":
			if items, err = x.matching(res, items, t, v, a.Position); err != nil {
				return nil, err
			}
		default:
			want := values(v)
			items = slices.DeleteFunc(items, func(it fhir.Node) bool { return !slices.Contains(want, plain(it.Get(a.Name))) })
		}
	}
	items = items[min(offset, len(items)):]
	if count >= 0 {
		items = items[:min(count, len(items))]
	}
	if f.Directives.ForName("first") != nil {
		items = items[:min(1, len(items))]
	}
	return items, nil
}

// plain is a primitive as text, to be compared with an argument.
func plain(n fhir.Node) string {
	if n.Kind() == fhir.String {
		return n.Str()
	}
	return string(n.Raw())
}

// matching returns the items for which the expression is true.
func (x *execution) matching(res fhir.Node, items []fhir.Node, t *definitions.Type, path any, at *ast.Position) ([]fhir.Node, error) {
	expr, err := x.compile(path, at)
	if err != nil {
		return nil, err
	}
	var out []fhir.Node
	for _, it := range items {
		ok, err := expr.EvalItemBool(&fhirpath.Context{Ctx: x.ctx, Resource: res}, fhirpath.NodeItem(it, fhir.Node{}, t))
		if err != nil {
			return nil, invalid("fhirpath 不能求值："+err.Error(), "fhirpath cannot be evaluated: "+err.Error(), at)
		}
		if ok {
			out = append(out, it)
		}
	}
	return out, nil
}

func (x *execution) compile(path any, at *ast.Position) (*fhirpath.Expression, error) {
	s, _ := path.(string)
	expr, err := x.paths.Compile(s)
	if err != nil {
		return nil, invalid("fhirpath 有误："+err.Error(), "wrong fhirpath: "+err.Error(), at)
	}
	return expr, nil
}

// sliced is a list whose items become members of their own, named by @slice.
type sliced struct {
	names  []string
	values []any
}

// slice names each item of a list by an expression; $index is its place.
func (x *execution) slice(d *ast.Directive, res fhir.Node, items []fhir.Node, t *definitions.Type, vals []any) (any, error) {
	path, err := x.argument(d.Arguments, "fhirpath")
	if err != nil {
		return nil, err
	}
	out := sliced{names: make([]string, len(items)), values: vals}
	var expr *fhirpath.Expression
	if path != "$index" {
		if expr, err = x.compile(path, d.Position); err != nil {
			return nil, err
		}
	}
	for i, it := range items {
		if expr == nil {
			out.names[i] = string(number(i))
			continue
		}
		c, err := expr.EvalItem(&fhirpath.Context{Ctx: x.ctx, Resource: res}, fhirpath.NodeItem(it, fhir.Node{}, t))
		if err != nil || len(c) != 1 {
			return nil, invalid("@slice 的 fhirpath 应对每一项给出一个值", "the fhirpath of @slice must give one value for each item", d.Position)
		}
		out.names[i] = c[0].String()
	}
	return out, nil
}

// place puts a field's value where the directives want it: below its key, in
// members named by @slice, or with @flatten in place of the element.
func (x *execution) place(out *object, g *group, v any) {
	f := g.fields[0]
	if s, ok := v.(sliced); ok {
		for i, name := range s.names {
			out.set(g.key+"."+name, s.values[i])
		}
		return
	}
	if f.Directives.ForName("flatten") == nil {
		out.set(g.key, v)
		return
	}
	switch v := v.(type) {
	case object:
		for _, m := range v {
			out.set(m.key, m.value)
		}
	case []any:
		x.flatten(out, g, v)
	}
}

// flatten puts the children of a list's items in place of the list, each key's
// values in a list of their own, or the first alone with @singleton.
func (x *execution) flatten(out *object, g *group, items []any) {
	single := map[string]bool{}
	for _, set := range g.sets() {
		for _, sel := range set {
			if f, ok := sel.(*ast.Field); ok && f.Directives.ForName("singleton") != nil {
				single[f.Alias] = true
			}
		}
	}
	joined := object{}
	all := map[string][]any{}
	for _, it := range items {
		o, _ := it.(object)
		for _, m := range o {
			if _, seen := all[m.key]; !seen {
				joined.set(m.key, nil)
			}
			if list, ok := m.value.([]any); ok {
				all[m.key] = append(all[m.key], list...)
			} else if m.value != nil {
				all[m.key] = append(all[m.key], m.value)
			}
		}
	}
	alone := g.fields[0].Directives.ForName("first") != nil || g.fields[0].Directives.ForName("singleton") != nil
	for _, m := range joined {
		list := all[m.key]
		switch {
		case !single[m.key] && !alone:
			out.set(m.key, list)
		case len(list) > 0:
			out.set(m.key, list[0])
		default:
			out.set(m.key, nil)
		}
	}
}

// follow answers the resource a reference leads to: a contained one, or one of
// ours of the type asked for.
func (x *execution) follow(g *group, res, n fhir.Node) (any, error) {
	f := g.fields[0]
	optional, err := x.argument(f.Arguments, "optional")
	if err != nil {
		return nil, err
	}
	want, err := x.argument(f.Arguments, "type")
	if err != nil {
		return nil, err
	}
	ref := n.Get("reference").Str()
	if id, ok := strings.CutPrefix(ref, "#"); ok {
		for c := range res.Get("contained").Each() {
			if c.Get("id").Str() == id && (want == nil || want == c.ResourceType()) {
				o, err := x.object(g.sets(), res, c, x.model.Type(c.ResourceType()))
				return o, err
			}
		}
		return nil, nil
	}
	to := fhir.ParseReference(ref)
	if want != nil && want != to.Type {
		return nil, nil
	}
	if to.Kind != fhir.RefRelative || to.Type == "" || !x.model.IsResource(to.Type) {
		if optional != true && ref != "" {
			x.problem("the reference leads out of this server", "not-found")
		}
		return nil, nil
	}
	return x.read(g.sets(), to.Type, to.ID, optional == true)
}

// integer reads a number that came as a literal or a variable.
func integer(v any) (int, bool) {
	switch v := v.(type) {
	case int64:
		return int(v), true
	case float64:
		return int(v), v == float64(int(v))
	case json.Number:
		i, err := v.Int64()
		return int(i), err == nil
	}
	return 0, false
}
