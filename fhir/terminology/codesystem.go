package terminology

import (
	"iter"
	"sort"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// fields of a concept in the text arena.
const (
	fieldCode = iota
	fieldDisplay
	fieldDefinition
	fieldCount
)

// codeSystem is a compiled CodeSystem, or the concepts a value set lists. It is
// immutable. Concepts are numbered in document order, which is also preorder of
// a nested hierarchy.
type codeSystem struct {
	url, version, name, title string
	language, content         string
	valueSet, supplements     string // canonicals
	ignoreCase                bool

	text   arena   // fieldCount strings a concept
	byCode []int32 // concepts by code (folded if ignoreCase)
	flags  []uint8

	parents, children edges
	props             []property // by concept
	designations      []designation
	propNames, langs  names

	pinyin lazyPinyin
}

const (
	flagInactive uint8 = 1 << iota
	flagAbstract
)

type property struct {
	concept int32
	name    uint16 // in propNames
	kind    propertyKind
	value   string // literal; for a Coding "system|code|display"
}

type propertyKind uint8

const (
	propString propertyKind = iota
	propCode
	propCoding
	propInteger
	propBoolean
	propDateTime
	propDecimal
)

var propertyKinds = [...]string{"valueString", "valueCode", "valueCoding", "valueInteger", "valueBoolean", "valueDateTime", "valueDecimal"}

type designation struct {
	concept int32
	lang    uint16 // in langs
	use     string // "system|code", may be empty
	value   string
}

// edges is a directed graph over concepts in compressed rows.
type edges struct {
	start []uint32 // len = concepts+1; nil = no edges
	to    []int32
}

func (e *edges) of(c int32) []int32 {
	if e.start == nil {
		return nil
	}
	return e.to[e.start[c]:e.start[c+1]]
}

type edge struct{ from, to int32 }

// newEdges sorts list by source, keeping the order of targets, and drops doubles.
func newEdges(n int32, list []edge) edges {
	if len(list) == 0 {
		return edges{}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].from < list[j].from })
	e := edges{start: make([]uint32, n+1), to: make([]int32, 0, len(list))}
	k := 0
	for c := int32(0); c < n; c++ {
		e.start[c] = uint32(len(e.to))
		for ; k < len(list) && list[k].from == c; k++ {
			if !contains(e.to[e.start[c]:], list[k].to) {
				e.to = append(e.to, list[k].to)
			}
		}
	}
	e.start[n] = uint32(len(e.to))
	return e
}

func contains(list []int32, x int32) bool {
	for _, y := range list {
		if y == x {
			return true
		}
	}
	return false
}

func (cs *codeSystem) len() int32                { return cs.text.len() / fieldCount }
func (cs *codeSystem) code(c int32) string       { return cs.text.at(c*fieldCount + fieldCode) }
func (cs *codeSystem) display(c int32) string    { return cs.text.at(c*fieldCount + fieldDisplay) }
func (cs *codeSystem) definition(c int32) string { return cs.text.at(c*fieldCount + fieldDefinition) }
func (cs *codeSystem) has(c int32, f uint8) bool { return cs.flags[c]&f != 0 }
func (cs *codeSystem) complete() bool            { return cs.content == "complete" || cs.content == "" }
func (cs *codeSystem) fold(code string) string {
	if cs.ignoreCase {
		return strings.ToLower(code)
	}
	return code
}

