package search

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/path"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// kind is the type of a search parameter.
type kind uint8

const (
	kindToken kind = iota
	kindReference
	kindString
	kindDate
	kindNumber
	kindQuantity
	kindURI
	kindComposite
	kindSpecial
)

var kindNames = [...]string{"token", "reference", "string", "date", "number", "quantity", "uri", "composite", "special"}

func (k kind) String() string { return kindNames[k] }

// param is a search parameter of one resource type, ready for use.
type param struct {
	typ, code string
	url       string
	kind      kind
	number    uint32               // first four bytes of its keys
	bit       int                  // place in the presence bits of the list, -1 = own keys
	exists    bool                 // value is whether the path leads anywhere but to false
	paths     []path.Path          // the fast way; nil if only FHIRPath knows
	slow      *fhirpath.Expression // the general way, for what has no fast one
	parts     []component          // of a composite
	targets   []string             // of a reference
	canonical bool                 // of a reference: some values are canonical or other addresses
	binding   string               // value set of the code elements, for their implied system
}

// component is one value of a composite parameter, read from each element the
// composite's own expression yields.
type component struct {
	*param                        // how its values are read and searched
	byType map[string][]path.Path // paths by the type of the element
}

// prefix is the beginning of the parameter's keys in a space.
func (p *param) prefix(s key.Space) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 64), p.number), byte(s))
}

// typeTable is what is known of one resource type.
type typeTable struct {
	name   string
	list   *param   // keys of the list of all resources
	params []*param // by code
	byCode map[string]*param
}

func (e *Engine) table(typ string, sps []*definitions.SearchParameter) *typeTable {
	t := &typeTable{name: typ, byCode: map[string]*param{}}
	t.list = &param{typ: typ, number: key.Number(typ, ""), bit: -1}
	for _, sp := range sps {
		if sp.Expression == "" && !slices.Contains([]string{"_text", "_content"}, sp.Code) {
			continue // _filter, _query and parameters of examples: no values of their own
		}
		p, err := e.compile(typ, sp)
		if err != nil {
			warn(typ, sp.Code, err)
			continue
		}
		if t.byCode[p.code] == nil {
			t.byCode[p.code] = p
			t.params = append(t.params, p)
		}
	}
	slices.SortFunc(t.params, func(a, b *param) int { return strings.Compare(a.code, b.code) })
	for i, p := range t.params {
		p.bit = i
	}
	return t
}

// with returns the table with one parameter more or another in its place.
func (t *typeTable) with(p *param) (*typeTable, error) {
	next := &typeTable{name: t.name, list: t.list, byCode: map[string]*param{p.code: p}, params: []*param{p}}
	for _, o := range t.params {
		if o.code == p.code {
			continue
		}
		if o.number == p.number {
			return nil, fault.New(fault.Conflict, "search parameter %s of %s has the key of %s: choose another code", p.code, t.name, o.code)
		}
		next.byCode[o.code] = o
		next.params = append(next.params, o)
	}
	slices.SortFunc(next.params, func(a, b *param) int { return strings.Compare(a.code, b.code) })
	return next, nil
}

func (e *Engine) compile(typ string, sp *definitions.SearchParameter) (*param, error) {
	k := slices.Index(kindNames[:], sp.Type)
	if k < 0 {
		return nil, fault.New(fault.Invalid, "search parameter %s has the unknown type %q", sp.URL, sp.Type)
	}
	p := &param{typ: typ, code: sp.Code, url: sp.URL, kind: kind(k), number: key.Number(typ, sp.Code), targets: sp.Target}
	if sp.Expression == "" {
		return p, nil
	}
	if err := e.expression(p, typ, sp.Expression); err != nil {
		return nil, err
	}
	if p.kind != kindComposite {
		return p, nil
	}
	for _, c := range sp.Components {
		part, err := e.component(p, c)
		if err != nil {
			return nil, err
		}
		p.parts = append(p.parts, part)
	}
	if len(p.parts) < 2 {
		return nil, fault.New(fault.Invalid, "composite search parameter %s needs two components", sp.URL)
	}
	return p, nil
}

// expression compiles how the values of p are found in a value of type base.
func (e *Engine) expression(p *param, base, expression string) error {
	expr := expression
	if m := existsForm.FindStringSubmatch(expr); m != nil && m[1] == m[2] {
		p.exists, expr = true, m[1]
	}
	var ok bool
	if p.paths, ok = path.Compile(e.model, base, expr); ok {
		for _, w := range p.paths {
			switch w.Type {
			case "canonical", "uri", "url", "oid", "uuid":
				p.canonical = true
			}
			if w.Type == "code" && w.Last != nil && w.Last.Binding != nil {
				p.binding = w.Last.Binding.ValueSet
			}
		}
		return nil
	}
	p.exists = false
	x, err := e.fp.Compile(expression)
	if err != nil {
		return fault.New(fault.Invalid, "search parameter %s: %w", p.url, err)
	}
	p.slow = x
	return nil
}

// existsForm is "X.exists() and X != false", the form of Patient-deceased.
var existsForm = regexp.MustCompile(`^([\w.]+)\.exists\(\) and ([\w.]+) != false$`)

func (e *Engine) component(p *param, c definitions.Component) (component, error) {
	def := e.definition(p.typ, c.Definition)
	if def == nil {
		return component{}, fault.New(fault.Invalid, "composite search parameter %s: unknown component %s", p.url, c.Definition)
	}
	k := slices.Index(kindNames[:], def.Type)
	if k < 0 || kind(k) == kindComposite {
		return component{}, fault.New(fault.Invalid, "composite search parameter %s: component %s cannot be searched", p.url, c.Definition)
	}
	part := component{byType: map[string][]path.Path{}}
	part.param = &param{typ: p.typ, code: def.Code, url: def.URL, kind: kind(k), number: p.number, targets: def.Target}
	for _, w := range p.paths {
		ways, ok := path.Compile(e.model, w.Type, c.Expression)
		if !ok {
			return component{}, fault.New(fault.Unsupported, "composite search parameter %s: expression %q", p.url, c.Expression)
		}
		part.byType[w.Type] = ways
	}
	return part, nil
}

// definition finds the parameter of a type by its canonical address.
func (e *Engine) definition(typ, url string) *definitions.SearchParameter {
	for _, sp := range e.model.SearchParameters(typ) {
		if sp.URL == url {
			return sp
		}
	}
	return nil
}
