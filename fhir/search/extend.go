package search

import (
	"bytes"
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Extended is an [Index] whose keys were made by another engine than the one
// that may be asked: one with search parameters added at run time, as they were
// offered at the moment the index shows. Searches on it are that engine's.
type Extended interface {
	Index
	// Engine returns who made the keys; nil = whoever is asked.
	Engine() *Engine
}

// of returns the engine that answers for an index.
func (e *Engine) of(ix Index) *Engine {
	if x, ok := ix.(Extended); ok {
		if made := x.Engine(); made != nil {
			return made
		}
	}
	return e
}

// Owned is where the index keys of one added parameter of a type lie: they all
// begin with Prefix.
type Owned struct {
	Type       string
	Prefix     []byte
	Definition int // place of the parameter in what [Engine.Extend] was given
}

// Extend returns an engine with the standard parameters and those of the given
// SearchParameter resources, whatever e was extended with before, and where the
// keys of these lie, in order. Resources indexed before lack these keys. The
// first that cannot be used is a fault.Invalid, or a fault.Conflict with another.
func (e *Engine) Extend(resources [][]byte) (*Engine, []Owned, error) {
	next := *e
	next.cat, next.added = e.base, nil
	var owned []Owned
	for i, raw := range resources {
		sp, err := readParameter(raw)
		if err != nil {
			return nil, nil, err
		}
		cat, err := next.cat.With(sp)
		if err != nil {
			return nil, nil, err
		}
		for name, t := range cat.Types {
			if p := t.ByCode[sp.Code]; p != nil && next.cat.Types[name] != t {
				owned = append(owned, Owned{name, p.Prefix(0)[:4], i})
			}
		}
		next.cat, next.added = cat, append(next.added, sp)
	}
	slices.SortFunc(owned, func(a, b Owned) int { return bytes.Compare(a.Prefix, b.Prefix) })
	return &next, owned, nil
}

func readParameter(raw []byte) (*definitions.SearchParameter, error) {
	tree, err := fhir.Parse(raw)
	if err != nil {
		return nil, err
	}
	sp, err := definitions.ReadSearchParameter(tree.Root())
	if err != nil {
		return nil, fault.New(fault.Invalid, "SearchParameter/%s: %w", tree.Root().Get("id").Str(), err)
	}
	return sp, nil
}

// Added lists the parameters added at run time that searches on an index may use.
func (e *Engine) Added(ix Index) []*definitions.SearchParameter { return e.of(ix).added }
