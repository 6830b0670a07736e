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
	known atomic.Pointer[map[string]*entry]
	write sync.Mutex
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
	p := &profiles{v: v}
	known := map[string]*entry{}
	for _, url := range v.model.Canonicals("StructureDefinition") {
		known[url] = &entry{url: url, load: func() []byte { data, _ := v.model.Resource("StructureDefinition", url); return data }}
	}
	p.known.Store(&known)
	return p
}

// Add takes StructureDefinitions into use, in place of those with the same url;
// other resource types are ignored. The data is copied. A definition is built
// when it is first used; one that cannot be parsed is a fault.Invalid.
func (v *Validator) Add(resources ...[]byte) error {
	add := map[string]*entry{}
	for _, data := range resources {
		data = slices.Clone(data)
		tree, err := fhir.Parse(data)
		if err != nil {
			return err
		}
		res := tree.Root()
		if res.ResourceType() != "StructureDefinition" {
			continue
		}
		url := strings.Clone(res.Get("url").Str())
		if url == "" {
			return fault.New(fault.Invalid, "a StructureDefinition without url")
		}
		add[url] = &entry{url: url, load: func() []byte { return data }}
	}
	if len(add) == 0 {
		return nil
	}
	v.profiles.write.Lock()
	defer v.profiles.write.Unlock()
	known := maps.Clone(*v.profiles.known.Load())
	for url, e := range *v.profiles.known.Load() { // what is built may stand on what changes
		if _, replaced := add[url]; !replaced {
			known[url] = &entry{url: url, load: e.load}
		}
	}
	maps.Copy(known, add)
	v.profiles.known.Store(&known)
	return nil
}

// Remove takes an added definition out of use.
func (v *Validator) Remove(url string) {
	v.profiles.write.Lock()
	defer v.profiles.write.Unlock()
	known := maps.Clone(*v.profiles.known.Load())
	delete(known, url)
	v.profiles.known.Store(&known)
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
