package views

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxNesting bounds selects within selects.
const maxNesting = 32

// RowIndex is the variable that counts the items of the closest iteration.
const rowIndex = "rowIndex"

var columnName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// Compile reads a ViewDefinition from JSON. Errors are fault.Invalid and say the
// place in the definition.
func Compile(definition []byte, eng *fhirpath.Engine) (*View, error) {
	tree, err := fhir.Parse(definition)
	if err != nil {
		return nil, fmt.Errorf("view definition: %w", err)
	}
	return CompileNode(tree.Root(), eng)
}

// CompileNode is [Compile] for a parsed definition. The view keeps no reference
// to the tree but for its constants.
func CompileNode(def fhir.Node, eng *fhirpath.Engine) (*View, error) {
	c := &compiler{eng: eng, view: &View{eng: eng, constants: map[string]fhirpath.Collection{}}}
	if err := c.compile(def); err != nil {
		return nil, err
	}
	return c.view, nil
}

type compiler struct {
	eng   *fhirpath.Engine
	view  *View
	names []string // declared variables
	focus string   // type of the focus, "" unknown
}

func invalid(place, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return fault.New(fault.Invalid, "view definition: %s: %s", place, text).With()
}

func (c *compiler) compile(def fhir.Node) error {
	v := c.view
	if rt := def.ResourceType(); def.Kind() != fhir.Object || rt != "" && rt != "ViewDefinition" {
		return invalid("resourceType", "not a ViewDefinition")
	}
	v.Name, v.URL, v.Title = def.Get("name").Str(), def.Get("url").Str(), def.Get("title").Str()
	v.Resource = def.Get("resource").Str()
	if v.Resource == "" {
		return invalid("resource", "missing: a view says which type of resource it reads")
	}
	if !c.eng.Model().IsResource(v.Resource) {
		return invalid("resource", "%q is no resource type of R4", v.Resource)
	}
	c.focus = v.Resource
	if err := c.readConstants(def); err != nil {
		return err
	}
	if err := c.readWhere(def); err != nil {
		return err
	}
	root, err := c.selection(def, "ViewDefinition", 0)
	if err != nil {
		return err
	}
	v.root = root
	if len(v.columns) == 0 {
		return invalid("select", "missing: a view needs at least one column")
	}
	return c.unique()
}

func (c *compiler) unique() error {
	for i, col := range c.view.columns {
		if c.view.Column(col.Name) != i {
			return invalid("column "+col.Name, "the name is used twice")
		}
	}
	return nil
}

func (c *compiler) readConstants(def fhir.Node) error {
	c.names = []string{rowIndex}
	for k := range def.Get("constant").Each() {
		name := k.Get("name").Str()
		if !columnName.MatchString(name) {
			return invalid("constant", "%q is no name", name)
		}
		var item fhirpath.Item
		n := 0
		for m := range k.Children() {
			if suffix, ok := strings.CutPrefix(m.Key(), "value"); ok && suffix != "" {
				typ := strings.ToLower(suffix[:1]) + suffix[1:]
				item, n = c.eng.ItemOf(m, fhir.Node{}, typ), n+1
			}
		}
		if n != 1 || item.FHIRType() == nil {
			return invalid("constant "+name, "needs one value[x]")
		}
		c.view.constants[name] = fhirpath.Collection{item}
		c.names = append(c.names, name)
	}
	return nil
}

func (c *compiler) readWhere(def fhir.Node) error {
	for w := range def.Get("where").Each() {
		x, err := c.path(w.Get("path"), "where.path")
		if err != nil {
			return err
		}
		types, _, err := x.ResultTypes(c.focus, c.names...)
		if err == nil && len(types) > 0 && !slices.Contains(types, "boolean") && !slices.Contains(types, "Boolean") {
			return invalid("where.path "+x.String(), "must be a boolean, not %s", strings.Join(types, "|"))
		}
		c.view.where = append(c.view.where, x)
	}
	return nil
}

// path compiles one expression and notes what R4 does not know of it.
func (c *compiler) path(n fhir.Node, place string) (*fhirpath.Expression, error) {
	if n.Kind() != fhir.String || n.Str() == "" {
		return nil, invalid(place, "must be a FHIRPath expression")
	}
	x, err := c.eng.Compile(n.Str(), fhirpath.ForViews(), fhirpath.Declare(c.names...))
	if err != nil {
		return nil, fault.New(fault.Invalid, "view definition: %s %q: %w", place, n.Str(), err)
	}
	if _, _, err := x.ResultTypes(c.focus, c.names...); err != nil {
		c.view.Warnings = append(c.view.Warnings, fmt.Sprintf("%s %q: %v", place, n.Str(), err))
	}
	return x, nil
}

