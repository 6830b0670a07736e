package xmlread

import "strings"

// Element is an element of a parsed document with its children.
type Element struct {
	Name     Name
	Attrs    []Attr
	Children []*Element // elements only
	Text     string     // all character data directly inside, joined
	Parent   *Element   // nil for the root
	Start    int        // bytes of the whole element in Doc.Source
	End      int
	text     []byte // Text while it grows from several pieces
	doc      *Doc
}

// Doc is a parsed document.
type Doc struct {
	Root   *Element
	Source []byte // decoded, UTF-8
	reader *Reader
}

// Parse reads a document into a tree. Errors are those of New and Reader.Next.
func Parse(data []byte, limits Limits) (*Doc, error) {
	r, err := New(data, limits)
	if err != nil {
		return nil, err
	}
	doc := &Doc{Source: r.src, reader: r}
	var top *Element
	var mem slabs
	for {
		tok, err := r.Next()
		if err != nil {
			return nil, err
		}
		switch tok.Kind {
		case EOF:
			return doc, nil
		case Start:
			e := mem.element()
			*e = Element{Name: tok.Name, Attrs: mem.keep(tok.Attrs), Parent: top, Start: tok.Start, doc: doc}
			if top == nil {
				doc.Root = e
			} else {
				top.Children = append(top.Children, e)
			}
			top = e
		case End:
			top.End = tok.End
			if top.text != nil {
				top.Text = view(top.text)
			}
			top = top.Parent
		case Text:
			top.addText(tok.Text)
		}
	}
}

// slabs hand out elements and attributes from larger pieces of memory.
type slabs struct {
	elements []Element
	attrs    []Attr
}

const slab = 64

func (m *slabs) element() *Element {
	if len(m.elements) == 0 {
		m.elements = make([]Element, slab)
	}
	e := &m.elements[0]
	m.elements = m.elements[1:]
	return e
}

func (m *slabs) keep(attrs []Attr) []Attr {
	n := len(attrs)
	if n == 0 {
		return nil
	}
	if len(m.attrs) < n {
		m.attrs = make([]Attr, max(slab, n))
	}
	kept := m.attrs[:n:n]
	copy(kept, attrs)
	m.attrs = m.attrs[n:]
	return kept
}

// addText keeps a single piece shared with the document and copies from the second.
func (e *Element) addText(s string) {
	switch {
	case e.text == nil && e.Text == "":
		e.Text = s
	case e.text == nil:
		e.text = append(append(e.text, e.Text...), s...)
	default:
		e.text = append(e.text, s...)
	}
}

// Attr returns the value of the attribute without a namespace, "" if absent.
func (e *Element) Attr(local string) string {
	if e != nil {
		for i := range e.Attrs {
			if e.Attrs[i].Local == local && e.Attrs[i].Space == "" {
				return e.Attrs[i].Value
			}
		}
	}
	return ""
}

// Child returns the first child with the local name, in any namespace; nil if
// there is none. It works on nil, so that calls chain.
func (e *Element) Child(local string) *Element {
	if e != nil {
		for _, c := range e.Children {
			if c.Name.Local == local {
				return c
			}
		}
	}
	return nil
}

// Find walks local names: Find("a", "b") is the first b of the first a.
func (e *Element) Find(path ...string) *Element {
	for _, p := range path {
		e = e.Child(p)
	}
	return e
}

// All iterates over the children with the local name, in any namespace.
func (e *Element) All(local string) func(yield func(*Element) bool) {
	return func(yield func(*Element) bool) {
		if e == nil {
			return
		}
		for _, c := range e.Children {
			if c.Name.Local == local && !yield(c) {
				return
			}
		}
	}
}

// Value returns the trimmed text, "" for nil.
func (e *Element) Value() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.Text)
}

// Raw returns the element's own markup as it stands in the document.
func (e *Element) Raw() []byte { return e.doc.Source[e.Start:e.End] }

// Source returns the whole document the element stands in, decoded to UTF-8.
func (e *Element) Source() []byte { return e.doc.Source }

// Position returns the 1-based line and column where the element begins.
func (e *Element) Position() (line, col int) { return e.doc.reader.Position(e.Start) }

// Path returns the place of the element as /a/b[2]/c, for messages.
func (e *Element) Path() string {
	if e == nil {
		return ""
	}
	step := "/" + e.Name.Local
	if e.Parent != nil {
		n, same := 0, 0
		for _, c := range e.Parent.Children {
			if c.Name.Local == e.Name.Local {
				same++
				if c == e {
					n = same
				}
			}
		}
		if same > 1 {
			step += "[" + itoa(n) + "]"
		}
	}
	return e.Parent.Path() + step
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
