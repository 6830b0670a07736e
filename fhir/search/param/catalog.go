// Package param knows the search parameters: it compiles their definitions and
// reads from a resource the index keys that each of them has
// (https://hl7.org/fhir/R4/searchparameter-registry.html). What a query asks of
// those keys is the business of package search.
package param

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config is what decides the keys of a resource beside its content. All nodes
// that apply one log must agree on it.
type Config struct {
	Zone    *time.Location // of dates without a zone
	Base    string         // absolute address of our own FHIR base: references below it are local
	Content bool           // index every text of a resource for _content
	Units   bool           // index UCUM quantities in base units too
}

// Catalog is the search parameters of every resource type. It is immutable and
// safe for concurrent use; [Catalog.With] makes a new one with more.
type Catalog struct {
	Model *definitions.Model
	Types map[string]*Table // by resource type; not to be changed

	cfg     Config
	fp      *fhirpath.Engine
	pool    *sync.Pool // of *Reader
	units   *sync.Map  // of *ucum.Unit by code, nil for what is none: parsed once
	parsed  *atomic.Int64
	implied func() map[string][]string     // code systems by value set, read when first asked
	added   []*definitions.SearchParameter // by With, in order: composites may be made of them
}

// New compiles the search parameters of every resource type in the model.
// Parameters whose expression cannot be compiled are left out, with a warning
// on the default logger: the R4 definitions have none of those.
func New(m *definitions.Model, fp *fhirpath.Engine, cfg Config) *Catalog {
	c := &Catalog{Model: m, Types: map[string]*Table{}, cfg: cfg, fp: fp, units: &sync.Map{}, parsed: new(atomic.Int64)}
	c.implied = sync.OnceValue(func() map[string][]string { return impliedSystems(m) })
	c.pool = &sync.Pool{New: func() any { return new(Reader) }}
	for _, typ := range m.Resources() {
		c.Types[typ] = c.table(typ, m.SearchParameters(typ))
	}
	return c
}

// With returns a catalog that knows further parameters. One that cannot be
// compiled is a fault.Invalid, one whose code a type already has, or whose keys
// would meet another's, a fault.Conflict.
func (c *Catalog) With(params ...*definitions.SearchParameter) (*Catalog, error) {
	next := *c
	next.Types = make(map[string]*Table, len(c.Types))
	for name, t := range c.Types {
		next.Types[name] = t
	}
	for _, sp := range params {
		used := false
		for _, typ := range c.Model.Resources() {
			if !hasBase(c.Model, sp, typ) {
				continue
			}
			used = true
			p, err := next.compile(typ, sp)
			if err != nil {
				return nil, err
			}
			p.Bit, p.Spoken = -1, p.Kind == String
			if next.Types[typ].ByCode[p.Code] != nil {
				return nil, fault.New(fault.Conflict, "%s has a search parameter %s already", typ, p.Code)
			}
			if other := next.holder(p); other != nil {
				return nil, fault.New(fault.Conflict, "search parameter %s of %s has the key of %s of %s: choose another code",
					p.Code, typ, other.Code, other.Type)
			}
			next.Types[typ] = c.with(next.Types[typ], p)
		}
		if !used {
			return nil, fault.New(fault.Invalid, "search parameter %s: no such resource type: %q", sp.URL, sp.Base)
		}
		next.added = append(next.added[:len(next.added):len(next.added)], sp)
	}
	return &next, nil
}

// holder returns the parameter that has the number of p, nil if none has.
func (c *Catalog) holder(p *Param) *Param {
	for _, t := range c.Types {
		if t.List.number == p.number {
			return t.List
		}
		for _, o := range t.Params {
			if o.number == p.number {
				return o
			}
		}
	}
	return nil
}

func hasBase(m *definitions.Model, sp *definitions.SearchParameter, typ string) bool {
	t := m.Type(typ)
	return t != nil && slices.ContainsFunc(sp.Base, t.IsA)
}

// Reader takes a reader from the catalog's pool; give it back with Release.
func (c *Catalog) Reader() *Reader { return c.pool.Get().(*Reader) }

// Release gives a reader back.
func (c *Catalog) Release(x *Reader) { c.pool.Put(x) }

// Targets lists the types a reference may lead to.
func (c *Catalog) Targets(p *Param) []string {
	if len(p.Targets) == 0 || p.Targets[0] == "Resource" {
		return c.Model.Resources()
	}
	return p.Targets
}

// Implies reports whether the codes of a value set are from a system that is
// not written with them.
func (c *Catalog) Implies(valueSet, system string) bool {
	valueSet, _, _ = strings.Cut(valueSet, "|")
	return slices.Contains(c.implied()[valueSet], system)
}

// impliedSystems lists, by value set, the code systems it takes codes from.
func impliedSystems(m *definitions.Model) map[string][]string {
	out := map[string][]string{}
	var p fhir.Parser
	for url, raw := range m.Conformance("ValueSet") {
		tree, err := p.Parse(raw)
		if err != nil {
			continue
		}
		for inc := range tree.Root().Get("compose").Get("include").Each() {
			out[url] = append(out[url], strings.Clone(inc.Get("system").Str()))
		}
	}
	return out
}

// warn tells of a parameter of the model that was left out.
func warn(typ, code string, err error) {
	slog.Warn("search parameter left out", "type", typ, "code", code, "err", err)
}
