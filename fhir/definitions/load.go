package definitions

import (
	_ "embed"
	"hash/crc32"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/qihuang-health/qihuang/internal/fault"
)

//go:embed r4.bin
var r4 string

// Load decodes the embedded R4 definitions. It takes some tens of milliseconds:
// call it once at start and share the model.
func Load() (*Model, error) { return decode([]byte(r4)) }

// decode reads the file that gen writes: a magic number, a checksum of the rest,
// the length of the compressed model, the model, and the blocks of resources.
func decode(data []byte) (*Model, error) {
	const head = 12
	if len(data) < head || string(data[:4]) != magic {
		return nil, fault.New(fault.Internal, "definitions: not a definitions file")
	}
	if crc32.Checksum(data[8:], crc32.MakeTable(crc32.Castagnoli)) != u32(data[4:]) {
		return nil, fault.New(fault.Internal, "definitions: checksum mismatch")
	}
	n := int(u32(data[8:]))
	if n > len(data)-head {
		return nil, fault.New(fault.Internal, "definitions: truncated")
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fault.New(fault.Internal, "definitions: %w", err)
	}
	defer z.Close()
	model, err := z.DecodeAll(data[head:head+n], nil)
	if err != nil {
		return nil, fault.New(fault.Internal, "definitions: %w", err)
	}
	r := &reader{b: model}
	m := r.model()
	if r.bad {
		return nil, fault.New(fault.Internal, "definitions: malformed")
	}
	m.store.data = data[head+n:]
	return m, nil
}

const magic = "QHD1"

func u32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (r *reader) model() *Model {
	m := &Model{types: map[string]*Type{}}
	r.readStrings()
	for range r.count() {
		m.sources = append(m.sources, Source{r.str(), r.str(), r.str()})
	}
	constraints := make([]Constraint, r.count())
	for i := range constraints {
		constraints[i] = Constraint{r.str(), r.str(), r.str(), r.str()}
	}
	r.types(m, constraints)
	r.searchParameters(m)
	r.compartments(m)
	r.index(m)
	return m
}

// types reads the types in two passes: names first, because elements and bases
// refer to types that come later.
func (r *reader) types(m *Model, constraints []Constraint) {
	all := make([]Type, r.count())
	for i := range all {
		all[i].Name = r.str()
		m.types[all[i].Name] = &all[i]
	}
	for i := range all {
		t := &all[i]
		t.URL, t.Base, t.Kind = r.str(), m.types[r.str()], Kind(r.uint())
		t.Abstract = r.uint() == 1
		t.Regex, t.System, t.Short = r.str(), r.str(), r.str()
		t.Constraints = r.constraints(constraints)
		els := make([]Element, r.count())
		t.Elements = make([]*Element, len(els))
		t.elements = make(map[string]*Element, len(els))
		t.json = make(map[string]jsonName, len(els))
		for j := range els {
			e := &els[j]
			r.element(m, e, constraints)
			e.Order = j
			t.Elements[j] = e
			t.elements[e.Name] = e
		}
		if t.Kind == Resource && !t.Abstract {
			m.resources = append(m.resources, t.Name)
		}
	}
	for i := range all { // kinds of all types are known now
		all[i].names()
	}
}

// names fills the index by JSON member name.
func (t *Type) names() {
	for _, e := range t.Elements {
		if e.Reference && len(e.Types) == 0 && e.Content != nil && e.Content.Base != nil {
			e.Types = []TypeRef{{Code: e.Content.Base.Name, Type: e.Content.Base}}
		}
		for i := range e.Types {
			ref := &e.Types[i]
			ref.primitive = ref.Type != nil && ref.Type.Kind == Primitive
			if e.Choice {
				t.json[e.Name+upperFirst(ref.Code)] = jsonName{e, ref}
			}
		}
		if !e.Choice {
			j := jsonName{el: e}
			if len(e.Types) == 1 {
				j.ref = &e.Types[0]
			}
			t.json[e.Name] = j
		}
	}
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Bits of an element's flags in the file.
const (
	flagChoice = 1 << iota
	flagReference
	flagSummary
	flagModifier
	flagAttribute
	flagBinding
)

func (r *reader) element(m *Model, e *Element, constraints []Constraint) {
	e.Name, e.Path, e.Short = r.str(), r.str(), r.str()
	e.Min, e.Max = r.uint(), r.uint()-1
	flags := r.uint()
	e.Choice, e.Reference = flags&flagChoice != 0, flags&flagReference != 0
	e.Summary, e.Modifier = flags&flagSummary != 0, flags&flagModifier != 0
	e.Attribute = flags&flagAttribute != 0
	e.Content = m.types[r.str()]
	e.Types = make([]TypeRef, r.count())
	for i := range e.Types {
		ref := TypeRef{Code: r.str(), Profiles: r.strs(), Targets: r.strs()}
		ref.Type = m.types[ref.Code]
		e.Types[i] = ref
	}
	if flags&flagBinding != 0 {
		e.Binding = &Binding{r.str(), r.str(), r.str()}
	}
	e.Constraints = r.constraints(constraints)
	e.Fixed, e.Pattern = r.raw(), r.raw()
}

func (r *reader) constraints(all []Constraint) []Constraint {
	out := make([]Constraint, 0, 4)
	for range r.count() {
		i := r.uint()
		if i >= len(all) {
			r.bad = true
			return nil
		}
		out = append(out, all[i])
	}
	return out
}

func (r *reader) searchParameters(m *Model) {
	all := make([]SearchParameter, r.count())
	m.allParams = make([]*SearchParameter, len(all))
	for i := range all {
		p := &all[i]
		p.URL, p.Code, p.Name, p.Description = r.str(), r.str(), r.str(), r.str()
		p.Type, p.Expression = r.str(), r.str()
		p.Base, p.Target = r.strs(), r.strs()
		p.Comparators, p.Modifiers, p.Chain = r.strs(), r.strs(), r.strs()
		p.MultipleOr, p.MultipleAnd = r.uint() == 1, r.uint() == 1
		for range r.count() {
			p.Components = append(p.Components, Component{r.str(), r.str()})
		}
		m.allParams[i] = p
	}
	m.shareParams()
}

func (r *reader) compartments(m *Model) {
	m.compartments = map[string]*Compartment{}
	for range r.count() {
		c := &Compartment{URL: r.str(), Code: r.str(), Resources: map[string][]string{}}
		for range r.count() {
			typ := r.str()
			c.Resources[typ] = r.strs()
		}
		m.compartments[c.Code] = c
	}
}

func (r *reader) index(m *Model) {
	m.store.index = map[string]*shelf{}
	at := 0
	for range r.count() {
		n := r.uint()
		m.store.blocks = append(m.store.blocks, span{at, at + n})
		at += n
	}
	for range r.count() {
		typ := r.str()
		sh := &shelf{entries: make([]entry, r.count()), byURL: map[string]int{}}
		for i := range sh.entries {
			e := entry{url: r.str(), version: r.str(), block: r.uint()}
			e.start = r.uint()
			e.end = e.start + r.uint()
			sh.entries[i] = e
			sh.byURL[e.url] = i
		}
		m.store.index[typ] = sh
	}
}
