package definitions

import "slices"

// Model is the R4 model. It is immutable: treat everything reached from it as
// read-only.
type Model struct {
	types        map[string]*Type
	resources    []string
	params       map[string][]*SearchParameter
	allParams    []*SearchParameter
	compartments map[string]*Compartment
	store        store
	sources      []Source
}

// Source is an npm package the model was made from.
type Source struct {
	Package string // "hl7.fhir.r4.examples"
	Version string // "4.0.1"
	SHA512  string // base64 digest of the package archive
}

// Sources returns the packages the model was made from, in order of precedence.
func (m *Model) Sources() []Source { return slices.Clone(m.sources) }

// Type returns a type by its FHIR name ("Patient", "HumanName", "string") or, for
// a backbone element, by its path ("Patient.contact"); nil if there is none.
func (m *Model) Type(name string) *Type { return m.types[name] }

// Types returns the names of all types, backbone types included, sorted.
func (m *Model) Types() []string {
	names := make([]string, 0, len(m.types))
	for n := range m.types {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Resources returns the names of the concrete resource types, sorted. The slice
// is shared: do not change it.
func (m *Model) Resources() []string { return m.resources }

// IsResource reports whether name is a concrete resource type.
func (m *Model) IsResource(name string) bool {
	t := m.types[name]
	return t != nil && t.Kind == Resource && !t.Abstract
}

// Kind is the kind of a type.
type Kind uint8

// The kinds of types.
const (
	Primitive Kind = iota // string, date, … (xhtml too)
	Complex               // HumanName, Extension, …
	Backbone              // Patient.contact, Timing.repeat, …
	Resource              // Patient, also the abstract Resource and DomainResource
)

// Type is a primitive, a complex type, a backbone element or a resource.
type Type struct {
	Name        string // "Patient", "HumanName", "string", "Patient.contact"
	URL         string // canonical of the StructureDefinition; "" for backbones
	Base        *Type  // "Patient" → DomainResource → Resource → nil
	Kind        Kind
	Abstract    bool
	Elements    []*Element   // including inherited, in specification order
	Constraints []Constraint // invariants on the type itself
	Regex       string       // primitives: the lexical form, unanchored; may be ""
	System      string       // primitives: the FHIRPath system type, "String", "DateTime", …
	Short       string       // one line of description

	elements map[string]*Element
	json     map[string]jsonName
}

type jsonName struct {
	el  *Element
	ref *TypeRef
}

// Element returns the element with the FHIRPath name: "birthDate", "value" for
// the choice value[x]; nil if there is none.
func (t *Type) Element(name string) *Element {
	if t == nil {
		return nil
	}
	return t.elements[name]
}

// JSONElement returns the element for a JSON member name and the type that the
// name implies: "valueQuantity" gives the element value with type Quantity,
// "birthDate" the element with its only type (BackboneElement or Element where
// the element has a Content type). "_birthDate" is found like "birthDate" if
// the type is primitive. Both are nil for an unknown member.
func (t *Type) JSONElement(name string) (*Element, *TypeRef) {
	if t == nil {
		return nil, nil
	}
	if j, ok := t.json[name]; ok {
		return j.el, j.ref
	}
	if len(name) > 1 && name[0] == '_' {
		if j, ok := t.json[name[1:]]; ok && j.ref != nil && j.ref.primitive {
			return j.el, j.ref
		}
	}
	return nil, nil
}

// JSONNames returns every JSON member name the type allows, sorted ("resourceType"
// and names with an underscore excluded): for suggestions in messages.
func (t *Type) JSONNames() []string {
	names := make([]string, 0, len(t.json))
	for n := range t.json {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// IsA reports whether t is the named type or derived from it.
func (t *Type) IsA(name string) bool {
	for ; t != nil; t = t.Base {
		if t.Name == name {
			return true
		}
	}
	return false
}

// Element is one element of a type.
type Element struct {
	Name        string // FHIRPath name, without [x]
	Path        string // as in the StructureDefinition: "Observation.value[x]"
	Min, Max    int    // Max -1 = unbounded
	Types       []TypeRef
	Choice      bool  // value[x]
	Content     *Type // the backbone type, own or by contentReference; else nil
	Reference   bool  // Content comes from a contentReference
	Binding     *Binding
	Constraints []Constraint
	Summary     bool
	Modifier    bool
	Attribute   bool   // an XML attribute: id, Extension.url
	Fixed       []byte // raw JSON of fixed[x], nil if none
	Pattern     []byte // raw JSON of pattern[x], nil if none
	Short       string
	Order       int // position among the type's elements, from 0
}

// TypeRef is an allowed type of an element.
type TypeRef struct {
	Code      string   // "HumanName", "string", "BackboneElement", "Resource", …
	Profiles  []string // canonicals of the profiles on Code
	Targets   []string // canonicals a Reference or canonical may point to
	Type      *Type    // the type named by Code (nil never, save for logical models)
	primitive bool
}

// Primitive reports whether the type is a primitive one (in JSON: a plain value,
// with id and extensions in the member with an underscore).
func (r *TypeRef) Primitive() bool { return r != nil && r.primitive }

// Binding ties an element to a value set.
type Binding struct {
	Strength    string // required | extensible | preferred | example
	ValueSet    string // canonical, often with |4.0.1
	MaxValueSet string // canonical that bounds an extensible or preferred binding; may be ""
}

// Constraint is an invariant.
type Constraint struct {
	Key        string // "dom-3"
	Severity   string // error | warning
	Human      string
	Expression string // FHIRPath
}

// Compartment is a CompartmentDefinition: which search parameters of which
// resource types lead into it.
type Compartment struct {
	URL       string
	Code      string              // Patient, Encounter, Practitioner, Device, RelatedPerson
	Resources map[string][]string // resource type → parameter codes; only members of the compartment
}

// Compartment returns the definition for a compartment by its resource type
// ("Patient"), nil if there is none. A parameter "{def}" stands for the resource
// itself.
func (m *Model) Compartment(code string) *Compartment { return m.compartments[code] }
