package patch

import (
	"bytes"
	stdxml "encoding/xml"
	"strings"

	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// node is a piece of an XML document being patched: an element, text or a
// comment; the document itself is one of kind EOF with the root below it.
type node struct {
	kind  xmlread.Kind
	name  xmlread.Name
	attrs []xmlread.Attr
	text  string
	kids  []*node
	up    *node
	at    int // byte in the text it was read from
}

// readTree reads a document with its comments; the reader tells lines of places.
func readTree(data []byte) (*node, *xmlread.Reader, error) {
	r, err := xmlread.New(data, xmlread.Default())
	if err != nil {
		return nil, nil, err
	}
	doc := &node{}
	top := doc
	for {
		t, err := r.Next()
		if err != nil || t.Kind == xmlread.EOF {
			return doc, r, err
		}
		if t.Kind == xmlread.End {
			top = top.up
			continue
		}
		n := &node{kind: t.Kind, name: t.Name, attrs: append([]xmlread.Attr(nil), t.Attrs...), text: t.Text, up: top, at: t.Start}
		top.kids = append(top.kids, n)
		if t.Kind == xmlread.Start {
			top = n
		}
	}
}

// space resolves a prefix where the element stands.
func (n *node) space(prefix string) (uri string, ok bool) {
	for ; n != nil; n = n.up {
		for _, a := range n.attrs {
			if a.Space == xmlread.XMLNS && a.Local == prefix {
				return a.Value, true
			}
		}
	}
	return "", false
}

// attr returns the place of an attribute, -1 if there is none.
func (n *node) attr(space, local string) int {
	for i, a := range n.attrs {
		if a.Space == space && a.Local == local {
			return i
		}
	}
	return -1
}

// value returns the text of an attribute without a namespace, "" if there is none.
func (n *node) value(local string) string {
	if i := n.attr("", local); i >= 0 {
		return n.attrs[i].Value
	}
	return ""
}

// inner is the text directly inside an element.
func (n *node) inner() string {
	var b strings.Builder
	for _, k := range n.kids {
		if k.kind == xmlread.Text {
			b.WriteString(k.text)
		}
	}
	return b.String()
}

// content are the pieces inside an element but for the white space between
// elements and comments.
func (n *node) content() (out []*node) {
	for _, k := range n.kids {
		if k.kind != xmlread.Text || strings.TrimSpace(k.text) != "" {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return n.kids
	}
	return out
}

// write writes the piece; names go without prefixes, in the default namespace.
func (n *node) write(b *bytes.Buffer, space string) {
	switch n.kind {
	case xmlread.Text:
		_ = stdxml.EscapeText(b, []byte(n.text)) // a Buffer takes all
		return
	case xmlread.Comment:
		b.WriteString("<!--" + n.text + "-->")
		return
	case xmlread.EOF:
		for _, k := range n.kids {
			k.write(b, space)
		}
		return
	}
	b.WriteString("<" + n.name.Local)
	if n.name.Space != space {
		space = n.name.Space
		writeAttr(b, "xmlns", space)
	}
	for _, a := range n.attrs {
		switch {
		case a.Space == xmlread.XMLNS && a.Local == "":
		case a.Space == xmlread.XMLNS:
			writeAttr(b, "xmlns:"+a.Local, a.Value)
		default:
			writeAttr(b, strings.TrimPrefix(a.Prefix+":"+a.Local, ":"), a.Value)
		}
	}
	b.WriteByte('>')
	for _, k := range n.kids {
		k.write(b, space)
	}
	b.WriteString("</" + n.name.Local + ">")
}

func writeAttr(b *bytes.Buffer, name, value string) {
	b.WriteString(" " + name + `="`)
	_ = stdxml.EscapeText(b, []byte(value)) // a Buffer takes all
	b.WriteByte('"')
}
