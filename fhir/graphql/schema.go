package graphql

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// schema is the GraphQL schema of R4.
type schema struct {
	system *ast.Schema
	params map[string]map[string]string // resource type → argument → search parameter
}

const (
	queryType  = "Query"
	valueType  = "SearchValue" // what a search parameter or an element is compared with
	listSuffix = "List"
	connSuffix = "Connection"
	edgeSuffix = "Edge"
	reverseArg = "_reference"
)

// controls are the search parameters of every type that make sense as arguments.
var controls = []string{"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text", "_content", "_list", "_filter", "_sort", "_count", "_total"}

func newSchema(m *definitions.Model) *schema {
	s := &schema{params: map[string]map[string]string{},
		system: &ast.Schema{Types: map[string]*ast.Definition{}, Directives: map[string]*ast.DirectiveDefinition{},
			PossibleTypes: map[string][]*ast.Definition{}, Implements: map[string][]*ast.Definition{}}}
	prelude := validator.PreludeDocument()
	for _, d := range prelude.Definitions {
		s.system.Types[d.Name] = d
	}
	for _, d := range append(prelude.Directives, directives()...) {
		s.system.Directives[d.Name] = d
	}
	s.system.Types[valueType] = &ast.Definition{Kind: ast.Scalar, Name: valueType, Description: "A string, number, boolean or name, or a list of them."}
	for _, name := range m.Types() {
		s.addType(m, m.Type(name))
	}
	s.addQueries(m)
	s.relate(m)
	return s
}

// at returns the schema for queries that start from a resource of type typ, or
// from the system.
func (s *schema) at(typ string) *ast.Schema {
	if typ == "" {
		return s.system
	}
	c := *s.system
	c.Query = c.Types[typ]
	return &c
}

// directives are FHIR's own (graphql.html#directives).
func directives() []*ast.DirectiveDefinition {
	at := []ast.DirectiveLocation{ast.LocationField}
	return []*ast.DirectiveDefinition{
		{Name: "flatten", Locations: at, Description: "Put the children in place of the element."},
		{Name: "first", Locations: at, Description: "The first item of the list only."},
		{Name: "singleton", Locations: at, Description: "One value, not a list, inside a flattened list."},
		{Name: "slice", Locations: at, Description: "One member per item, named by the path.",
			Arguments: ast.ArgumentDefinitionList{{Name: "fhirpath", Type: ast.NonNullNamedType("String", nil)}}},
	}
}

// typeName is the GraphQL name of an R4 type.
func typeName(fhirName string) string {
	switch fhirName {
	case "boolean":
		return "Boolean"
	case "string":
		return "String"
	case "integer":
		return "Int"
	}
	return strings.ReplaceAll(fhirName, ".", "_")
}

func (s *schema) addType(m *definitions.Model, t *definitions.Type) {
	d := &ast.Definition{Kind: ast.Object, Name: typeName(t.Name), Description: t.Short}
	switch {
	case s.system.Types[d.Name] != nil: // a scalar of GraphQL itself
		return
	case t.Kind == definitions.Primitive:
		d.Kind = ast.Scalar
		s.system.Types[d.Name] = d
		return
	case t.Kind == definitions.Resource && t.Abstract:
		d.Kind = ast.Interface
	}
	if t.Kind == definitions.Resource {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: "resourceType", Type: ast.NamedType("String", nil)})
	}
	for _, name := range t.JSONNames() {
		e, ref := t.JSONElement(name)
		d.Fields = append(d.Fields, elementField(name, e, ref))
		if ref.Primitive() {
			d.Fields = append(d.Fields, &ast.FieldDefinition{Name: "_" + name, Type: listed(e, "Element")})
		}
	}
	if t.Name == "Reference" {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: "resource", Description: "What the reference leads to.", Type: ast.NamedType("Resource", nil),
			Arguments: ast.ArgumentDefinitionList{{Name: "optional", Type: ast.NamedType("Boolean", nil)}, {Name: "type", Type: ast.NamedType(valueType, nil)}}})
	}
	s.system.Types[d.Name] = d
}

// elementField is the field of an element. A list can be narrowed by FHIRPath, by
// its place and by the primitive members of its items.
func elementField(name string, e *definitions.Element, ref *definitions.TypeRef) *ast.FieldDefinition {
	f := &ast.FieldDefinition{Name: name, Description: e.Short, Type: listed(e, typeName(elementType(e, ref)))}
	if f.Type.Elem == nil {
		return f
	}
	f.Arguments = ast.ArgumentDefinitionList{{Name: "fhirpath", Type: ast.NamedType("String", nil)},
		{Name: "_offset", Type: ast.NamedType("Int", nil)}, {Name: "_count", Type: ast.NamedType("Int", nil)}}
	t := e.Content
	if t == nil {
		t = ref.Type
	}
	if t == nil || t.Kind == definitions.Primitive {
		return f
	}
	for _, child := range t.JSONNames() {
		if _, cref := t.JSONElement(child); cref.Primitive() {
			f.Arguments = append(f.Arguments, &ast.ArgumentDefinition{Name: child, Type: ast.ListType(ast.NamedType(valueType, nil), nil)})
		}
	}
	return f
}

