package console

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/xmlread"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Line is one value of a message, its place, and where it went.
type Line struct {
	Place string   `json:"place"`
	Value string   `json:"value"`
	To    []string `json:"to"` // Patient.name[0].text …; empty = nothing uses it
}

const (
	maxLines   = 2000
	maxShown   = 200 // bytes of one value
	maxOutline = 40  // depth
)

// outline lists the values of a message in order, whatever it is written in.
func outline(m *pipeline.Message) []Line {
	o := &outliner{}
	text, _, err := charset.Decode(m.Body, m.Charset)
	if err != nil {
		return nil
	}
	switch head := bytes.TrimLeft(text[:min(len(text), 64)], "\ufeff \t\r\n\x0b"); {
	case bytes.HasPrefix(head, []byte("MSH")):
		o.v2(text)
	case bytes.HasPrefix(head, []byte("<")):
		o.document(text, "", 0)
	default:
		o.json(text, "", 0)
	}
	return o.lines
}

type outliner struct{ lines []Line }

func (o *outliner) add(place, value string) {
	if value = strings.TrimSpace(value); value != "" && len(o.lines) < maxLines {
		o.lines = append(o.lines, Line{Place: place, Value: value})
	}
}

func (o *outliner) json(text []byte, place string, depth int) {
	tree, err := fhir.Parse(text)
	if err == nil {
		o.node(tree.Root(), place, depth)
	}
}

func (o *outliner) node(n fhir.Node, place string, depth int) {
	if depth > maxOutline || len(o.lines) >= maxLines {
		return
	}
	i := 0
	for c := range n.Children() {
		at := place + "[" + strconv.Itoa(i) + "]"
		if n.Kind() == fhir.Object {
			if at = c.Key(); place != "" {
				at = place + "." + at
			}
		}
		i++
		if k := c.Kind(); k == fhir.Object || k == fhir.Array {
			o.node(c, at, depth+1)
		} else if k != fhir.Null {
			o.add(at, c.Str())
		}
	}
}

func (o *outliner) document(text []byte, place string, depth int) {
	doc, err := xmlread.Parse(text, xmlread.Default())
	if err == nil {
		o.element(doc.Root, place+"/"+doc.Root.Name.Local, depth)
	}
}

func (o *outliner) element(e *xmlread.Element, place string, depth int) {
	if depth > maxOutline {
		return
	}
	for _, a := range e.Attrs {
		o.add(place+"/@"+a.Local, a.Value)
	}
	text := strings.TrimSpace(e.Text)
	if len(e.Children) == 0 && strings.HasPrefix(text, "<") { // a document in a document
		o.document([]byte(text), place, depth+10)
		return
	}
	o.add(place, text)
	for _, c := range e.Children {
		o.element(c, place+"/"+c.Name.Local, depth+1)
	}
}

// v2 lists fields: PID-3, and OBX(2)-5 where a segment repeats.
func (o *outliner) v2(text []byte) {
	lines := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\r' || r == '\n' })
	count := map[string]int{}
	for _, l := range lines {
		if len(l) < 4 {
			continue
		}
		fields := strings.Split(l, l[3:4])
		name := fields[0]
		count[name]++
		at := name
		if count[name] > 1 {
			at += "(" + strconv.Itoa(count[name]) + ")"
		}
		first := 1
		if name == "MSH" {
			first = 2 // MSH-1 is the separator itself
		}
		for i, f := range fields[1:] {
			if name == "MSH" && i == 0 {
				continue
			}
			o.add(at+"-"+strconv.Itoa(i+first), f)
		}
	}
}

// follow notes for every value of the message where the planned resources have
// the same value.
func follow(lines []Line, ops []store.Op) {
	where := map[string][]string{}
	for _, op := range ops {
		tree, err := fhir.Parse(op.Resource)
		if err != nil {
			continue
		}
		o := &outliner{}
		o.node(tree.Root(), op.Type, 0)
		for _, l := range o.lines {
			if k := plain(l.Value); k != "" && len(where[k]) < 3 && !strings.HasSuffix(l.Place, ".resourceType") {
				where[k] = append(where[k], l.Place)
			}
		}
	}
	for i := range lines {
		lines[i].To = []string{}
		for _, part := range strings.FieldsFunc(lines[i].Value, func(r rune) bool { return r == '^' || r == '~' || r == '&' }) {
			lines[i].To = append(lines[i].To, where[plain(part)]...)
		}
		if len(lines[i].Value) > maxShown {
			lines[i].Value = strings.ToValidUTF8(lines[i].Value[:maxShown], "") + "…"
		}
	}
}

// plain is the form in which values are compared: a date written 20261012 is
// 2026-10-12.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '-', ':', ' ', 'T', '/', '+':
			return -1
		}
		return r
	}, s)
}
