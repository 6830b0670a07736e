package terminology

import (
	"iter"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/qihuang-health/qihuang/fhir"
)

// kind is one of the three resource types kept here.
type kind uint8

const (
	kindCodeSystem kind = iota
	kindValueSet
	kindConceptMap
	kinds
)

var kindNames = [kinds]string{"CodeSystem", "ValueSet", "ConceptMap"}

func kindOf(typ string) (kind, bool) {
	for k, n := range kindNames {
		if n == typ {
			return kind(k), true
		}
	}
	return 0, false
}

// entry is one resource, compiled on first use. It belongs to every state that
// holds it.
type entry struct {
	kind  kind
	id    string
	url   string
	raw   func() []byte      // the resource's JSON, or
	build func() *codeSystem // the code system itself

	once    sync.Once
	version string
	cs      *codeSystem
	vs      *valueSet
	cm      *conceptMap
	err     error

	memo atomic.Pointer[memo] // of a ValueSet: its expansion in the newest state that asked
}

type memo struct {
	state *state
	x     *expansion
	err   error
}

// load compiles the entry. It is safe for concurrent use.
func (e *entry) load() error {
	e.once.Do(func() {
		if e.build != nil {
			e.cs = e.build()
			return
		}
		tree, err := fhir.Parse(e.raw())
		if err != nil {
			e.err = err
			return
		}
		e.compile(tree.Root())
	})
	return e.err
}

func (e *entry) compile(res fhir.Node) {
	e.version = clone(res, "version")
	switch e.kind {
	case kindCodeSystem:
		e.cs, e.err = compileCodeSystem(res)
	case kindValueSet:
		e.vs, e.err = compileValueSet(res)
	case kindConceptMap:
		e.cm, e.err = compileConceptMap(res)
	}
}

// layer holds resources by canonical url and by id.
type layer struct {
	byURL       [kinds]map[string][]*entry
	byID        [kinds]map[string]*entry
	supplements map[string][]*codeSystem // by the url they supplement
	whole       map[string]*codeSystem   // code systems by their "all codes" value set
}

func newLayer() *layer {
	l := &layer{supplements: map[string][]*codeSystem{}, whole: map[string]*codeSystem{}}
	for k := range l.byURL {
		l.byURL[k], l.byID[k] = map[string][]*entry{}, map[string]*entry{}
	}
	return l
}

func (l *layer) clone() *layer {
	c := &layer{supplements: maps.Clone(l.supplements), whole: maps.Clone(l.whole)}
	for k := range l.byURL {
		c.byURL[k], c.byID[k] = maps.Clone(l.byURL[k]), maps.Clone(l.byID[k])
	}
	return c
}

// put adds an entry, in place of the one with its id. The layer must not be
// shared yet; slices are never changed in place.
func (l *layer) put(e *entry) {
	if old := l.byID[e.kind][e.id]; e.id != "" && old != nil {
		l.drop(old)
	}
	if e.id != "" {
		l.byID[e.kind][e.id] = e
	}
	l.byURL[e.kind][e.url] = append(l.byURL[e.kind][e.url][:len(l.byURL[e.kind][e.url]):len(l.byURL[e.kind][e.url])], e)
	if e.cs == nil {
		return
	}
	if e.cs.content == "supplement" {
		url, _ := splitCanonical(e.cs.supplements)
		list := l.supplements[url]
		l.supplements[url] = append(list[:len(list):len(list)], e.cs)
	}
	if e.cs.valueSet != "" {
		l.whole[e.cs.valueSet] = e.cs
	}
}

func (l *layer) drop(e *entry) {
	delete(l.byID[e.kind], e.id)
	l.byURL[e.kind][e.url] = without(l.byURL[e.kind][e.url], e)
	if e.cs == nil {
		return
	}
	url, _ := splitCanonical(e.cs.supplements)
	l.supplements[url] = without(l.supplements[url], e.cs)
	if l.whole[e.cs.valueSet] == e.cs {
		delete(l.whole, e.cs.valueSet)
	}
}