// find returns the concept of a code, -1 if there is none.
func (cs *codeSystem) find(code string) int32 {
	code = cs.fold(code)
	lo, hi := 0, len(cs.byCode)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if cs.fold(cs.code(cs.byCode[mid])) < code {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(cs.byCode) && cs.fold(cs.code(cs.byCode[lo])) == code {
		return cs.byCode[lo]
	}
	return -1
}

// propertiesOf iterates over the properties of a concept.
func (cs *codeSystem) propertiesOf(c int32) iter.Seq2[string, property] {
	i := sort.Search(len(cs.props), func(i int) bool { return cs.props[i].concept >= c })
	return func(yield func(string, property) bool) {
		for ; i < len(cs.props) && cs.props[i].concept == c; i++ {
			if !yield(cs.propNames.list[cs.props[i].name], cs.props[i]) {
				return
			}
		}
	}
}

// designationsOf returns the designations of a concept.
func (cs *codeSystem) designationsOf(c int32) []designation {
	lo := sort.Search(len(cs.designations), func(i int) bool { return cs.designations[i].concept >= c })
	hi := lo
	for hi < len(cs.designations) && cs.designations[hi].concept == c {
		hi++
	}
	return cs.designations[lo:hi]
}

// isA reports whether a is b or lies below it.
func (cs *codeSystem) isA(a, b int32) bool {
	if a == b {
		return true
	}
	if cs.parents.start == nil {
		return false
	}
	up := cs.closure(&cs.parents, a)
	return up[b]
}

// closure returns every concept reachable from c, without c itself unless it
// lies on a cycle.
func (cs *codeSystem) closure(e *edges, c int32) map[int32]bool {
	seen := map[int32]bool{}
	stack := append([]int32(nil), e.of(c)...)
	for len(stack) > 0 {
		x := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !seen[x] {
			seen[x] = true
			stack = append(stack, e.of(x)...)
		}
	}
	return seen
}

// compileCodeSystem compiles a CodeSystem resource.
func compileCodeSystem(res fhir.Node) (*codeSystem, error) {
	if res.ResourceType() != "CodeSystem" {
		return nil, fault.New(fault.Invalid, "not a CodeSystem: %s", res.ResourceType())
	}
	b := newConcepts()
	cs := b.cs
	cs.url, cs.version = clone(res, "url"), clone(res, "version")
	cs.name, cs.title = clone(res, "name"), clone(res, "title")
	cs.language, cs.content = clone(res, "language"), clone(res, "content")
	cs.valueSet, cs.supplements = clone(res, "valueSet"), clone(res, "supplements")
	sensitive, ok := res.Get("caseSensitive").Bool()
	cs.ignoreCase = ok && !sensitive
	for p := range res.Get("property").Each() {
		b.declare(p)
	}
	b.nested(res.Get("concept"), -1)
	return b.finish(), nil
}

func clone(n fhir.Node, key string) string { return strings.Clone(n.Get(key).Str()) }

// concepts builds a codeSystem.
type concepts struct {
	cs     *codeSystem
	text   arenaBuilder
	up     []edge            // concept → parent
	linked []link            // parents and children named by property
	roles  map[string]string // property code → parent | child
}

type link struct {
	concept int32
	code    string
	child   bool
}

func newConcepts() *concepts {
	return &concepts{cs: &codeSystem{}, roles: map[string]string{"parent": "parent", "child": "child", "subsumedBy": "parent"}}
}

const conceptProperties = "http://hl7.org/fhir/concept-properties#"

// declare reads a CodeSystem.property: its uri may make it a hierarchy.
func (b *concepts) declare(p fhir.Node) {
	if role, ok := strings.CutPrefix(p.Get("uri").Str(), conceptProperties); ok && (role == "parent" || role == "child") {
		b.roles[p.Get("code").Str()] = role
	}
}

func (b *concepts) nested(list fhir.Node, parent int32) {
	for n := range list.Each() {
		c := b.add(n)
		if parent >= 0 {
			b.up = append(b.up, edge{c, parent})
		}
		b.nested(n.Get("concept"), c)
	}
}

// add appends one concept with its designations and properties.
func (b *concepts) add(n fhir.Node) int32 {
	c := b.text.add(n.Get("code").Str()) / fieldCount
	b.text.add(n.Get("display").Str())
	b.text.add(n.Get("definition").Str())
	cs := b.cs
	cs.flags = append(cs.flags, 0)
	for d := range n.Get("designation").Each() {
		use := d.Get("use")
		text := ""
		if use.Exists() {
			text = use.Get("system").Str() + "|" + use.Get("code").Str()
		}
		cs.designations = append(cs.designations, designation{c, cs.langs.id(d.Get("language").Str()), text, clone(d, "value")})
	}
	for p := range n.Get("property").Each() {
		b.property(c, p)
	}
	return c
}

func (b *concepts) property(c int32, p fhir.Node) {
	code := p.Get("code").Str()
	for k, member := range propertyKinds {
		v := p.Get(member)
		if !v.Exists() {
			continue
		}
		text := v.Str()
		if propertyKind(k) == propCoding {
			text = v.Get("system").Str() + "|" + v.Get("code").Str() + "|" + v.Get("display").Str()
		}
		b.cs.props = append(b.cs.props, property{c, b.cs.propNames.id(code), propertyKind(k), strings.Clone(text)})
		b.flag(c, code, text)
		if role := b.roles[code]; role != "" && propertyKind(k) == propCode {
			b.linked = append(b.linked, link{c, text, role == "child"})
		}
		return
	}
}

// flag notes what a property says about the concept's use.
func (b *concepts) flag(c int32, code, value string) {
	switch {
	case (code == "notSelectable" || code == "abstract") && value == "true":
		b.cs.flags[c] |= flagAbstract
	case code == "inactive" && value == "true",
		code == "status" && (value == "retired" || value == "inactive"):
		b.cs.flags[c] |= flagInactive
	}
}

func (b *concepts) finish() *codeSystem {
	cs := b.cs
	cs.text = b.text.build()
	n := cs.len()
	cs.byCode = make([]int32, n)
	for i := range cs.byCode {
		cs.byCode[i] = int32(i)
	}
	sort.SliceStable(cs.byCode, func(i, j int) bool {
		return cs.fold(cs.code(cs.byCode[i])) < cs.fold(cs.code(cs.byCode[j]))
	})
	for _, l := range b.linked {
		if o := cs.find(l.code); o >= 0 && o != l.concept {
			if l.child {
				b.up = append(b.up, edge{o, l.concept})
			} else {
				b.up = append(b.up, edge{l.concept, o})
			}
		}
	}
	cs.parents = newEdges(n, b.up)
	down := make([]edge, len(b.up))
	for i, e := range b.up {
		down[i] = edge{e.to, e.from}
	}
	cs.children = newEdges(n, down)
	return cs
}

// concept appends a concept that has nothing but a code and a display.
func (b *concepts) concept(code, display string) {
	b.text.add(code)
	b.text.add(display)
	b.text.add("")
	b.cs.flags = append(b.cs.flags, 0)
}
