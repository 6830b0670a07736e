// Package path is the fast way to the values of a search parameter: the common
// forms of SearchParameter.expression compiled to JSON member names with the
// type at their end known beforehand. What it does not know it refuses, and
// FHIRPath does it.
package path

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// Path is one way through a resource: member names, conditions on what is met,
// and the FHIR type at the end. Immutable, safe for concurrent use.
type Path struct {
	root  bool // begins at the resource even inside a composite (%resource)
	steps []step
	Type  string               // FHIR type at the end; "" if it differs from node to node
	Last  *definitions.Element // the element at the end, nil for the resource itself
}

// step goes to the members named key and keeps what meets its conditions.
type step struct {
	key    string
	index  int // only this item, -1 = all
	filter []filter
}

// filter is where(member = literal), where(resolve() is target) if target is
// set, or where(hasExtension(extension)) if that is.
type filter struct{ member, literal, target, extension string }

func (f *filter) holds(n fhir.Node) bool {
	switch {
	case f.target != "":
		return Target(n) == f.target
	case f.extension != "":
		for x := range n.Get("extension").Each() {
			if x.Get("url").Str() == f.extension {
				return true
			}
		}
		return false
	}
	return n.Get(f.member).Str() == f.literal
}

// Append appends the values the path leads to from n, a value of the type it
// was compiled for; res is the resource. Nulls are left out.
func (p *Path) Append(dst []fhir.Node, res, n fhir.Node) []fhir.Node {
	if p.root {
		n = res
	}
	return appendSteps(dst, n, p.steps)
}

func appendSteps(dst []fhir.Node, n fhir.Node, steps []step) []fhir.Node {
	if len(steps) == 0 {
		return append(dst, n)
	}
	s := &steps[0]
	v := n.Get(s.key)
	switch {
	case !v.Exists():
		return dst
	case v.Kind() != fhir.Array:
		if s.index <= 0 && s.keeps(v) {
			dst = appendSteps(dst, v, steps[1:])
		}
		return dst
	}
	i := 0
	for c := v.First(); c.Exists(); c = c.Next() {
		if (s.index < 0 || s.index == i) && s.keeps(c) {
			dst = appendSteps(dst, c, steps[1:])
		}
		i++
	}
	return dst
}

func (s *step) keeps(n fhir.Node) bool {
	if n.Kind() == fhir.Null {
		return false
	}
	for i := range s.filter {
		if !s.filter[i].holds(n) {
			return false
		}
	}
	return true
}

// Target returns the resource type a Reference points to, from its text alone:
// Type/id at the end of reference, else its type element. "" if unknown.
func Target(ref fhir.Node) string {
	if t, _ := Split(ref.Get("reference").Str()); t != "" {
		return t
	}
	return ref.Get("type").Str()
}

// Split takes the type and id from a literal reference: Type/id or
// base/Type/id, with or without /_history/version. Both are "" if s has
// another form (a fragment, a urn, a canonical address).
func Split(s string) (typ, id string) {
	if i := strings.Index(s, "/_history/"); i >= 0 {
		s = s[:i]
	}
	i := strings.LastIndexByte(s, '/')
	if i <= 0 || !isID(s[i+1:]) {
		return "", ""
	}
	typ, id = s[:i], s[i+1:]
	if j := strings.LastIndexByte(typ, '/'); j >= 0 {
		typ = typ[j+1:]
	}
	if !isType(typ) {
		return "", ""
	}
	return typ, id
}

func isID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

func isType(s string) bool {
	if len(s) < 2 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