func without[T comparable](list []T, x T) []T {
	var out []T
	for _, y := range list {
		if y != x {
			out = append(out, y)
		}
	}
	return out
}

// state is what the service knows at one moment. It is immutable apart from
// what entries compile lazily.
type state struct {
	base, over *layer
}

// lookup returns the entry of a canonical: the stated version, else the newest,
// run-time resources before the base definitions; nil if there is none.
func (st *state) lookup(k kind, url, version string) *entry {
	var best *entry
	for _, l := range [...]*layer{st.over, st.base} {
		for _, e := range l.byURL[k][url] {
			if version == "" && l == st.base && best == nil && len(l.byURL[k][url]) == 1 {
				return e
			}
			if e.load() != nil || version != "" && !versionMatches(e.version, version) {
				continue
			}
			if e.cs != nil && e.cs.content == "supplement" {
				continue
			}
			if best == nil || compareVersions(e.version, best.version) > 0 {
				best = e
			}
		}
	}
	return best
}

// codeSystem returns a code system with content, nil if none is loaded.
func (st *state) codeSystem(url, version string) *codeSystem {
	e := st.lookup(kindCodeSystem, url, version)
	if e == nil || e.load() != nil || e.cs.content == "not-present" {
		return nil
	}
	return e.cs
}

// valueSet finds the definition of a canonical: a resource, a code system's
// "all codes" value set, or an implicit one (url?fhir_vs…). nil if unknown.
func (st *state) valueSet(canonical string) (*valueSet, *entry) {
	url, version := splitCanonical(canonical)
	if e := st.lookup(kindValueSet, url, version); e != nil && e.load() == nil {
		return e.vs, e
	}
	for _, l := range [...]*layer{st.over, st.base} {
		if cs := l.whole[url]; cs != nil {
			return &valueSet{url: url, version: cs.version, status: "active", include: []clause{{system: cs.url}}}, nil
		}
	}
	return st.implicit(url), nil
}

// implicit makes the value sets that code systems define by url.
func (st *state) implicit(url string) *valueSet {
	system, query, ok := strings.Cut(url, "?fhir_vs")
	if !ok || system == "" {
		return nil
	}
	c := clause{system: system}
	switch {
	case query == "":
	case strings.HasPrefix(query, "=isa/"):
		c.filters = []filter{{"concept", "is-a", query[len("=isa/"):]}}
	default:
		return nil
	}
	return &valueSet{url: url, status: "active", include: []clause{c}}
}

// expansion returns the expansion of a canonical, worked out once a state; nil
// if the value set is not known.
func (st *state) expansion(canonical string, depth int) (*expansion, error) {
	vs, e := st.valueSet(canonical)
	if vs == nil {
		return nil, nil
	}
	if e == nil {
		return st.expand(vs, depth)
	}
	return st.entryExpansion(e, depth)
}

// byID returns the added resource of an id, nil if there is none.
func (st *state) byID(k kind, id string) *entry {
	if e := st.over.byID[k][id]; e != nil {
		return e
	}
	return st.base.byID[k][id]
}

func (st *state) entryExpansion(e *entry, depth int) (*expansion, error) {
	if err := e.load(); err != nil {
		return nil, err
	}
	if m := e.memo.Load(); m != nil && m.state == st {
		return m.x, m.err
	}
	x, err := st.expand(e.vs, depth)
	if depth == 0 || err == nil {
		e.memo.Store(&memo{st, x, err})
	}
	return x, err
}

// supplementsOf iterates over the loaded supplements of a code system.
func (st *state) supplementsOf(url string) iter.Seq[*codeSystem] {
	return func(yield func(*codeSystem) bool) {
		for _, l := range [...]*layer{st.over, st.base} {
			for _, cs := range l.supplements[url] {
				if !yield(cs) {
					return
				}
			}
		}
	}
}

func (st *state) supplemented(url string) bool {
	return len(st.over.supplements[url])+len(st.base.supplements[url]) > 0
}
