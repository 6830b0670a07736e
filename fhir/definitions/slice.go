package definitions

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// snapshot is one under construction: the base's elements, growing by slices and
// by the children of types the differential walks into.
type snapshot struct {
	g     *snapshots
	depth int
	url   string
	list  []*part
	short map[string]*shorthand // by the id of the choice element
}

// shorthand is a choice element that a differential narrows by naming one of its
// forms as an element (valueQuantity): it may then have only the types so named.
type shorthand struct {
	types fhir.Node // as inherited
	kept  []byte    // JSON list without its end
}

func (s *snapshot) index(id string) int {
	return slices.IndexFunc(s.list, func(p *part) bool { return p.id == id })
}

func (s *snapshot) wrong(id, text string) error {
	return fault.New(fault.Invalid, "StructureDefinition %s: %s: %s", s.url, id, text)
}

// ensure returns the position of the element with the id, making it if it is a new
// slice or lies inside a type that is not unfolded yet.
func (s *snapshot) ensure(id string) (int, error) {
	if i := s.index(id); i >= 0 {
		return i, nil
	}
	if len(s.list) > maxSnapshotElements {
		return 0, fault.New(fault.TooCostly, "StructureDefinition %s: over %d elements", s.url, maxSnapshotElements)
	}
	dot := strings.LastIndexByte(id, '.')
	if dot < 0 {
		return 0, s.wrong(id, "not an element of the base")
	}
	i, err := s.ensure(id[:dot])
	if err != nil {
		return 0, err
	}
	if parent := s.list[i].id; parent != id[:dot] { // valueQuantity became value[x]:valueQuantity
		return s.ensure(parent + id[dot:])
	}
	name, slice, sliced := strings.Cut(id[dot+1:], ":")
	if sliced {
		return s.slice(id[:dot+1]+name, slice)
	}
	if err := s.unfold(id[:dot]); err != nil {
		return 0, err
	}
	if i := s.index(id); i >= 0 {
		return i, nil
	}
	if choice := s.choice(id[:dot], name); choice != "" {
		return s.narrow(choice, name)
	}
	return 0, s.wrong(id, "not an element of the base")
}

// end returns the position after an element, its children and its slices.
func (s *snapshot) end(i int) int {
	id := s.list[i].id
	for i++; i < len(s.list) && (strings.HasPrefix(s.list[i].id, id+".") || strings.HasPrefix(s.list[i].id, id+":")); i++ {
	}
	return i
}

// slice makes a slice of an element, after those it has.
func (s *snapshot) slice(of, name string) (int, error) {
	if i := s.index(of + ":" + name); i >= 0 {
		return i, nil
	}
	i, err := s.ensure(of)
	if err != nil {
		return 0, err
	}
	whole := s.list[i]
	p := whole.named(of + ":" + name)
	p.setText("sliceName", name)
	p.set("slicing", nil)
	p.set("min", []byte("0"))
	if stem, ok := strings.CutSuffix(of, "[x]"); ok {
		stem = stem[strings.LastIndexByte(stem, '.')+1:]
		if t := onlyType(whole.node("type"), strings.TrimPrefix(name, stem)); t != nil {
			p.set("type", t)
		}
		if whole.get("slicing") == nil {
			whole.set("slicing", []byte(`{"discriminator":[{"type":"type","path":"$this"}],"ordered":false,"rules":"open"}`))
		}
	}
	at := s.end(i)
	s.list = slices.Insert(s.list, at, p)
	return at, nil
}

// onlyType narrows a list of types to the one with the code, compared as in value[x].
func onlyType(types fhir.Node, code string) []byte {
	for t := range types.Each() {
		if strings.EqualFold(t.Get("code").Str(), code) {
			return append(append([]byte{'['}, t.Raw()...), ']')
		}
	}
	return nil
}

// choice finds the value[x] below parent that a name such as valueQuantity means,
// "" if there is none.
func (s *snapshot) choice(parent, name string) string {
	for _, p := range s.list {
		stem, ok := strings.CutSuffix(p.id, "[x]")
		if !ok || !strings.HasPrefix(stem, parent+".") {
			continue
		}
		stem = stem[len(parent)+1:]
		types := p.node("type")
		if sh := s.short[p.id]; sh != nil {
			types = sh.types
		}
		if code, ok := strings.CutPrefix(name, stem); ok && onlyType(types, code) != nil {
			return p.id
		}
	}
	return ""
}

// narrow makes the slice of a choice element for a name such as valueQuantity, and
// leaves the element only the types that were named so.
func (s *snapshot) narrow(of, name string) (int, error) {
	if i := s.index(of + ":" + name); i >= 0 {
		return i, nil
	}
	whole := s.list[s.index(of)]
	sh := s.short[of]
	if sh == nil {
		sh = &shorthand{types: whole.node("type"), kept: []byte{'['}}
		if s.short == nil {
			s.short = map[string]*shorthand{}
		}
		s.short[of] = sh
	}
	stem := strings.TrimSuffix(of[strings.LastIndexByte(of, '.')+1:], "[x]")
	one := onlyType(sh.types, strings.TrimPrefix(name, stem))
	i, err := s.slice(of, name)
	if err != nil {
		return 0, err
	}
	s.list[i].set("type", one)
	if len(sh.kept) > 1 {
		sh.kept = append(sh.kept, ',')
	}
	sh.kept = append(sh.kept, one[1:len(one)-1]...)
	whole.set("type", append(slices.Clone(sh.kept), ']'))
	return i, nil
}

// unfold gives an element the children of its type, if it has none: those of the
// unsliced element for a slice, of the target for a contentReference, else those of
// its only type or the profile on it.
func (s *snapshot) unfold(id string) error {
	i := s.index(id)
	if i+1 < len(s.list) && strings.HasPrefix(s.list[i+1].id, id+".") {
		return nil
	}
	from, prefix, err := s.content(s.list[i])
	if err != nil {
		return err
	}
	var children []*part
	for _, p := range from {
		if rest, ok := strings.CutPrefix(p.id, prefix+"."); ok {
			children = append(children, p.named(id+"."+rest))
		}
	}
	if len(children) == 0 {
		return s.wrong(id, "has no elements inside")
	}
	s.list = slices.Insert(s.list, i+1, children...)
	return nil
}

// content finds the elements that stand inside one, and the id they are below.
func (s *snapshot) content(p *part) (from []*part, prefix string, err error) {
	dot := strings.LastIndexByte(p.id, '.')
	if whole, _, sliced := strings.Cut(p.id[dot+1:], ":"); sliced {
		whole = p.id[:dot+1] + whole
		if i := s.index(whole); i >= 0 && i+1 < len(s.list) && strings.HasPrefix(s.list[i+1].id, whole+".") {
			return s.list, whole, nil
		}
	}
	if ref := p.node("contentReference").Str(); ref != "" {
		return s.list, strings.TrimPrefix(ref, "#"), nil
	}
	types := p.node("type")
	if types.Len() != 1 {
		return nil, "", s.wrong(p.id, "has several types, so nothing can be said on what is inside")
	}
	t := types.First()
	canonical := sdBase + t.Get("code").Str()
	if profiles := t.Get("profile"); profiles.Len() == 1 {
		canonical = profiles.First().Str()
	}
	list, err := s.g.load(canonical, s.depth+1)
	if err != nil {
		return nil, "", err
	}
	return list, list[0].id, nil
}
