package definitions

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
