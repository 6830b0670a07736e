package validate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// profile is a StructureDefinition that constrains a type, compiled to the tree
// of what it and the profiles below it constrain: the snapshot, limited to the
// elements a differential touches. The base type's own rules are not in it,
// since every value is checked against its type anyway.
type profile struct {
	url  string
	typ  *definitions.Type
	root *rule
}

// rule is what profiles say about one element or one slice of it.
type rule struct {
	name  string // FHIRPath name, "" at the root
	slice string
	path  string // for messages: "Observation.category:VSCat"

	typ      *definitions.Type // of the element's value if there is one only
	el       *definitions.Element
	min, max int
	types    []definitions.TypeRef // narrowed; nil = as in the type
	fixed    fhir.Node
	pattern  fhir.Node
	binding  *definitions.Binding
	rules    []*invariant
	maxLen   int
	least    fhir.Node // minValue[x]
	most     fhir.Node // maxValue[x]

	slicing  *slicing
	slices   []*rule
	children []*rule
	expanded bool
	shortcut bool // types are those named by shortcuts (valueQuantity)
	touched  bool // a differential states something here or below
}

// maxChain bounds profiles on profiles.
const maxChain = 32

// compile builds a profile from its chain of differentials.
func (p *profiles) compile(e *entry) (*profile, error) {
	chain := []*entry{}
	for x := e; ; {
		h := x.read()
		if h.err != nil {
			return nil, h.err
		}
		if h.derivation != "constraint" {
			break
		}
		chain = append(chain, x)
		next := p.entry(h.base)
		if next == nil {
			return nil, fault.New(fault.NotFound, "profile %s: its base %s is not known", e.url, h.base)
		}
		if x = next; len(chain) > maxChain {
			return nil, fault.New(fault.Invalid, "profile %s: base definitions in a circle", e.url)
		}
	}
	typ := p.v.model.Type(e.read().typ)
	if typ == nil {
		return nil, fault.New(fault.Invalid, "profile %s is on %q, which is no R4 type", e.url, e.read().typ)
	}
	out := &profile{url: e.url, typ: typ, root: &rule{typ: typ, path: typ.Name, max: -1}}
	for i := len(chain) - 1; i >= 0; i-- {
		tree, err := fhir.Parse(chain[i].load())
		if err != nil {
			return nil, err
		}
		b := &builder{p: out, url: chain[i].url}
		list := tree.Root().Path("differential").Get("element")
		if !list.Exists() {
			list = tree.Root().Path("snapshot").Get("element")
		}
		for d := range list.Each() {
			if err := b.apply(d); err != nil {
				return nil, err
			}
		}
	}
	out.root.prune()
	return out, nil
}

// builder applies one differential.
type builder struct {
	p      *profile
	url    string
	slices map[string]string // path → the slice elements without id are in
}

// apply merges one ElementDefinition into the tree.
func (b *builder) apply(d fhir.Node) error {
	segs := b.segments(d)
	r := b.p.root
	r.touched = true
	for _, seg := range segs[1:] {
		name, slice, _ := strings.Cut(seg, ":")
		c := r.child(strings.TrimSuffix(name, "[x]"))
		if c == nil {
			if c, slice = r.choice(name, slice); c == nil {
				return fault.New(fault.Invalid, "profile %s: %s has no element %q", b.url, r.path, name)
			}
		}
		c.touched = true
		if slice != "" {
			c = c.sliceNamed(slice)
			c.touched = true
		}
		r = c
	}
	r.merge(d, r.slice != "" && strings.HasSuffix(segs[len(segs)-1], ":"+r.slice))
	return nil
}

// segments splits an element's id; where there is none, its path, with the
// slices that came before it.
func (b *builder) segments(d fhir.Node) []string {
	if id := d.Get("id").Str(); id != "" && strings.HasPrefix(id, b.p.typ.Name) {
		return strings.Split(strings.Clone(id), ".")
	}
	if b.slices == nil {
		b.slices = map[string]string{}
	}
	path := strings.Clone(d.Get("path").Str())
	if name := d.Get("sliceName").Str(); name != "" {
		b.slices[path] = strings.Clone(name)
	}
	segs := strings.Split(path, ".")
	at := ""
	for i, s := range segs {
		if at != "" {
			at += "."
		}
		at += s
		last := i == len(segs)-1
		if name := b.slices[at]; name != "" && (!last || d.Get("sliceName").Exists()) {
			segs[i] = s + ":" + name
		}
	}
	return segs
}

