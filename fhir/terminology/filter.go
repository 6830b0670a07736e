package terminology

import (
	"regexp"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// filter is one ValueSet.compose.include.filter
// (http://hl7.org/fhir/R4/valueset-filter-operator.html).
type filter struct {
	property, op, value string
}

func newFilter(n fhir.Node) filter {
	return filter{clone(n, "property"), clone(n, "op"), clone(n, "value")}
}

// match is a predicate over the concepts of one code system.
type match func(c int32) bool

// compile prepares the filter for cs. Errors are fault.Invalid (unknown
// operator, bad expression).
func (f filter) compile(cs *codeSystem) (match, error) {
	switch f.op {
	case "is-a", "descendent-of", "is-not-a", "generalizes", "child-of", "descendent-leaf":
		return f.hierarchy(cs)
	}
	if f.property == "concept" || f.property == "code" {
		return f.onText(func(c int32) string { return cs.code(c) })
	}
	if f.property == "display" {
		return f.onText(func(c int32) string { return cs.display(c) })
	}
	if m, ok := f.onEdge(cs); ok {
		return m, nil
	}
	return f.onProperty(cs)
}

func (f filter) hierarchy(cs *codeSystem) (match, error) {
	root := cs.find(f.value)
	if root < 0 {
		return func(int32) bool { return f.op == "is-not-a" }, nil
	}
	if f.op == "child-of" {
		kids := cs.children.of(root)
		return func(c int32) bool { return contains(kids, c) }, nil
	}
	if f.op == "generalizes" {
		up := cs.closure(&cs.parents, root)
		return func(c int32) bool { return c == root || up[c] }, nil
	}
	below := cs.closure(&cs.children, root)
	switch f.op {
	case "is-a":
		return func(c int32) bool { return c == root || below[c] }, nil
	case "descendent-of":
		return func(c int32) bool { return c != root && below[c] }, nil
	case "descendent-leaf":
		return func(c int32) bool { return c != root && below[c] && len(cs.children.of(c)) == 0 }, nil
	}
	return func(c int32) bool { return c != root && !below[c] }, nil
}

// text compiles the operators that look at one string.
func (f filter) text() (func(string) bool, error) {
	switch f.op {
	case "=":
		return func(s string) bool { return s == f.value }, nil
	case "in", "not-in":
		set := map[string]bool{}
		for _, v := range strings.Split(f.value, ",") {
			set[strings.TrimSpace(v)] = true
		}
		want := f.op == "in"
		return func(s string) bool { return set[s] == want }, nil
	case "regex":
		re, err := regexp.Compile(`^(?:` + f.value + `)$`)
		if err != nil {
			return nil, fault.New(fault.Invalid, "filter regex %q: %w", f.value, err)
		}
		return re.MatchString, nil
	case "exists":
		want := f.value != "false"
		return func(s string) bool { return (s != "") == want }, nil
	}
	return nil, fault.New(fault.Unsupported, "filter operator %q on property %q", f.op, f.property)
}

func (f filter) onText(of func(int32) string) (match, error) {
	m, err := f.text()
	if err != nil {
		return nil, err
	}
	return func(c int32) bool { return m(of(c)) }, nil
}

// onEdge serves the standard properties parent and child, which nesting defines
// too.
func (f filter) onEdge(cs *codeSystem) (match, bool) {
	e := &cs.parents
	if f.property == "child" {
		e = &cs.children
	} else if f.property != "parent" {
		return nil, false
	}
	switch f.op {
	case "=":
		o := cs.find(f.value)
		return func(c int32) bool { return o >= 0 && contains(e.of(c), o) }, true
	case "exists":
		want := f.value != "false"
		return func(c int32) bool { return (len(e.of(c)) > 0) == want }, true
	}
	return nil, false
}

func (f filter) onProperty(cs *codeSystem) (match, error) {
	m, err := f.text()
	if err != nil {
		return nil, err
	}
	negative := f.op == "not-in" || f.op == "exists" && f.value == "false"
	return func(c int32) bool {
		for name, p := range cs.propertiesOf(c) {
			if name != f.property {
				continue
			}
			v := p.value
			if p.kind == propCoding {
				v = strings.SplitN(v, "|", 3)[1]
			}
			if m(v) != negative {
				return !negative
			}
		}
		if f.property == "inactive" && f.op == "=" {
			return cs.has(c, flagInactive) == (f.value == "true")
		}
		if f.property == "notSelectable" && f.op == "=" {
			return cs.has(c, flagAbstract) == (f.value == "true")
		}
		return negative
	}, nil
}
