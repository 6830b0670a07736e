package search

import (
	"log/slog"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config is what an [Engine] can be told.
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

// Engine knows the search parameters. It is immutable and safe for concurrent
// use; [Engine.With] makes a new one with more parameters.
type Engine struct {
	cfg   Config
	model *definitions.Model
	fp    *fhirpath.Engine
	terms Terminology
	types map[string]*typeTable
	pool  *sync.Pool // of *emitter

	units   *sync.Map                  // of *ucum.Unit by code, nil for what is none: parsed once
	implied func() map[string][]string // code systems by value set, read when first asked
}

// Option changes how an Engine is made.
type Option func(*Engine)

// WithConfig sets the configuration (default: [Default]).
func WithConfig(c Config) Option { return func(e *Engine) { e.cfg = c } }

// WithTerminology lets :in, :not-in, :above and :below of tokens work.
func WithTerminology(t Terminology) Option { return func(e *Engine) { e.terms = t } }

// NewEngine compiles the search parameters of every resource type in the
// model. Parameters whose expression cannot be compiled are left out, with a
// warning on the default logger: the R4 definitions have none of those.
func NewEngine(m *definitions.Model, fp *fhirpath.Engine, opts ...Option) *Engine {
	e := &Engine{cfg: Default(), model: m, fp: fp, types: map[string]*typeTable{}, units: &sync.Map{}}
	for _, o := range opts {
		o(e)
	}
	if e.cfg.Zone == nil {
		e.cfg.Zone = time.UTC
	}
	e.implied = sync.OnceValue(func() map[string][]string { return impliedSystems(m) })
	e.pool = &sync.Pool{New: func() any { return new(emitter) }}
	for _, typ := range m.Resources() {
		e.types[typ] = e.table(typ, m.SearchParameters(typ))
	}
	return e
}

// With returns an engine that knows further search parameters (those of the
// base model stay). A parameter with the code of one that is there replaces
// it. Resources indexed before lack the new keys until they are indexed again.
// A parameter that cannot be compiled is a fault.Invalid.
func (e *Engine) With(params ...*definitions.SearchParameter) (*Engine, error) {
	next := *e
	next.types = make(map[string]*typeTable, len(e.types))
	for name, t := range e.types {
		next.types[name] = t
	}
	for _, sp := range params {
		for typ, t := range e.types {
			if !hasBase(e.model, sp, typ) {
				continue
			}
			p, err := next.compile(typ, sp)
			if err != nil {
				return nil, err
			}
			p.bit = -1
			grown, err := next.types[typ].with(p)
			if err != nil {
				return nil, err
			}
			next.types[t.name] = grown
		}
	}
	return &next, nil
}

func hasBase(m *definitions.Model, sp *definitions.SearchParameter, typ string) bool {
	t := m.Type(typ)
	for _, base := range sp.Base {
		if t != nil && t.IsA(base) {
			return true
		}
	}
	return false
}

// warn tells of a parameter of the model that was left out.
func warn(typ, code string, err error) {
	slog.Warn("search parameter left out", "type", typ, "code", code, "err", err)
}
