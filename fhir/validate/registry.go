package validate

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// profiles holds the StructureDefinitions by canonical url: those of the base
// definitions and those added, each compiled at its first use. Readers never
// lock.
type profiles struct {
	v     *Validator
	known atomic.Pointer[map[string]*entry] // by url
	write sync.Mutex
	added map[string]*entry // by id; guarded by write
	built []*entry          // included; guarded by write
}

// entry is one StructureDefinition.
type entry struct {
	url  string
	load func() []byte

	header sync.Once
	head   header
	build  sync.Once
	p      *profile
	err    error
}

// header is what is known of a definition without building it.
type header struct {
	version, typ, base, kind, derivation string
	contexts                             []extensionContext
	err                                  error
}

func newProfiles(v *Validator) *profiles {
	p := &profiles{v: v, added: map[string]*entry{}}
	p.publish()
	return p
}

// publish makes the definitions known anew: what was built may stand on what
// changed.
func (p *profiles) publish() {
	known := map[string]*entry{}
	for _, url := range p.v.model.Canonicals("StructureDefinition") {
		known[url] = &entry{url: url, load: func() []byte { data, _ := p.v.model.Resource("StructureDefinition", url); return data }}
	}
	for _, a := range p.built {
		known[a.url] = &entry{url: a.url, load: a.load}
	}
	for _, id := range slices.Sorted(maps.Keys(p.added)) {
		a := p.added[id]
		known[a.url] = &entry{url: a.url, load: a.load}
	}
	p.known.Store(&known)
}

// Add takes StructureDefinitions into use, each in place of one with the same
// id or url; other resource types are ignored. The data is copied. A definition
// is built when it is first used; one that cannot be parsed is a fault.Invalid.
func (v *Validator) Add(resources ...[]byte) error {
	add, err := definitionsIn(resources)
	if err != nil || len(add) == 0 {
		return err
	}
	v.profiles.write.Lock()
	defer v.profiles.write.Unlock()
	maps.Copy(v.profiles.added, add)
	v.profiles.publish()
	return nil
}

// Include is Add for what a program brings along beside the base definitions:
// definitions added with the same id do not replace it, those with the same url
// come first.
func (v *Validator) Include(resources ...[]byte) error {
	add, err := definitionsIn(resources)
	if err != nil {
		return err
	}
	v.profiles.write.Lock()
	defer v.profiles.write.Unlock()
	for _, id := range slices.Sorted(maps.Keys(add)) {
		v.profiles.built = append(v.profiles.built, add[id])
	}
	v.profiles.publish()
	return nil
}

// definitionsIn picks the StructureDefinitions, by id, or url if they have none.
func definitionsIn(resources [][]byte) (map[string]*entry, error) {
	out := map[string]*entry{}
	for _, data := range resources {
		data = slices.Clone(data)
		tree, err := fhir.Parse(data)
		if err != nil {
			return nil, err
		}
		res := tree.Root()
		if res.ResourceType() != "StructureDefinition" {
			continue
		}
		url, id := strings.Clone(res.Get("url").Str()), strings.Clone(res.Get("id").Str())
		if url == "" {
			return nil, fault.New(fault.Invalid, "a StructureDefinition without url")
		}
		if id == "" {
			id = url
		}
		out[id] = &entry{url: url, load: func() []byte { return data }}
	}
	return out, nil
}

// Remove takes an added definition (type StructureDefinition) out of use, by its
// id, or its url if it has none.
func (v *Validator) Remove(typ, id string) {
	v.profiles.write.Lock()
	defer v.profiles.write.Unlock()
	if _, ok := v.profiles.added[id]; !ok || typ != "StructureDefinition" {
		return
	}
	delete(v.profiles.added, id)
	v.profiles.publish()
}

// entry returns the definition of a canonical, nil if unknown.
func (p *profiles) entry(canonical string) *entry {
	url, version, _ := strings.Cut(canonical, "|")
	e := (*p.known.Load())[url]
	if e != nil && version != "" {
		if v := e.read().version; v != version && !strings.HasPrefix(v, version+".") {
			return nil
		}
	}
	return e
}

// typeOf returns the type a profile constrains, "" if it is unknown.
func (p *profiles) typeOf(canonical string) string {
	if e := p.entry(canonical); e != nil {
		return e.read().typ
	}
	return ""
}

// read returns the definition's header.
func (e *entry) read() *header {
	e.header.Do(func() {
		tree, err := fhir.Parse(e.load())
		if err != nil {
			e.head.err = err
			return
		}
		n, h := tree.Root(), &e.head
		h.version, h.typ, h.base = strings.Clone(n.Get("version").Str()), strings.Clone(n.Get("type").Str()), strings.Clone(n.Get("baseDefinition").Str())
		h.kind, h.derivation = strings.Clone(n.Get("kind").Str()), strings.Clone(n.Get("derivation").Str())
		for c := range n.Get("context").Each() {
			h.contexts = append(h.contexts, extensionContext{strings.Clone(c.Get("type").Str()), strings.Clone(c.Get("expression").Str())})
		}
		h.contexts = append(h.contexts, erratumContexts(e.url)...)
	})
	return &e.head
}

// profile returns the compiled profile of a canonical; nil if it is unknown.
// An error says why a known one cannot be used.
func (p *profiles) profile(canonical string) (*profile, error) {
	e := p.entry(canonical)
	if e == nil {
		return nil, nil
	}
	e.build.Do(func() { e.p, e.err = p.compile(e) })
	return e.p, e.err
}
