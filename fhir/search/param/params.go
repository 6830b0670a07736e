package param

import (
	"cmp"
	"encoding/binary"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/path"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Kind is the type of a search parameter.
type Kind uint8

// The types (https://hl7.org/fhir/R4/valueset-search-param-type.html).
const (
	Token Kind = iota
	Reference
	String
	Date
	Number
	Quantity
	URI
	Composite
	Special
)

var kindNames = [...]string{"token", "reference", "string", "date", "number", "quantity", "uri", "composite", "special"}

// String returns the type's name in definitions.
func (k Kind) String() string { return kindNames[k] }

// Param is a search parameter of one resource type, ready for use. Read-only.
type Param struct {
	Type, Code string
	URL        string
	Kind       Kind
	Bit        int         // place in the presence bits of the list, -1 = it has keys of its own for that
	Parts      []Component // of a composite
	Targets    []string    // of a reference: resource types, none = any
	Canonical  bool        // of a reference: some values are canonical or other addresses
	Binding    string      // value set of code elements, for their implied system
	Spoken     bool        // of a string: an added one, which is found by pinyin too, whatever it reads

	number uint32               // first four bytes of its keys
	exists bool                 // value is whether the path leads anywhere but to false
	paths  []path.Path          // the fast way; nil if only FHIRPath knows
	slow   *fhirpath.Expression // the general way, for what has no fast one
}

// Valued reports whether the parameter has values of its own, found by an
// expression; _text and _content look at the whole resource.
func (p *Param) Valued() bool { return p.paths != nil || p.slow != nil }

// Number is the hash that the parameter's keys begin with.
func (p *Param) Number() uint32 { return p.number }

// Component is one value of a composite parameter, read from each element the
// composite's own expression yields.
type Component struct {
	*Param                        // how its values are read and searched
	byType map[string][]path.Path // paths by the type of the element
}

// Prefix is the beginning of the parameter's keys in a space.
func (p *Param) Prefix(s key.Space) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 64), p.number), byte(s))
}

// Table is the parameters of one resource type. Read-only.
type Table struct {
	Name   string
	List   *Param   // stands for the list of all resources of the type
	Params []*Param // by code
	ByCode map[string]*Param

	order []*Param        // by number: keys come nearly sorted
	timed func() []*Param // those that read meta.lastUpdated
}

func (c *Catalog) table(typ string, sps []*definitions.SearchParameter) *Table {
	t := &Table{Name: typ, ByCode: map[string]*Param{}}
	t.List = &Param{Type: typ, number: key.Number(typ, ""), Bit: -1}
	for _, sp := range sps {
		if sp.Expression == "" && !slices.Contains([]string{"_text", "_content"}, sp.Code) {
			continue // _filter, _query and parameters of examples: no values of their own
		}
		p, err := c.compile(typ, sp)
		if err != nil {
			warn(typ, sp.Code, err)
			continue
		}
		if t.ByCode[p.Code] == nil {
			t.ByCode[p.Code] = p
			t.Params = append(t.Params, p)
		}
	}
	slices.SortFunc(t.Params, func(a, b *Param) int { return strings.Compare(a.Code, b.Code) })
	for i, p := range t.Params {
		p.Bit = i
	}
	t.finish(c)
	return t
}

// with returns the table with one parameter more.
func (c *Catalog) with(t *Table, p *Param) *Table {
	next := &Table{Name: t.Name, List: t.List, ByCode: maps.Clone(t.ByCode), Params: append(slices.Clone(t.Params), p)}
	next.ByCode[p.Code] = p
	slices.SortFunc(next.Params, func(a, b *Param) int { return strings.Compare(a.Code, b.Code) })
	next.finish(c)
	return next
}

// finish derives what follows from the parameters.
func (t *Table) finish(c *Catalog) {
	t.order = slices.Clone(t.Params)
	slices.SortFunc(t.order, func(a, b *Param) int { return cmp.Compare(a.number, b.number) })
	t.timed = sync.OnceValue(func() []*Param { return c.timed(t) })
}

func (c *Catalog) compile(typ string, sp *definitions.SearchParameter) (*Param, error) {
	k := slices.Index(kindNames[:], sp.Type)
	if k < 0 {
		return nil, fault.New(fault.Invalid, "search parameter %s has the unknown type %q", sp.URL, sp.Type)
	}
	p := &Param{Type: typ, Code: sp.Code, URL: sp.URL, Kind: Kind(k), number: key.Number(typ, sp.Code), Targets: sp.Target}
	if sp.Expression == "" {
		return p, nil
	}
	if err := c.expression(p, typ, sp.Expression); err != nil {
		return nil, err
	}
	if p.Kind != Composite {
		return p, nil
	}
	for _, def := range sp.Components {
		part, err := c.component(p, def)
		if err != nil {
			return nil, err
		}
		p.Parts = append(p.Parts, part)
	}
	if len(p.Parts) < 2 {
		return nil, fault.New(fault.Invalid, "composite search parameter %s needs two components", sp.URL)
	}
	return p, nil
}

// expression compiles how the values of p are found in a value of type base.
func (c *Catalog) expression(p *Param, base, expression string) error {
	expr := expression
	if m := existsForm.FindStringSubmatch(expr); m != nil && m[1] == m[2] {
		p.exists, expr = true, m[1]
	}
	var ok bool
	if p.paths, ok = path.Compile(c.Model, base, expr); ok {
		for _, w := range p.paths {
			switch w.Type {
			case "canonical", "uri", "url", "oid", "uuid":
				p.Canonical = true
			}
			if w.Type == "code" && w.Last != nil && w.Last.Binding != nil {
				p.Binding = w.Last.Binding.ValueSet
			}
		}
		return nil
	}
	p.exists = false
	x, err := c.fp.Compile(expression)
	if err != nil {
		return fault.New(fault.Invalid, "search parameter %s: %w", p.URL, err)
	}
	p.slow = x
	return nil
}

// existsForm is "X.exists() and X != false", the form of Patient-deceased.
var existsForm = regexp.MustCompile(`^([\w.]+)\.exists\(\) and ([\w.]+) != false$`)

func (c *Catalog) component(p *Param, comp definitions.Component) (Component, error) {
	def := c.definition(p.Type, comp.Definition)
	if def == nil {
		return Component{}, fault.New(fault.Invalid, "composite search parameter %s: unknown component %s", p.URL, comp.Definition)
	}
	k := slices.Index(kindNames[:], def.Type)
	if k < 0 || Kind(k) == Composite {
		return Component{}, fault.New(fault.Invalid, "composite search parameter %s: component %s cannot be searched", p.URL, comp.Definition)
	}
	part := Component{byType: map[string][]path.Path{}}
	part.Param = &Param{Type: p.Type, Code: def.Code, URL: def.URL, Kind: Kind(k), number: p.number, Targets: def.Target}
	for _, w := range p.paths {
		ways, ok := path.Compile(c.Model, w.Type, comp.Expression)
		if !ok {
			return Component{}, fault.New(fault.Unsupported, "composite search parameter %s: expression %q", p.URL, comp.Expression)
		}
		part.byType[w.Type] = ways
	}
	return part, nil
}

// definition finds the parameter of a type by its canonical address: a standard
// one, or one that was added before.
func (c *Catalog) definition(typ, url string) *definitions.SearchParameter {
	for _, sp := range slices.Concat(c.Model.SearchParameters(typ), c.added) {
		if sp.URL == url && hasBase(c.Model, sp, typ) {
			return sp
		}
	}
	return nil
}
