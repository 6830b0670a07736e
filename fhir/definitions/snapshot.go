package definitions

import (
	"cmp"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const sdBase = "http://hl7.org/fhir/StructureDefinition/"

// Bounds of a snapshot: how far base definitions may chain and how many elements
// there may be (the largest of R4 has 256).
const (
	maxSnapshotChain    = 32
	maxSnapshotElements = 5_000
)

// Snapshot returns a profile or extension with its snapshot made from its
// differential and its base definition
// (https://hl7.org/fhir/R4/profiling.html#snapshot). find gives StructureDefinitions
// by canonical URL; it may be nil, and R4's own are found without it. A snapshot
// that is there already is replaced. Errors are fault.NotFound for an unknown
// base or type, fault.Invalid for a differential that does not fit.
func (m *Model) Snapshot(profile fhir.Node, find func(canonical string) ([]byte, bool)) ([]byte, error) {
	g := &snapshots{m: m, find: find, ready: map[string][]*part{}}
	list, err := g.generate(profile, 0)
	if err != nil {
		return nil, err
	}
	text := []byte(`{"element":[`)
	for i, p := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = p.append(text, m.Type("ElementDefinition"))
	}
	return fhir.Splice(profile.Tree().Source(), fhir.SetMember(profile, "snapshot", append(text, ']', '}'))), nil
}

// snapshots makes the snapshots that one needs.
type snapshots struct {
	m     *Model
	find  func(string) ([]byte, bool)
	ready map[string][]*part // by canonical
}

// part is one ElementDefinition: its id, and its members as JSON.
type part struct {
	id      string
	members []pair
}

type pair struct {
	key string
	raw []byte
}

func newPart(n fhir.Node) *part {
	p := &part{id: n.Get("id").Str()}
	for m := range n.Children() {
		p.members = append(p.members, pair{m.Key(), m.Raw()})
	}
	return p
}

func (p *part) get(key string) []byte {
	for _, m := range p.members {
		if m.key == key {
			return m.raw
		}
	}
	return nil
}

// node returns a member parsed, absent if there is none.
func (p *part) node(key string) fhir.Node {
	tree, err := fhir.Parse(p.get(key))
	if err != nil {
		return fhir.Node{}
	}
	return tree.Root()
}

// set gives a member a value; nil removes it.
func (p *part) set(key string, raw []byte) {
	i := slices.IndexFunc(p.members, func(m pair) bool { return m.key == key })
	switch {
	case raw == nil && i >= 0:
		p.members = slices.Delete(p.members, i, i+1)
	case raw == nil:
	case i >= 0:
		p.members[i].raw = raw
	default:
		p.members = append(p.members, pair{key, raw})
	}
}

func (p *part) setText(key, value string) { p.set(key, fhir.AppendString(nil, value)) }

// named gives the part another place.
func (p *part) named(id string) *part {
	c := &part{id: id, members: slices.Clone(p.members)}
	c.setText("id", id)
	c.setText("path", plainPath(id))
	return c
}

// plainPath is an id without slice names.
func plainPath(id string) string {
	segs := strings.Split(id, ".")
	for i, s := range segs {
		segs[i], _, _ = strings.Cut(s, ":")
	}
	return strings.Join(segs, ".")
}

// append writes the element with its members in the order of ElementDefinition.
func (p *part) append(dst []byte, t *Type) []byte {
	order := func(key string) int {
		if el, _ := t.JSONElement(key); el != nil {
			return el.Order
		}
		return len(t.Elements)
	}
	slices.SortStableFunc(p.members, func(a, b pair) int { return cmp.Compare(order(a.key), order(b.key)) })
	dst = append(dst, '{')
	for i, m := range p.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(fhir.AppendString(dst, m.key), ':'), m.raw...)
	}
	return append(dst, '}')
}

