package terminology

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Source supplies the terminology of the base definitions;
// *definitions.Model is one.
type Source interface {
	// Canonicals returns the url of every resource of a type.
	Canonicals(typ string) []string
	// Resource returns one resource's JSON; ok is false if there is none.
	Resource(typ, canonical string) (data []byte, ok bool)
}

// Service answers terminology questions. It is safe for concurrent use; reads
// never lock, writes replace the state.
type Service struct {
	state    atomic.Pointer[state]
	write    sync.Mutex // one writer at a time
	closures closures
	clock    clock.Clock
	refresh  func(context.Context) error // before operations; may be nil
}

// Follow makes operations call refresh first, which brings the service up to
// the resources stored elsewhere. It is called once, before the service is used
// by several goroutines.
func (s *Service) Follow(refresh func(context.Context) error) { s.refresh = refresh }

// Option changes a service at its making.
type Option func(*Service)

// WithClock sets the clock that dates expansions; the default is the system's.
func WithClock(c clock.Clock) Option { return func(s *Service) { s.clock = c } }

// New returns a service over the base definitions, which are compiled as they
// are asked for. src may be nil.
func New(src Source, opts ...Option) *Service {
	base := newLayer()
	for system, build := range map[string]func() *codeSystem{SystemCurrency: currencies, SystemCountry: countries} {
		e := &entry{kind: kindCodeSystem, url: system, build: build}
		base.byURL[kindCodeSystem][system] = []*entry{e}
	}
	if src != nil {
		for k, typ := range kindNames {
			for _, url := range src.Canonicals(typ) {
				e := &entry{kind: kind(k), url: url, raw: func() []byte { data, _ := src.Resource(typ, url); return data }}
				base.byURL[k][url] = []*entry{e}
			}
		}
	}
	s := &Service{clock: clock.System{}}
	for _, o := range opts {
		o(s)
	}
	s.closures.tables = map[string]*closureTable{}
	s.state.Store(&state{base: base, over: newLayer()})
	return s
}

// Add takes CodeSystem, ValueSet and ConceptMap resources into service, each in
// place of one with the same type and id; other resource types are ignored. The
// data is copied. Nothing is added if one is wrong: the error is fault.Invalid.
func (s *Service) Add(resources ...[]byte) error {
	return s.add(resources, func(old *state) (*state, *layer) {
		over := old.over.clone()
		return &state{base: old.base, over: over}, over
	})
}

// Include is Add for what a program brings along beside the base definitions:
// resources added with the same id do not replace it, and those with the same
// url come first.
func (s *Service) Include(resources ...[]byte) error {
	return s.add(resources, func(old *state) (*state, *layer) {
		base := old.base.clone()
		return &state{base: base, over: old.over}, base
	})
}

func (s *Service) add(resources [][]byte, next func(*state) (*state, *layer)) error {
	var add []*entry
	for _, data := range resources {
		e, err := newEntry(data)
		if err != nil {
			return err
		}
		if e != nil {
			add = append(add, e)
		}
	}
	if len(add) == 0 {
		return nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	st, l := next(s.state.Load())
	for _, e := range add {
		l.put(e)
	}
	s.state.Store(st)
	return nil
}

// Remove takes the resource added with this type and id out of service; it does
// nothing if there is none.
func (s *Service) Remove(typ, id string) {
	k, ok := kindOf(typ)
	if !ok || id == "" {
		return
	}
	s.write.Lock()
	defer s.write.Unlock()
	old := s.state.Load()
	e := old.over.byID[k][id]
	if e == nil {
		return
	}
	over := old.over.clone()
	over.drop(e)
	s.state.Store(&state{base: old.base, over: over})
}

// newEntry compiles a resource for the run-time layer; nil if it is of no
// terminology type.
func newEntry(data []byte) (*entry, error) {
	data = slices.Clone(data)
	tree, err := fhir.Parse(data)
	if err != nil {
		return nil, err
	}
	res := tree.Root()
	k, ok := kindOf(res.ResourceType())
	if !ok {
		return nil, nil
	}
	e := &entry{kind: k, id: clone(res, "id"), url: clone(res, "url")}
	e.once.Do(func() { e.compile(res) })
	if e.err != nil {
		return nil, e.err
	}
	return e, nil
}

// Member decides whether a code is in a value set. An empty system asks for the
// code alone, as FHIR's code elements do. Unknown also answers for a value set
// that is not loaded.
func (s *Service) Member(valueSet, system, code string) Verdict {
	x, err := s.state.Load().expansion(valueSet, 0)
	if err != nil || x == nil {
		return Unknown
	}
	return x.has(system, code)
}

// Valid decides whether a code exists in a code system.
func (s *Service) Valid(system, code string) Verdict {
	if g := grammarOf(system); g != nil {
		if g.valid(code) {
			return Yes
		}
		return No
	}
	cs := s.state.Load().codeSystem(system, "")
	switch {
	case cs == nil:
		return Unknown
	case cs.find(code) >= 0:
		return Yes
	case cs.complete():
		return No
	}
	return Unknown
}

// Fragment reports whether a code system is loaded with a part of its codes: a
// code that is not among them may exist (CodeSystem.content = fragment).
func (s *Service) Fragment(system string) bool {
	cs := s.state.Load().codeSystem(system, "")
	return cs != nil && cs.content == "fragment"
}

// Codes returns the listable codes of a value set in order, at most limit (0 =
// all): what an error message may suggest. nil if the value set is not known.
func (s *Service) Codes(valueSet string, limit int) []string {
	x, err := s.state.Load().expansion(valueSet, 0)
	if err != nil || x == nil {
		return nil
	}
	var out []string
	for _, it := range x.items {
		if limit > 0 && len(out) == limit {
			break
		}
		out = append(out, x.code(it))
	}
	return out
}

// notFound is the fault for a canonical nobody loaded.
func notFound(what, canonical string) *fault.Error {
	if canonical == "" {
		return required("url")
	}
	zh := map[string]string{"value set": "值集", "code system": "编码系统", "concept map": "概念映射"}[what]
	return fault.New(fault.NotFound, "%s not known: %s", what, canonical).With(fault.Issue{Severity: "error", Code: "not-found",
		Key:  "terminology-" + strings.ReplaceAll(what, " ", "-") + "-unknown",
		Text: "未加载" + zh + "：" + canonical, TextEN: what + " not known: " + canonical})
}

func required(names ...string) *fault.Error {
	list := strings.Join(names, " | ")
	return fault.New(fault.Invalid, "missing parameter %s", list).With(fault.Issue{Severity: "error", Code: "required",
		Key: "parameter-missing", Text: "缺少参数：" + list, TextEN: "missing parameter: " + list})
}
