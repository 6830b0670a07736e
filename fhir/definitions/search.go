package definitions

import (
	"regexp"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// SearchParameter is a standard search parameter of R4.
type SearchParameter struct {
	URL         string
	Code        string // the name in a query: "birthdate"
	Name        string
	Description string
	Type        string // number | date | string | token | reference | composite | quantity | uri | special
	Expression  string // FHIRPath; "" for special ones (_text, _content, _query, _filter)
	Base        []string
	Target      []string // resource types a reference may lead to
	Components  []Component
	Comparators []string
	Modifiers   []string
	Chain       []string
	MultipleOr  bool // true unless the definition says false
	MultipleAnd bool
}

// Component is a part of a composite search parameter.
type Component struct {
	Definition string // canonical of the search parameter that gives the type
	Expression string // FHIRPath relative to the composite's own expression
}

// SearchParameters returns the parameters that apply to a resource type,
// including those of Resource and DomainResource, sorted by code. The slice is
// shared: do not change it. For "Resource" only the common ones are returned.
func (m *Model) SearchParameters(typ string) []*SearchParameter { return m.params[typ] }

// AllSearchParameters returns every parameter once, sorted by URL.
func (m *Model) AllSearchParameters() []*SearchParameter { return m.allParams }

// paramCode is what a code may be, so that it can stand in a query beside
// modifiers, chains and lists.
var paramCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

// ReadSearchParameter reads a SearchParameter resource that searches are to use.
// Strings are copies. One that lacks what a search needs is a fault.Invalid that
// says what; whether its expression and types make sense is not looked at.
func ReadSearchParameter(res fhir.Node) (*SearchParameter, error) {
	str := func(n fhir.Node) string { return strings.Clone(n.Str()) }
	list := func(name string) (out []string) {
		for n := range res.Get(name).Each() {
			out = append(out, str(n))
		}
		return out
	}
	sp := &SearchParameter{URL: str(res.Get("url")), Code: str(res.Get("code")), Name: str(res.Get("name")), Description: str(res.Get("description")),
		Type: str(res.Get("type")), Expression: str(res.Get("expression")), Base: list("base"), Target: list("target"),
		Comparators: list("comparator"), Modifiers: list("modifier"), Chain: list("chain"),
		MultipleOr: res.Get("multipleOr").Str() != "false", MultipleAnd: res.Get("multipleAnd").Str() != "false"}
	for c := range res.Get("component").Each() {
		sp.Components = append(sp.Components, Component{Definition: str(c.Get("definition")), Expression: str(c.Get("expression"))})
	}
	types := []string{"number", "date", "string", "token", "reference", "composite", "quantity", "uri"}
	switch {
	case res.ResourceType() != "SearchParameter":
		return nil, fault.New(fault.Invalid, "not a SearchParameter")
	case !paramCode.MatchString(sp.Code):
		return nil, fault.New(fault.Invalid, "code %.40q must be 1 to 64 letters, digits, '-' or '_', a letter first", sp.Code)
	case !slices.Contains(types, sp.Type):
		return nil, fault.New(fault.Invalid, "parameters of type %.40q cannot be added", sp.Type)
	case len(sp.Base) == 0:
		return nil, fault.New(fault.Invalid, "base is missing")
	case sp.Expression == "":
		return nil, fault.New(fault.Invalid, "expression is missing")
	}
	return sp, nil
}