// load returns the elements of a definition, making its snapshot if it has none.
func (g *snapshots) load(canonical string, depth int) ([]*part, error) {
	if list, ok := g.ready[canonical]; ok {
		return list, nil
	}
	var data []byte
	ok := false
	if g.find != nil {
		data, ok = g.find(canonical)
	}
	if !ok {
		if data, ok = g.m.Resource("StructureDefinition", canonical); !ok {
			return nil, fault.New(fault.NotFound, "StructureDefinition %s is not known", canonical)
		}
	}
	tree, err := fhir.Parse(data)
	if err != nil {
		return nil, err
	}
	var list []*part
	if els := tree.Root().Path("snapshot", "element"); els.Len() > 0 {
		for e := range els.Children() {
			list = append(list, newPart(e))
		}
	} else if list, err = g.generate(tree.Root(), depth+1); err != nil {
		return nil, err
	}
	g.ready[canonical] = list
	return list, nil
}

func (g *snapshots) generate(profile fhir.Node, depth int) ([]*part, error) {
	url := profile.Get("url").Str()
	if depth > maxSnapshotChain {
		return nil, fault.New(fault.Invalid, "StructureDefinition %s: base definitions in a circle", url)
	}
	base, err := g.load(profile.Get("baseDefinition").Str(), depth)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "StructureDefinition %s: %w", url, err)
	}
	b := &snapshot{g: g, depth: depth, url: url, list: make([]*part, 0, 2*len(base))}
	for _, p := range base {
		b.list = append(b.list, &part{p.id, slices.Clone(p.members)})
	}
	ids := identifier{slices: map[string]string{}}
	for d := range profile.Path("differential", "element").Each() {
		i, err := b.ensure(ids.id(d))
		if err != nil {
			return nil, err
		}
		b.list[i].merge(d)
		g.inherit(b.list[i], d, depth)
	}
	return b.list, nil
}

// inherit adds the constraints of the profile that a differential puts on the only
// type of an element. One that is not known adds nothing here: validation finds it.
func (g *snapshots) inherit(p *part, d fhir.Node, depth int) {
	types := d.Get("type")
	profiles := types.First().Get("profile")
	if types.Len() != 1 || profiles.Len() != 1 {
		return
	}
	if list, err := g.load(profiles.First().Str(), depth+1); err == nil && len(list) > 0 && list[0].get("constraint") != nil {
		p.set("constraint", joinConstraints(list[0].node("constraint"), p.node("constraint")))
	}
}

// merge lays a differential's element over the inherited one. Constraints add up;
// everything else replaces.
func (p *part) merge(d fhir.Node) {
	for m := range d.Children() {
		switch m.Key() {
		case "id", "path":
		case "constraint":
			p.set("constraint", joinConstraints(p.node("constraint"), m))
		default:
			p.set(m.Key(), m.Raw())
		}
	}
}

// joinConstraints adds the constraints of b to those of a, one for each key.
func joinConstraints(a, b fhir.Node) []byte {
	out := []byte{'['}
	add := func(c fhir.Node) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, c.Raw()...)
	}
	own := map[string]bool{}
	for c := range b.Each() {
		own[c.Get("key").Str()] = true
	}
	for c := range a.Each() {
		if !own[c.Get("key").Str()] {
			add(c)
		}
	}
	for c := range b.Each() {
		add(c)
	}
	return append(out, ']')
}

// identifier gives differential elements without id one from path and sliceName.
type identifier struct{ slices map[string]string }

func (x identifier) id(d fhir.Node) string {
	path := d.Get("path").Str()
	if id := d.Get("id").Str(); id != "" && plainPath(id) == path {
		return id
	}
	if name := d.Get("sliceName").Str(); name != "" {
		x.slices[path] = name
	}
	segs := strings.Split(path, ".")
	at := ""
	for i, s := range segs {
		at = strings.TrimPrefix(at+"."+s, ".")
		if slice := x.slices[at]; slice != "" && (i < len(segs)-1 || d.Get("sliceName").Exists()) {
			segs[i] += ":" + slice
		}
	}
	return strings.Join(segs, ".")
}