func elementType(e *definitions.Element, ref *definitions.TypeRef) string {
	switch {
	case e.Content != nil:
		return e.Content.Name
	case ref.Type != nil:
		return ref.Type.Name
	}
	return ref.Code
}

func listed(e *definitions.Element, name string) *ast.Type {
	if e.Max == 1 {
		return ast.NamedType(name, nil)
	}
	return ast.ListType(ast.NamedType(name, nil), nil)
}

// addQueries adds the root type, and the searches that lead from a resource to
// those that refer to it.
func (s *schema) addQueries(m *definitions.Model) {
	q := &ast.Definition{Kind: ast.Object, Name: queryType}
	for _, typ := range m.Resources() {
		args := s.arguments(m, typ)
		s.addConnection(typ)
		q.Fields = append(q.Fields,
			&ast.FieldDefinition{Name: typ, Type: ast.NamedType(typ, nil), Arguments: ast.ArgumentDefinitionList{{Name: "id", Type: ast.NonNullNamedType("ID", nil)}}},
			&ast.FieldDefinition{Name: typ + listSuffix, Type: ast.ListType(ast.NamedType(typ, nil), nil), Arguments: args},
			&ast.FieldDefinition{Name: typ + connSuffix, Type: ast.NamedType(typ+connSuffix, nil), Arguments: withCursor(args)})
		args = append(ast.ArgumentDefinitionList{{Name: reverseArg, Type: ast.NonNullNamedType(valueType, nil)}}, args...)
		for _, target := range targets(m, typ) {
			if d := s.system.Types[target]; d != nil {
				d.Fields = append(d.Fields,
					&ast.FieldDefinition{Name: typ + listSuffix, Type: ast.ListType(ast.NamedType(typ, nil), nil), Arguments: args},
					&ast.FieldDefinition{Name: typ + connSuffix, Type: ast.NamedType(typ+connSuffix, nil), Arguments: withCursor(args)})
			}
		}
	}
	q.Fields = append(q.Fields, validator.QueryIntrospectionFields()...)
	s.system.Query = q
	s.system.Types[queryType] = q
}

// arguments are the search parameters of a type.
func (s *schema) arguments(m *definitions.Model, typ string) (args ast.ArgumentDefinitionList) {
	names := map[string]string{}
	add := func(code, description string) {
		arg := strings.ReplaceAll(code, "-", "_")
		if _, dup := names[arg]; dup {
			return
		}
		names[arg] = code
		args = append(args, &ast.ArgumentDefinition{Name: arg, Description: description, Type: ast.ListType(ast.NamedType(valueType, nil), nil)})
	}
	for _, code := range controls {
		add(code, "")
	}
	for _, p := range m.SearchParameters(typ) {
		if p.Expression != "" {
			add(p.Code, p.Type)
		}
	}
	s.params[typ] = names
	return args
}

func withCursor(args ast.ArgumentDefinitionList) ast.ArgumentDefinitionList {
	return append(slices.Clip(args), &ast.ArgumentDefinition{Name: "_cursor", Type: ast.NamedType("String", nil)})
}

// targets are the resource types that references of typ may lead to by a search
// parameter, sorted.
func targets(m *definitions.Model, typ string) (list []string) {
	for _, p := range m.SearchParameters(typ) {
		if p.Type == "reference" {
			list = append(list, p.Target...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// addConnection adds the page type of a resource type.
func (s *schema) addConnection(typ string) {
	field := func(name, of string) *ast.FieldDefinition {
		return &ast.FieldDefinition{Name: name, Type: ast.NamedType(of, nil)}
	}
	s.system.Types[typ+edgeSuffix] = &ast.Definition{Kind: ast.Object, Name: typ + edgeSuffix,
		Fields: ast.FieldList{field("mode", "String"), field("score", "Float"), field("resource", typ)}}
	s.system.Types[typ+connSuffix] = &ast.Definition{Kind: ast.Object, Name: typ + connSuffix, Fields: ast.FieldList{
		field("count", "Int"), field("pagesize", "Int"), field("first", "ID"), field("previous", "ID"), field("next", "ID"),
		{Name: "edges", Type: ast.ListType(ast.NamedType(typ+edgeSuffix, nil), nil)}}}
}

// relate notes which types are which interfaces, for fragments.
func (s *schema) relate(m *definitions.Model) {
	for name, d := range s.system.Types {
		if d.Kind == ast.Object {
			s.system.AddPossibleType(name, d)
		}
	}
	for _, typ := range m.Resources() {
		d := s.system.Types[typ]
		for t := m.Type(typ).Base; t != nil; t = t.Base {
			if i := s.system.Types[t.Name]; i != nil && i.Kind == ast.Interface {
				d.Interfaces = append(d.Interfaces, i.Name)
				s.system.AddPossibleType(i.Name, d)
				s.system.AddImplements(typ, i)
			}
		}
	}
}
