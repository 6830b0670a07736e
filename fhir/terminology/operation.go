package terminology

import (
	"context"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// operations are the faces by name and by the types they stand on; "" is the
// system level.
var operationTypes = map[string][]string{
	"expand":        {"ValueSet"},
	"validate-code": {"ValueSet", "CodeSystem"},
	"lookup":        {"CodeSystem"},
	"subsumes":      {"CodeSystem"},
	"translate":     {"ConceptMap"},
	"closure":       {""},
}

// Operation runs a terminology operation (name without $) on a resource type,
// or on one instance of it if id is not empty, and returns the resource it
// answers: a ValueSet, Parameters or a ConceptMap in JSON. An instance must
// have been added with [Service.Add]. Errors: fault.Unsupported for an unknown
// operation, fault.Invalid for bad parameters, and the operation's own.
func (s *Service) Operation(ctx context.Context, name, typ, id string, p Params) ([]byte, error) {
	if !s.Offers(name, typ) {
		return nil, fault.New(fault.Unsupported, "operation %s on %s", name, typ)
	}
	if s.refresh != nil {
		if err := s.refresh(ctx); err != nil {
			return nil, err
		}
	}
	switch name {
	case "expand":
		return s.opExpand(ctx, id, p)
	case "validate-code":
		return s.opValidateCode(typ, id, p)
	case "lookup":
		return s.opLookup(typ, id, p)
	case "subsumes":
		return s.opSubsumes(typ, id, p)
	case "translate":
		return s.opTranslate(typ, id, p)
	}
	return s.opClosure(typ, id, p)
}

// Offers reports whether the service has the operation on the type ("" is the
// system level).
func (s *Service) Offers(name, typ string) bool {
	for _, t := range operationTypes[name] {
		if t == typ {
			return true
		}
	}
	return false
}

// opExpand is ValueSet/$expand.
func (s *Service) opExpand(ctx context.Context, id string, p Params) ([]byte, error) {
	st := s.state.Load()
	o := ExpandOptions{Filter: p.str("filter"), DisplayLanguage: p.str("displayLanguage")}
	flat, err := p.boolean("excludeNested", true)
	if err != nil {
		return nil, err
	}
	o.Nested = !flat
	for name, flag := range map[string]*bool{"includeDesignations": &o.Designations, "activeOnly": &o.ActiveOnly} {
		if *flag, err = p.boolean(name, false); err != nil {
			return nil, err
		}
	}
	if o.Offset, err = p.number("offset", 0); err != nil {
		return nil, err
	}
	if o.Count, err = p.number("count", 0); err != nil {
		return nil, err
	}
	o.CountOnly = p.str("count") != "" && o.Count == 0
	x, _, err := st.setOf(id, p)
	if err != nil {
		return nil, err
	}
	return s.render(ctx, st, x, o)
}
