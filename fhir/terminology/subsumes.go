package terminology

import (
	"context"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Subsumes reports whether code a of the system equals b or lies above it.
// Errors as of Relation.
func (s *Service) Subsumes(_ context.Context, system, a, b string) (bool, error) {
	r, err := s.Relation(system, a, b)
	return r == "equivalent" || r == "subsumes", err
}

// Relation compares two codes of one system: "equivalent", "subsumes" (a lies
// above b), "subsumed-by" or "not-subsumed". Errors: fault.NotFound for an
// unknown system or code.
func (s *Service) Relation(system, codeA, codeB string) (string, error) {
	return s.state.Load().subsumes(system, "", codeA, codeB)
}

func (st *state) subsumes(system, version, codeA, codeB string) (string, error) {
	cs := st.codeSystem(system, version)
	if cs == nil {
		if g := grammarOf(system); g != nil {
			return grammarSubsumes(g, system, codeA, codeB)
		}
		return "", notFound("code system", system)
	}
	a, b := cs.find(codeA), cs.find(codeB)
	switch {
	case a < 0:
		return "", codeUnknown(coding{system: system, code: codeA})
	case b < 0:
		return "", codeUnknown(coding{system: system, code: codeB})
	case a == b:
		return "equivalent", nil
	case cs.isA(b, a):
		return "subsumes", nil
	case cs.isA(a, b):
		return "subsumed-by", nil
	}
	return "not-subsumed", nil
}

func grammarSubsumes(g grammar, system, a, b string) (string, error) {
	for _, code := range [...]string{a, b} {
		if !g.valid(code) {
			return "", codeUnknown(coding{system: system, code: code})
		}
	}
	if a == b {
		return "equivalent", nil
	}
	return "not-subsumed", nil
}

// opSubsumes is CodeSystem/$subsumes.
func (s *Service) opSubsumes(_, id string, p Params) ([]byte, error) {
	st := s.state.Load()
	system, version := splitCanonical(p.str("system"))
	if v := p.str("version"); v != "" {
		version = v
	}
	if id != "" {
		e := st.byID(kindCodeSystem, id)
		if e == nil {
			return nil, notFound("code system", id)
		}
		system = e.url
	}
	a, b := p.str("codeA"), p.str("codeB")
	for _, x := range [...]struct {
		name string
		code *string
	}{{"codingA", &a}, {"codingB", &b}} {
		if n := p.node(x.name); n.Exists() {
			c := codingOf(n)
			if system != "" && c.system != "" && c.system != system {
				return nil, fault.New(fault.Invalid, "codes of two systems: %s and %s", system, c.system)
			}
			*x.code = c.code
			if system == "" {
				system = c.system
			}
		}
	}
	switch {
	case system == "":
		return nil, required("system")
	case a == "" || b == "":
		return nil, required("codeA", "codeB")
	}
	outcome, err := st.subsumes(system, version, a, b)
	if err != nil {
		return nil, err
	}
	var o out
	o.text("outcome", "valueCode", outcome)
	return o.done(), nil
}
