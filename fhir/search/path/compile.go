package path

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/definitions"
)

// Compile turns an expression into paths from a value of type base, for a
// union all of them. Members of a union that begin at another resource type
// lead nowhere and are left out. ok is false if the expression has a form this
// package does not know.
func Compile(m *definitions.Model, base, expression string) (paths []Path, ok bool) {
	t := m.Type(base)
	if t == nil {
		return nil, false
	}
	c := compiler{m: m, base: t}
	for _, term := range split(expression, '|') {
		states, ok := c.term(term)
		if !ok {
			return nil, false
		}
		for _, s := range states {
			paths = append(paths, s.Path)
		}
	}
	return paths, true
}

type compiler struct {
	m    *definitions.Model
	base *definitions.Type
}

// state is a path on its way.
type state struct {
	Path
	typ *definitions.Type
}

// term compiles one member of a union: (path as Type).rest, or path.
func (c *compiler) term(s string) ([]state, bool) {
	s = strings.TrimSpace(s)
	rest := ""
	if strings.HasPrefix(s, "(") {
		end := closing(s)
		if end < 0 {
			return nil, false
		}
		s, rest = s[1:end], strings.TrimSpace(s[end+1:])
		if rest != "" && rest[0] != '.' {
			return nil, false
		}
	}
	var states []state
	for _, member := range split(s, '|') {
		some, ok := c.typed(strings.TrimSpace(member))
		if !ok {
			return nil, false
		}
		states = append(states, some...)
	}
	if rest == "" {
		return states, true
	}
	return c.walk(states, split(rest[1:], '.'))
}

func (c *compiler) typed(s string) ([]state, bool) {
	path, as, cast := strings.Cut(s, " as ")
	states, ok := c.begin(split(path, '.'))
	if ok && cast {
		states = only(states, strings.TrimSpace(as))
	}
	return states, ok
}

func (c *compiler) begin(names []string) ([]state, bool) {
	first := strings.TrimSpace(names[0])
	switch {
	case first == "%resource":
		root, _, _ := strings.Cut(c.base.Name, ".")
		return c.walk([]state{{Path{root: true, Type: root}, c.m.Type(root)}}, names[1:])
	case first == "$this":
		return c.walk([]state{{Path{Type: c.base.Name}, c.base}}, names[1:])
	case first != "" && first[0] >= 'A' && first[0] <= 'Z':
		if c.m.Type(first) == nil {
			return nil, false
		}
		if !c.base.IsA(first) {
			return nil, true
		}
		return c.walk([]state{{Path{Type: c.base.Name}, c.base}}, names[1:])
	}
	return c.walk([]state{{Path{Type: c.base.Name}, c.base}}, names)
}

func (c *compiler) walk(states []state, names []string) ([]state, bool) {
	for _, name := range names {
		name = strings.TrimSpace(name)
		var ok bool
		switch fn, arg, call := function(name); {
		case !call:
			states, ok = c.member(states, name)
		case fn == "as" || fn == "ofType":
			states, ok = only(states, arg), true
		case fn == "where":
			ok = where(states, arg)
		case fn == "extension":
			if states, ok = c.member(states, "extension"); ok {
				ok = where(states, "url="+arg)
			}
		}
		if !ok {
			return nil, false
		}
	}
	return states, true
}

// member goes on to the element name, with [n] to one item of it; a choice
// element gives a state for each of its types.
func (c *compiler) member(states []state, name string) ([]state, bool) {
	index := -1
	if i := strings.IndexByte(name, '['); i > 0 && len(name) == i+3 && name[i+2] == ']' && name[i+1] >= '0' && name[i+1] <= '9' {
		index, name = int(name[i+1]-'0'), name[:i]
	}
	var out []state
	for _, s := range states {
		if s.typ == nil {
			return nil, false
		}
		el := s.typ.Element(name)
		if el == nil || s.typ.Kind == definitions.Primitive && !s.beside() {
			return nil, false
		}
		if el.Content != nil {
			out = append(out, s.to(name, index, el, el.Content))
			continue
		}
		for _, ref := range el.Types {
			key := name
			if el.Choice {
				key += strings.ToUpper(ref.Code[:1]) + ref.Code[1:]
			}
			next := s.to(key, index, el, c.m.Type(ref.Code))
			next.Type = ref.Code
			out = append(out, next)
			if !el.Choice {
				break
			}
		}
	}
	return out, true
}

// beside turns from a primitive to the member `_name` beside it, which holds its
// id and extensions; false where a condition was put on the primitive.
func (s *state) beside() bool {
	n := len(s.steps) - 1
	if n < 0 || len(s.steps[n].filter) > 0 {
		return false
	}
	s.steps = slices.Clone(s.steps)
	s.steps[n].key = "_" + s.steps[n].key
	return true
}

func (s state) to(key string, index int, el *definitions.Element, t *definitions.Type) state {
	s.steps = append(slices.Clone(s.steps), step{key: key, index: index})
	s.Last, s.typ, s.Type = el, t, ""
	if t != nil {
		s.Type = t.Name
	}
	return s
}

// only keeps the states whose type is name; R4 writes some with a wrong first
// letter (DateTime).
func only(states []state, name string) []state {
	return slices.DeleteFunc(states, func(s state) bool {
		return !strings.EqualFold(s.Type, name) && (s.typ == nil || !s.typ.IsA(name))
	})
}

// where adds the condition arg to the last step of every state.
func where(states []state, arg string) bool {
	var f filter
	if target, ok := strings.CutPrefix(arg, "resolve() is "); ok {
		f.target = strings.TrimSpace(target)
	} else if url, ok := strings.CutPrefix(arg, "hasExtension('"); ok && strings.HasSuffix(url, "')") {
		f.extension = strings.TrimSuffix(url, "')")
	} else {
		name, literal, eq := strings.Cut(arg, "=")
		literal = strings.TrimSpace(literal)
		if !eq || len(literal) < 2 || literal[0] != '\'' || literal[len(literal)-1] != '\'' || strings.ContainsAny(literal[1:len(literal)-1], `'\`) {
			return false
		}
		f.member, f.literal = strings.TrimSpace(name), literal[1:len(literal)-1]
		if !plain(f.member) {
			return false
		}
	}
	for i := range states {
		n := len(states[i].steps) - 1
		if n < 0 {
			return false
		}
		last := &states[i].steps[n]
		last.filter = append(slices.Clone(last.filter), f)
	}
	return true
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

// function takes name(arg) apart.
func function(s string) (name, arg string, ok bool) {
	i := strings.IndexByte(s, '(')
	if i <= 0 || s[len(s)-1] != ')' {
		return "", "", false
	}
	return s[:i], strings.TrimSpace(s[i+1 : len(s)-1]), true
}

// split cuts s at sep where it stands outside of quotes and parentheses.
func split(s string, sep byte) []string {
	var out []string
	depth, quoted, begin := 0, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == sep && depth == 0:
			out = append(out, s[begin:i])
			begin = i + 1
		}
	}
	return append(out, s[begin:])
}

// closing returns where the parenthesis that s begins with is closed, -1 if never.
func closing(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
