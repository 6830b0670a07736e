package patch

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// The namespaces that f: and h: mean where a patch does not declare them, as in
// the examples of the specification.
const (
	fhirSpace  = "http://hl7.org/fhir"
	xhtmlSpace = "http://www.w3.org/1999/xhtml"
)

// xstep is a step of a selector: XPath as RFC 5261 section 4.1 restricts it.
type xstep struct {
	axis         byte // e element, @ attribute, n namespace, t text(), c comment()
	space, local string
	tests        []xtest
}

// xtest is a predicate: [3], or [path='value'] with a path of child elements
// that may end in an attribute; "." is the element itself.
type xtest struct {
	index int
	path  []xstep
	value string
}

// selector reads selectors; prefixes are those in force at an operation.
type selector struct {
	s      string
	op     *node
	inside bool // a predicate: these do not nest
}

// parseSelector reads a selector; ok is false for anything beyond the subset.
func parseSelector(op *node, s string) (steps []xstep, ok bool) {
	p := &selector{s: strings.TrimPrefix(strings.TrimSpace(s), "/"), op: op}
	steps, ok = p.path()
	return steps, ok && p.s == ""
}

func (p *selector) take(token string) bool {
	rest, ok := strings.CutPrefix(p.s, token)
	if ok {
		p.s = strings.TrimLeft(rest, " ")
	}
	return ok
}

func (p *selector) path() (steps []xstep, ok bool) {
	for {
		s, ok := p.step()
		if !ok {
			return nil, false
		}
		steps = append(steps, s)
		if !p.take("/") {
			return steps, true
		}
		if s.axis != 'e' { // nothing lies below the others
			return nil, false
		}
	}
}

func (p *selector) step() (s xstep, ok bool) {
	switch {
	case p.take("text()"):
		s.axis = 't'
	case p.take("comment()"):
		s.axis = 'c'
	case p.take("namespace::"):
		s.axis = 'n'
	case p.take("@"):
		s.axis = '@'
	default:
		s.axis = 'e'
	}
	if s.axis != 't' && s.axis != 'c' {
		if ok = p.name(&s); !ok {
			return s, false
		}
	}
	for p.take("[") {
		if p.inside || s.axis == '@' || s.axis == 'n' {
			return s, false
		}
		p.inside = true
		t, ok := p.test()
		if !ok || !p.take("]") {
			return s, false
		}
		p.inside = false
		s.tests = append(s.tests, t)
	}
	return s, true
}

// name reads a name; without a prefix an element is in the patch's default
// namespace, or FHIR's, an attribute in none.
func (p *selector) name(s *xstep) bool {
	end := strings.IndexAny(p.s, "/[]=@'\" ")
	if end < 0 {
		end = len(p.s)
	}
	prefix, local, prefixed := strings.Cut(p.s[:end], ":")
	if !prefixed {
		prefix, local = "", prefix
	}
	p.s = strings.TrimLeft(p.s[end:], " ")
	s.local = local
	if s.axis == 'n' || !prefixed && s.axis == '@' {
		return local != ""
	}
	uri, known := p.op.space(prefix)
	switch {
	case known && uri != "":
	case prefix == "" || prefix == "f":
		uri = fhirSpace
	case prefix == "h":
		uri = xhtmlSpace
	default:
		return false
	}
	s.space = uri
	return local != ""
}

func (p *selector) test() (t xtest, ok bool) {
	if end := strings.IndexByte(p.s, ']'); end >= 0 {
		if n, err := strconv.Atoi(strings.TrimSpace(p.s[:end])); err == nil {
			p.s = p.s[end:]
			return xtest{index: n}, n > 0
		}
	}
	if !p.take(".") {
		if t.path, ok = p.path(); !ok {
			return t, false
		}
	}
	if !p.take("=") || p.s == "" || p.s[0] != '\'' && p.s[0] != '"' {
		return t, false
	}
	t.value, p.s, ok = strings.Cut(p.s[1:], p.s[:1])
	p.s = strings.TrimLeft(p.s, " ")
	return t, ok
}

// target is what a selector found: a piece, or an attribute of an element.
type target struct {
	n    *node
	attr int // -1 = the piece itself
}

// sel finds what the steps lead to below n; visit counts the pieces looked at
// and ends the search by false.
func sel(n *node, steps []xstep, visit func() bool) []target {
	found := []target{{n, -1}}
	for i := range steps {
		var next []target
		for _, f := range found {
			if !visit() {
				return nil
			}
			next = append(next, steps[i].from(f.n, visit)...)
		}
		found = next
	}
	return found
}

// from takes one step.
func (s *xstep) from(n *node, visit func() bool) (out []target) {
	switch s.axis {
	case '@':
		if i := n.attr(s.space, s.local); i >= 0 {
			out = append(out, target{n, i})
		}
		return out
	case 'n':
		if i := n.attr(xmlread.XMLNS, s.local); i >= 0 {
			out = append(out, target{n, i})
		}
		return out
	}
	for _, k := range n.kids {
		if !visit() {
			return nil
		}
		if s.is(k) {
			out = append(out, target{k, -1})
		}
	}
	for _, t := range s.tests {
		out = t.keep(out, visit)
	}
	return out
}

func (s *xstep) is(k *node) bool {
	switch s.axis {
	case 't':
		return k.kind == xmlread.Text
	case 'c':
		return k.kind == xmlread.Comment
	}
	return k.kind == xmlread.Start && (s.local == "*" || k.name.Local == s.local && k.name.Space == s.space)
}

func (t *xtest) keep(list []target, visit func() bool) (out []target) {
	if t.index > 0 {
		if t.index <= len(list) {
			out = list[t.index-1 : t.index]
		}
		return out
	}
	for _, f := range list {
		for _, g := range sel(f.n, t.path, visit) {
			if g.text() == t.value {
				out = append(out, f)
				break
			}
		}
	}
	return out
}

func (t target) text() string {
	switch {
	case t.attr >= 0:
		return t.n.attrs[t.attr].Value
	case t.n.kind == xmlread.Start:
		return t.n.inner()
	}
	return t.n.text
}

// place is a selector as the FHIRPath that means the same element.
func place(steps []xstep) string {
	var b strings.Builder
	for i, s := range steps {
		if s.axis != 'e' {
			break
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(clip(s.local))
		for _, t := range s.tests {
			if t.index > 0 {
				b.WriteString("[" + strconv.Itoa(t.index-1) + "]")
			}
		}
	}
	return b.String()
}