// selection compiles a select, or the definition itself, whose select it is.
func (c *compiler) selection(n fhir.Node, place string, depth int) (*selection, error) {
	if depth > maxNesting {
		return nil, invalid(place, "selects nested too deeply")
	}
	s := &selection{}
	outer := c.focus
	defer func() { c.focus = outer }()
	if err := c.iteration(n, place, s); err != nil {
		return nil, err
	}
	for col := range n.Get("column").Each() {
		if err := c.column(col, s); err != nil {
			return nil, err
		}
	}
	i := 0
	for child := range n.Get("select").Each() {
		part, err := c.selection(child, fmt.Sprintf("%s.select[%d]", place, i), depth+1)
		if err != nil {
			return nil, err
		}
		s.add(part)
		i++
	}
	return s, c.union(n, place, s, depth)
}

// add takes part of s, flattened where it does not iterate.
func (s *selection) add(part *selection) {
	if part.each == nil && part.repeat == nil && part.union == nil {
		s.cols = append(s.cols, part.cols...)
		s.parts = append(s.parts, part.parts...)
		return
	}
	s.parts = append(s.parts, part)
}

func (c *compiler) iteration(n fhir.Node, place string, s *selection) error {
	count := 0
	for _, key := range [...]string{"forEach", "forEachOrNull", "repeat"} {
		m := n.Get(key)
		if !m.Exists() {
			continue
		}
		if count++; count > 1 {
			return invalid(place, "at most one of forEach, forEachOrNull and repeat")
		}
		if key != "repeat" {
			x, err := c.path(m, place+"."+key)
			if err != nil {
				return err
			}
			s.each, s.orNull = x, key == "forEachOrNull"
			c.enter(x)
			continue
		}
		for p := range m.Each() {
			x, err := c.path(p, place+".repeat")
			if err != nil {
				return err
			}
			s.repeat = append(s.repeat, x)
		}
		if len(s.repeat) == 0 {
			return invalid(place+".repeat", "needs at least one path")
		}
		c.enter(s.repeat[0])
	}
	return nil
}

// enter makes the result of x the focus, as far as its type is known.
func (c *compiler) enter(x *fhirpath.Expression) {
	types, _, err := x.ResultTypes(c.focus, c.names...)
	c.focus = ""
	if err == nil && len(types) == 1 && c.eng.Model().Type(types[0]) != nil {
		c.focus = types[0]
	}
}

func (c *compiler) column(n fhir.Node, s *selection) error {
	name := n.Get("name").Str()
	if !columnName.MatchString(name) {
		return invalid("column", "%q is no column name (letters, digits and _, a letter first)", name)
	}
	x, err := c.path(n.Get("path"), "column "+name)
	if err != nil {
		return err
	}
	many, _ := n.Get("collection").Bool()
	col := Column{Name: name, Path: x.String(), Type: n.Get("type").Str(), Collection: many, Description: n.Get("description").Str()}
	col.Type = strings.TrimPrefix(col.Type, "http://hl7.org/fhir/StructureDefinition/")
	for t := range n.Get("tag").Each() {
		col.Tags = append(col.Tags, Tag{t.Get("name").Str(), t.Get("value").Str()})
	}
	if col.Type == "" {
		col.Type = c.infer(x)
	}
	s.cols = append(s.cols, column{index: len(c.view.columns), expr: x, many: many})
	c.view.columns = append(c.view.columns, col)
	return nil
}

// infer gives the FHIR type of a path's result, "string" if it is not known.
func (c *compiler) infer(x *fhirpath.Expression) string {
	types, _, err := x.ResultTypes(c.focus, c.names...)
	if err != nil || len(types) != 1 {
		return "string"
	}
	t := types[0]
	switch t {
	case "Boolean", "Integer", "Decimal", "String", "Date", "Time":
		return strings.ToLower(t)
	case "DateTime":
		return "dateTime"
	}
	return t
}

// union compiles the branches of unionAll; they share the columns of the first.
func (c *compiler) union(n fhir.Node, place string, s *selection, depth int) error {
	u := &selection{}
	begin := len(c.view.columns)
	var first []Column
	i := 0
	for child := range n.Get("unionAll").Each() {
		at := fmt.Sprintf("%s.unionAll[%d]", place, i)
		part, err := c.selection(child, at, depth+1)
		if err != nil {
			return err
		}
		got := c.view.columns[begin:]
		if i == 0 {
			first = slices.Clone(got)
		} else if !slices.EqualFunc(first, got, func(a, b Column) bool { return a.Name == b.Name && a.Collection == b.Collection }) {
			return invalid(at, "the branches of a unionAll need the same columns in the same order")
		}
		c.view.columns = c.view.columns[:begin]
		u.union = append(u.union, part)
		i++
	}
	if u.union != nil {
		c.view.columns = append(c.view.columns, first...)
		s.parts = append(s.parts, u)
	}
	return nil
}
