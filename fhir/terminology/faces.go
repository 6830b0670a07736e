package terminology

import (
	"context"
	"strings"
)

// The methods of this file have the shapes that packages fhirpath and search
// ask for in small interfaces of their own.

// MemberOf reports whether a Coding is in the value set; an empty system asks
// for the code alone. Errors: fault.NotFound for an unknown value set, or if
// only a code system that is not loaded could tell.
func (s *Service) MemberOf(_ context.Context, valueSet, system, _, code string) (bool, error) {
	x, err := s.state.Load().expansion(valueSet, 0)
	if err != nil {
		return false, err
	}
	if x == nil {
		return false, notFound("value set", valueSet)
	}
	v := x.has(system, code)
	if v == Unknown {
		return false, notFound("code system", or(system, valueSet))
	}
	return v == Yes, nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Members yields the codes of a value set, by its canonical or as ValueSet/id,
// in order, until yield returns false. Errors as of Expand.
func (s *Service) Members(_ context.Context, valueSet string, yield func(system, code string) bool) error {
	st := s.state.Load()
	x, err := st.expansion(valueSet, 0)
	if id, ok := strings.CutPrefix(valueSet, "ValueSet/"); ok {
		if e := st.byID(kindValueSet, id); e != nil {
			x, err = st.entryExpansion(e, 0)
		}
	}
	if err != nil {
		return err
	}
	if x == nil {
		return notFound("value set", valueSet)
	}
	if err := x.finite(); err != nil {
		return err
	}
	for _, it := range x.items {
		if !yield(x.system(it), x.code(it)) {
			break
		}
	}
	return nil
}

// Below yields a code and everything it subsumes, in the order of the code
// system. Errors: fault.NotFound for an unknown system or code.
func (s *Service) Below(_ context.Context, system, code string, yield func(code string) bool) error {
	return s.reach(system, code, yield, func(cs *codeSystem) *edges { return &cs.children })
}

// Above yields a code and everything that subsumes it. Errors as of Below.
func (s *Service) Above(_ context.Context, system, code string, yield func(code string) bool) error {
	return s.reach(system, code, yield, func(cs *codeSystem) *edges { return &cs.parents })
}

func (s *Service) reach(system, code string, yield func(string) bool, dir func(*codeSystem) *edges) error {
	url, version := splitCanonical(system)
	cs := s.state.Load().codeSystem(url, version)
	if cs == nil {
		return notFound("code system", system)
	}
	c := cs.find(code)
	if c < 0 {
		return codeUnknown(coding{system: system, code: code})
	}
	if !yield(cs.code(c)) {
		return nil
	}
	seen := cs.closure(dir(cs), c)
	for o := int32(0); o < cs.len(); o++ {
		if seen[o] && o != c && !yield(cs.code(o)) {
			return nil
		}
	}
	return nil
}
