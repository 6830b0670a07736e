package xmlread

import "strings"

// startTag reads <name attr="value" …> or <name …/>.
func (r *Reader) startTag() (Token, error) {
	start := r.pos
	if len(r.stack) == 0 && r.rooted {
		return r.fail(start, "有第二个根元素", "second root element")
	}
	if len(r.stack) >= r.limits.Depth {
		return r.costly("depth")
	}
	r.pos++
	raw := r.name()
	if raw == "" {
		return r.fail(start, "此处应为元素名", "expected an element name")
	}
	r.stack = append(r.stack, open{raw: raw})
	self, ok := r.attributes()
	if !ok {
		return Token{}, r.err
	}
	name, ok := r.resolve(raw, true)
	if !ok {
		return r.fail(start, "未声明的命名空间前缀："+short(raw), "undeclared namespace prefix")
	}
	r.stack[len(r.stack)-1].name = name
	r.rooted = true
	if self {
		r.selfOf = start + 1
	}
	return Token{Kind: Start, Name: name, Attrs: r.attrs, Start: start, End: r.pos}, nil
}

// attributes reads up to and including ">" or "/>", and resolves the names.
func (r *Reader) attributes() (self, ok bool) {
	r.attrs = r.attrs[:0]
	for {
		spaced := r.space()
		if r.pos >= len(r.src) {
			r.fail(r.pos, "标签没有结束", "unterminated tag")
			return false, false
		}
		switch c := r.src[r.pos]; {
		case c == '>':
			r.pos++
			return false, r.resolveAttrs()
		case c == '/' && r.pos+1 < len(r.src) && r.src[r.pos+1] == '>':
			r.pos += 2
			return true, r.resolveAttrs()
		case !spaced:
			r.fail(r.pos, "属性之间应有空格", "white space expected before an attribute")
			return false, false
		}
		if len(r.attrs) >= r.limits.Attributes {
			r.costly("attributes")
			return false, false
		}
		if !r.attribute() {
			return false, false
		}
	}
}

func (r *Reader) attribute() bool {
	at := r.pos
	raw := r.name()
	if raw == "" {
		r.fail(at, "此处应为属性名", "expected an attribute name")
		return false
	}
	r.space()
	if r.pos >= len(r.src) || r.src[r.pos] != '=' {
		r.fail(r.pos, "属性名后应为等号", "expected = after the attribute name")
		return false
	}
	r.pos++
	r.space()
	if r.pos >= len(r.src) || r.src[r.pos] != '"' && r.src[r.pos] != '\'' {
		r.fail(r.pos, "属性值应有引号", "attribute value must be quoted")
		return false
	}
	quote := r.src[r.pos]
	begin := r.pos + 1
	end := begin
	for end < len(r.src) && r.src[end] != quote && r.src[end] != '<' {
		end++
	}
	if end >= len(r.src) || r.src[end] == '<' {
		r.fail(end, "属性值没有结束引号，或其中有未转义的 <", "unterminated attribute value, or a bare < in it")
		return false
	}
	value, err := r.chars(r.src[begin:end], begin, true)
	if err != nil {
		return false
	}
	r.pos = end + 1
	for i := range r.attrs {
		if r.attrs[i].Local == raw {
			r.fail(at, "属性重复："+short(raw), "duplicate attribute")
			return false
		}
	}
	r.attrs = append(r.attrs, Attr{Name: Name{Local: raw}, Value: value})
	return true
}

// maxSpaces bounds the namespaces in scope, which every name is looked up in.
const maxSpaces = 256

// resolveAttrs declares the namespaces of the element, then resolves the names of
// its attributes.
func (r *Reader) resolveAttrs() bool {
	for i := range r.attrs {
		a := &r.attrs[i]
		prefix, ok := strings.CutPrefix(a.Local, "xmlns")
		if !ok || prefix != "" && prefix[0] != ':' {
			continue
		}
		prefix = strings.TrimPrefix(prefix, ":")
		if len(r.spaces) >= maxSpaces {
			r.costly("namespaces")
			return false
		}
		r.spaces = append(r.spaces, binding{prefix, a.Value, len(r.stack)})
		a.Name = Name{Space: XMLNS, Prefix: XMLNS, Local: prefix}
	}
	for i := range r.attrs {
		a := &r.attrs[i]
		if a.Space == XMLNS || strings.IndexByte(a.Local, ':') < 0 {
			continue
		}
		name, ok := r.resolve(a.Local, false)
		if !ok {
			r.fail(r.pos, "未声明的命名空间前缀："+short(a.Local), "undeclared namespace prefix")
			return false
		}
		a.Name = name
		for j := range i {
			if r.attrs[j].Local == name.Local && r.attrs[j].Space == name.Space {
				r.fail(r.pos, "属性重复："+short(a.Local), "duplicate attribute")
				return false
			}
		}
	}
	return true
}

// resolve splits a name as written and finds its namespace. The default namespace
// is for elements only.
func (r *Reader) resolve(raw string, element bool) (Name, bool) {
	prefix, local, ok := strings.Cut(raw, ":")
	if !ok {
		prefix, local = "", raw
		if !element {
			return Name{Local: raw}, true
		}
	}
	if prefix == "xml" {
		return Name{"http://www.w3.org/XML/1998/namespace", prefix, local}, true
	}
	for i := len(r.spaces) - 1; i >= 0; i-- {
		if r.spaces[i].prefix == prefix {
			return Name{r.spaces[i].uri, prefix, local}, local != ""
		}
	}
	return Name{"", "", local}, prefix == "" && local != ""
}

func (r *Reader) endTag() (Token, error) {
	start := r.pos
	r.pos += 2
	raw := r.name()
	r.space()
	if r.pos >= len(r.src) || r.src[r.pos] != '>' {
		return r.fail(r.pos, "结束标签没有结束", "unterminated end tag")
	}
	if len(r.stack) == 0 || r.stack[len(r.stack)-1].raw != raw {
		want := "（无）"
		if len(r.stack) > 0 {
			want = short(r.stack[len(r.stack)-1].raw)
		}
		return r.fail(start, "结束标签不匹配：应为 "+want+"，是 "+short(raw), "mismatched end tag")
	}
	r.pos++
	return r.close(start, r.pos), nil
}

// close pops the innermost element and the namespaces it declared.
func (r *Reader) close(start, end int) Token {
	top := r.stack[len(r.stack)-1]
	for len(r.spaces) > 0 && r.spaces[len(r.spaces)-1].depth == len(r.stack) {
		r.spaces = r.spaces[:len(r.spaces)-1]
	}
	r.stack = r.stack[:len(r.stack)-1]
	return Token{Kind: End, Name: top.name, Start: start, End: end}
}

// Namespace returns the namespace a prefix stands for here ("" is the default):
// for QNames in content, as in xsi:type.
func (r *Reader) Namespace(prefix string) (uri string, ok bool) {
	for i := len(r.spaces) - 1; i >= 0; i-- {
		if r.spaces[i].prefix == prefix {
			return r.spaces[i].uri, true
		}
	}
	return "", prefix == ""
}
