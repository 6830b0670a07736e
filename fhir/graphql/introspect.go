package graphql

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// introspect answers __schema and __type (spec.graphql.org #sec-Introspection).
func (x *execution) introspect(g *group) (any, error) {
	f := g.fields[0]
	if f.Name == "__schema" {
		return x.meta(g.sets(), "__Schema", x.schemaField)
	}
	name, err := x.argument(f.Arguments, "name")
	if err != nil {
		return nil, err
	}
	s, _ := name.(string)
	if x.schema.system.Types[s] == nil {
		return nil, nil
	}
	return x.typeObject(g.sets(), ast.NamedType(s, nil))
}

// meta answers an object of the introspection whose fields resolve gives.
func (x *execution) meta(sets []ast.SelectionSet, typ string, resolve func(*group) (any, error)) (any, error) {
	groups, err := x.collect(sets, typ)
	if err != nil {
		return nil, err
	}
	out := object{}
	for i := range groups {
		g := &groups[i]
		v := any(text(typ))
		if g.fields[0].Name != "__typename" {
			if v, err = resolve(g); err != nil {
				return nil, err
			}
		}
		if raw, ok := v.(json.RawMessage); ok {
			if v, err = x.leaf(raw); err != nil {
				return nil, err
			}
		}
		out.set(g.key, v)
	}
	return out, nil
}

func (x *execution) schemaField(g *group) (any, error) {
	sys := x.schema.system
	switch g.fields[0].Name {
	case "queryType":
		return x.typeObject(g.sets(), ast.NamedType(queryType, nil))
	case "types":
		return each(slices.Sorted(maps.Keys(sys.Types)), func(name string) (any, error) { return x.typeObject(g.sets(), ast.NamedType(name, nil)) })
	case "directives":
		return each(slices.Sorted(maps.Keys(sys.Directives)), func(name string) (any, error) { return x.directive(g, sys.Directives[name]) })
	case "description":
		return text("FHIR R4"), nil
	}
	return nil, nil // there are no mutations and no subscriptions
}

func each[T any](list []T, fn func(T) (any, error)) (any, error) {
	out := make([]any, 0, len(list))
	for _, item := range list {
		v, err := fn(item)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (x *execution) directive(g *group, d *ast.DirectiveDefinition) (any, error) {
	return x.meta(g.sets(), "__Directive", func(g *group) (any, error) {
		switch g.fields[0].Name {
		case "name":
			return text(d.Name), nil
		case "description":
			return text(d.Description), nil
		case "isRepeatable":
			return boolean(d.IsRepeatable), nil
		case "locations":
			return each(d.Locations, func(l ast.DirectiveLocation) (any, error) { return text(string(l)), nil })
		case "args":
			return each(d.Arguments, func(a *ast.ArgumentDefinition) (any, error) { return x.input(g, a) })
		}
		return nil, nil
	})
}

func boolean(b bool) json.RawMessage { return strconv.AppendBool(nil, b) }

// typeObject answers a type: a list, a non-null type or a named one.
func (x *execution) typeObject(sets []ast.SelectionSet, t *ast.Type) (any, error) {
	wrapped := (*ast.Type)(nil)
	kind := ""
	switch {
	case t.NonNull:
		inner := *t
		inner.NonNull = false
		wrapped, kind = &inner, "NON_NULL"
	case t.Elem != nil:
		wrapped, kind = t.Elem, "LIST"
	}
	return x.meta(sets, "__Type", func(g *group) (any, error) {
		switch name := g.fields[0].Name; {
		case wrapped == nil:
			return x.namedType(g, x.schema.system.Types[t.NamedType])
		case name == "kind":
			return text(kind), nil
		case name == "ofType":
			return x.typeObject(g.sets(), wrapped)
		}
		return nil, nil
	})
}

func (x *execution) namedType(g *group, d *ast.Definition) (any, error) {
	named := func(name string) (any, error) { return x.typeObject(g.sets(), ast.NamedType(name, nil)) }
	switch g.fields[0].Name {
	case "kind":
		return text(string(d.Kind)), nil
	case "name":
		return text(d.Name), nil
	case "description":
		return text(d.Description), nil
	case "fields":
		if d.Kind != ast.Object && d.Kind != ast.Interface {
			return nil, nil
		}
		visible := slices.DeleteFunc(slices.Clone(d.Fields), func(f *ast.FieldDefinition) bool { return len(f.Name) > 1 && f.Name[:2] == "__" })
		return each(visible, func(f *ast.FieldDefinition) (any, error) { return x.fieldObject(g, f) })
	case "interfaces":
		if d.Kind == ast.Object {
			return each(d.Interfaces, named)
		}
	case "possibleTypes":
		if d.Kind == ast.Interface {
			return each(x.schema.system.PossibleTypes[d.Name], func(p *ast.Definition) (any, error) { return named(p.Name) })
		}
	case "enumValues":
		if d.Kind == ast.Enum {
			return each(d.EnumValues, func(v *ast.EnumValueDefinition) (any, error) { return x.enumValue(g, v) })
		}
	}
	return nil, nil
}

func (x *execution) fieldObject(g *group, f *ast.FieldDefinition) (any, error) {
	return x.meta(g.sets(), "__Field", func(g *group) (any, error) {
		switch g.fields[0].Name {
		case "name":
			return text(f.Name), nil
		case "description":
			return text(f.Description), nil
		case "type":
			return x.typeObject(g.sets(), f.Type)
		case "args":
			return each(f.Arguments, func(a *ast.ArgumentDefinition) (any, error) { return x.input(g, a) })
		case "isDeprecated":
			return boolean(false), nil
		}
		return nil, nil
	})
}

func (x *execution) input(g *group, a *ast.ArgumentDefinition) (any, error) {
	return x.meta(g.sets(), "__InputValue", func(g *group) (any, error) {
		switch g.fields[0].Name {
		case "name":
			return text(a.Name), nil
		case "description":
			return text(a.Description), nil
		case "type":
			return x.typeObject(g.sets(), a.Type)
		case "isDeprecated":
			return boolean(false), nil
		}
		return nil, nil
	})
}

func (x *execution) enumValue(g *group, v *ast.EnumValueDefinition) (any, error) {
	return x.meta(g.sets(), "__EnumValue", func(g *group) (any, error) {
		switch g.fields[0].Name {
		case "name":
			return text(v.Name), nil
		case "description":
			return text(v.Description), nil
		case "isDeprecated":
			return boolean(false), nil
		}
		return nil, nil
	})
}