// child returns the rule of a child element, made from the type on first use.
func (r *rule) child(name string) *rule {
	if !r.expanded {
		r.expanded = true
		if r.typ != nil {
			for _, el := range r.typ.Elements {
				r.children = append(r.children, newRule(r, el))
			}
		}
	}
	for _, c := range r.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func newRule(parent *rule, el *definitions.Element) *rule {
	c := &rule{name: el.Name, path: parent.path + "." + el.Name, el: el, min: el.Min, max: el.Max, typ: el.Content}
	if c.typ == nil && len(el.Types) == 1 {
		c.typ = el.Types[0].Type
	}
	return c
}

// choice reads a name like valueQuantity as the slice of value[x].
func (r *rule) choice(name, slice string) (*rule, string) {
	el, ref := r.typ.JSONElement(name)
	if el == nil || !el.Choice || ref == nil {
		return nil, ""
	}
	c := r.child(el.Name)
	if slice == "" {
		slice = name
	}
	c.only(*ref)
	return c, slice
}

// only limits a choice to the types that differentials name by the shortcut
// valueQuantity: the official snapshots leave no other type there. Slicing or
// types that are stated go before.
func (r *rule) only(ref definitions.TypeRef) {
	if r.slicing != nil || len(r.types) > 0 && !r.shortcut {
		return
	}
	r.shortcut = true
	if !slices.ContainsFunc(r.types, func(t definitions.TypeRef) bool { return t.Code == ref.Code }) {
		r.types = append(slices.Clip(r.types), ref)
	}
}

// sliceNamed returns the slice of that name, made as a copy of the element; a
// slice without a stated minimum is optional.
func (r *rule) sliceNamed(name string) *rule {
	for _, s := range r.slices {
		if s.slice == name {
			return s
		}
	}
	s := &rule{name: r.name, slice: name, path: r.path + ":" + name, el: r.el, typ: r.typ, max: r.max, types: r.types}
	if r.el != nil && r.el.Choice {
		for i, t := range r.el.Types { // valueQuantity: the slice of that type
			if strings.EqualFold(r.name+t.Code, name) {
				s.types, s.typ = r.el.Types[i:i+1], t.Type
			}
		}
		s.max = 1
	}
	r.slices = append(r.slices, s)
	return s
}

// merge takes what an ElementDefinition states.
func (r *rule) merge(d fhir.Node, own bool) {
	if n, ok := d.Get("min").Int(); ok {
		r.min = int(n)
	}
	if s := d.Get("max").Str(); s == "*" {
		r.max = -1
	} else if n, err := strconv.Atoi(s); err == nil {
		r.max = n
	}
	if n, ok := d.Get("maxLength").Int(); ok {
		r.maxLen = int(n)
	}
	if t := d.Get("type"); t.Len() > 0 && r.el != nil {
		r.narrow(t)
	}
	for c := d.First(); c.Exists(); c = c.Next() {
		switch k := c.Key(); {
		case strings.HasPrefix(k, "fixed"):
			r.fixed = c
		case strings.HasPrefix(k, "pattern"):
			r.pattern = c
		case strings.HasPrefix(k, "minValue"):
			r.least = c
		case strings.HasPrefix(k, "maxValue"):
			r.most = c
		}
	}
	if b := d.Get("binding"); b.Get("valueSet").Exists() {
		r.binding = &definitions.Binding{Strength: strings.Clone(b.Get("strength").Str()), ValueSet: strings.Clone(b.Get("valueSet").Str())}
	}
	for c := range d.Get("constraint").Each() {
		r.constrain(c)
	}
	if s := d.Get("slicing"); s.Exists() {
		r.slicing = newSlicing(s)
	}
}

// narrow takes the types an element is limited to.
func (r *rule) narrow(list fhir.Node) {
	r.types = nil
	for t := range list.Each() {
		ref := definitions.TypeRef{Code: strings.Clone(t.Get("code").Str())}
		for _, base := range r.el.Types {
			if base.Code == ref.Code {
				ref.Type = base.Type
			}
		}
		for p := range t.Get("profile").Each() {
			ref.Profiles = append(ref.Profiles, strings.Clone(p.Str()))
		}
		for p := range t.Get("targetProfile").Each() {
			ref.Targets = append(ref.Targets, strings.Clone(p.Str()))
		}
		r.types = append(r.types, ref)
	}
	if len(r.types) == 1 && r.el.Content == nil && r.types[0].Type != nil && r.typ != r.types[0].Type {
		r.typ, r.expanded, r.children = r.types[0].Type, false, nil
	}
}

// constrain adds an invariant, in place of one with the same key.
func (r *rule) constrain(c fhir.Node) {
	i := &invariant{Constraint: definitions.Constraint{Key: strings.Clone(c.Get("key").Str()), Severity: strings.Clone(c.Get("severity").Str()),
		Human: strings.Clone(c.Get("human").Str()), Expression: strings.Clone(c.Get("expression").Str())}}
	if i.Expression == "" || native[i.Key] || r.inherited(i) {
		return
	}
	for k, old := range r.rules {
		if old.Key == i.Key {
			r.rules[k] = i
			return
		}
	}
	r.rules = append(r.rules, i)
}

// inherited reports whether the type or element has the invariant already.
func (r *rule) inherited(i *invariant) bool {
	var lists [2][]definitions.Constraint
	if r.typ != nil {
		lists[0] = r.typ.Constraints
	}
	if r.el != nil {
		lists[1] = r.el.Constraints
	}
	for _, list := range lists {
		for _, c := range list {
			if c.Key == i.Key && c.Expression == i.Expression {
				return true
			}
		}
	}
	return false
}

// prune drops what no differential touches.
func (r *rule) prune() {
	kept := r.children[:0]
	for _, c := range r.children {
		if c.touched {
			c.prune()
			kept = append(kept, c)
		}
	}
	r.children = append([]*rule(nil), kept...)
	for _, s := range r.slices {
		s.prune()
	}
}
