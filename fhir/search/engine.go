package search

import (
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config is what an [Engine] can be told. Zone, Base, Content and Units decide
// the keys of resources: all nodes that apply one log must agree on them, and a
// change needs a new index.
type Config struct {
	Zone     *time.Location // of dates without a zone, in resources and queries; nil = UTC
	Base     string         // absolute address of our own FHIR base: references below it are local
	Content  bool           // index every text of a resource for _content
	Units    bool           // index UCUM quantities in base units too: 1 g finds 1000 mg
	MaxCost  int            // a query that would cost more is refused (unit: one key read)
	MaxCount int            // most matches on one page
	Chain    int            // most links of a chain
	Include  int            // most resources included on one page
}

// Default returns the settings of a hub nobody configured.
func Default() Config {
	return Config{Zone: time.UTC, Content: true, Units: true, MaxCost: 20_000_000, MaxCount: 1000, Chain: 8, Include: 10_000}
}

// Validate checks that the limits make sense.
func (c Config) Validate() error {
	if c.MaxCost < 1000 || c.MaxCount < 1 || c.Chain < 1 || c.Include < 1 {
		return fault.New(fault.Invalid, "search: limits must be positive, MaxCost at least 1000")
	}
	return nil
}

// Engine knows the search parameters and answers queries. It is immutable and
// safe for concurrent use; [Engine.Extend] makes a new one with more parameters.
type Engine struct {
	cfg   Config
	cat   *param.Catalog
	terms Terminology

	sizes *guesses
	base  *param.Catalog // cat without what was added at run time
	added []*definitions.SearchParameter
}

// Option changes how an Engine is made.
type Option func(*Engine)

// WithConfig sets the configuration (default: [Default]).
func WithConfig(c Config) Option { return func(e *Engine) { e.cfg = c } }

// WithTerminology lets :in, :not-in, :above and :below of tokens work.
func WithTerminology(t Terminology) Option { return func(e *Engine) { e.terms = t } }

// NewEngine compiles the search parameters of every resource type in the model.
func NewEngine(m *definitions.Model, fp *fhirpath.Engine, opts ...Option) *Engine {
	e := &Engine{cfg: Default(), sizes: &guesses{size: map[string]*guess{}}}
	for _, o := range opts {
		o(e)
	}
	if e.cfg.Zone == nil {
		e.cfg.Zone = time.UTC
	}
	e.cat = param.New(m, fp, param.Config{Zone: e.cfg.Zone, Base: e.cfg.Base, Content: e.cfg.Content, Units: e.cfg.Units})
	e.base = e.cat
	return e
}

// Keys appends every index key of a current resource to dst: each once, in
// ascending order, sharing one buffer of their own. The layout is in DESIGN.md.
// An unknown type is a fault.NotFound; values that do not parse have no keys.
func (e *Engine) Keys(dst [][]byte, typ, id string, res fhir.Node) ([][]byte, error) {
	return e.cat.Keys(dst, typ, id, res)
}

// TimeKeys appends those keys of a resource that come of its meta.lastUpdated.
func (e *Engine) TimeKeys(dst [][]byte, typ, id, lastUpdated string) ([][]byte, error) {
	return e.cat.TimeKeys(dst, typ, id, lastUpdated)
}
