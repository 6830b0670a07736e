package mapping

import (
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// Format is what a message is written in.
type Format string

// The formats. A row is one row of a table, or several of one visit joined.
const (
	FormatV2   Format = "hl7v2"
	FormatJSON Format = "json"
	FormatXML  Format = "xml"
	FormatRow  Format = "row"
)

// Source is a message as a tree that FHIRPath can walk. It is immutable.
//
//	hl7v2  {"PID":[{"line":2,"f3":[{"c1":"100001","c4":"H","c4s2":"1.2.3"}]}]}
//	       segments, nested where the standard groups them; f = field,
//	       c = component, s = subcomponent from the second on. In a map
//	       PID-3.4.2 is written for it.
//	json   as it is
//	xml    elements by local name; attributes as a_name; the text of an element
//	       that also has members as text
//	row    {"COLUMN":"value"}
type Source struct {
	Format Format
	Name   string // message type "ADT^A04", root element, table; "" for JSON
	Root   fhir.Node
}

// V2 makes the source of an HL7 v2 message.
func V2(m *hl7v2.Message) (*Source, error) {
	tree, err := fhir.Parse(m.AppendTree(nil))
	if err != nil {
		return nil, err
	}
	code, event, _ := m.Type()
	name := code
	if event != "" {
		name += "^" + event
	}
	return &Source{FormatV2, name, tree.Root()}, nil
}

// JSON makes the source of JSON text. name may be "".
func JSON(name string, text []byte) (*Source, error) {
	tree, err := fhir.Parse(text)
	if err != nil {
		return nil, err
	}
	return &Source{FormatJSON, name, tree.Root()}, nil
}

// Row makes the source of a table row; values beyond the columns are ignored.
func Row(table string, columns, values []string) (*Source, error) {
	text := []byte{'{'}
	for i, c := range columns {
		if i >= len(values) {
			break
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = fhir.AppendString(text, c)
		text = append(text, ':')
		text = fhir.AppendString(text, values[i])
	}
	tree, err := fhir.Parse(append(text, '}'))
	if err != nil {
		return nil, err
	}
	return &Source{FormatRow, table, tree.Root()}, nil
}

// XML makes the source of an XML document; its root element names it.
func XML(text []byte) (*Source, error) {
	doc, err := xmlread.Parse(text, xmlread.Default())
	if err != nil {
		return nil, err
	}
	out := appendElement(nil, doc.Root)
	if out[0] != '{' {
		out = append(append([]byte(`{"text":`), out...), '}')
	}
	tree, err := fhir.Parse(out)
	if err != nil {
		return nil, err
	}
	return &Source{FormatXML, doc.Root.Name.Local, tree.Root()}, nil
}

// appendElement writes an element: a string if it has only text, else an
// object. Children of one name become one array, in the place of the first.
func appendElement(dst []byte, e *xmlread.Element) []byte {
	attrs := 0
	for _, a := range e.Attrs {
		if a.Space != xmlread.XMLNS {
			attrs++
		}
	}
	if attrs == 0 && len(e.Children) == 0 {
		return fhir.AppendString(dst, strings.TrimSpace(e.Text))
	}
	dst = append(dst, '{')
	n := len(dst)
	member := func(key string) {
		if len(dst) > n {
			dst = append(dst, ',')
		}
		dst = append(fhir.AppendString(dst, key), ':')
	}
	for _, a := range e.Attrs {
		if a.Space != xmlread.XMLNS {
			member("a_" + a.Local)
			dst = fhir.AppendString(dst, a.Value)
		}
	}
	done := map[string]bool{}
	for _, c := range e.Children {
		local := c.Name.Local
		if done[local] {
			continue
		}
		done[local] = true
		member(local)
		dst = append(dst, '[')
		i := 0
		for same := range e.All(local) {
			if i++; i > 1 {
				dst = append(dst, ',')
			}
			dst = appendElement(dst, same)
		}
		dst = append(dst, ']')
	}
	if t := strings.TrimSpace(e.Text); t != "" {
		member("text")
		dst = fhir.AppendString(dst, t)
	}
	return append(dst, '}')
}

// Place names the place of a node in the message: PID-3(1).4, Record.name[2],
// /Request/Patient/name, or a column. It is "" for a node of another tree.
func (s *Source) Place(n fhir.Node) string {
	if !n.Exists() || n.Tree() != s.Root.Tree() {
		return ""
	}
	steps := stepsTo(s.Root, n)
	switch s.Format {
	case FormatV2:
		return placeV2(steps)
	case FormatXML:
		return "/" + s.Name + placeXML(steps)
	}
	return placeJSON(steps)
}

// step is one step down a tree: a member by name, or an item of an array.
type stepDown struct {
	name  string // "" for an item
	index int
	of    int // items in the array
	node  fhir.Node
}

// stepsTo finds the way from an ancestor to n: nodes are numbered in the order
// of the text, so the way goes through the last child that is not behind n.
func stepsTo(from, n fhir.Node) []stepDown {
	var steps []stepDown
	for from.Exists() && from.Index() != n.Index() {
		var next fhir.Node
		index, i := 0, 0
		for c := range from.Children() {
			if c.Index() > n.Index() {
				break
			}
			next, index = c, i
			i++
		}
		s := stepDown{node: next, index: index, of: from.Len()}
		if from.Kind() == fhir.Object {
			s.name = next.Key()
		}
		if steps = append(steps, s); !next.Exists() {
			return nil
		}
		from = next
	}
	return steps
}

func placeJSON(steps []stepDown) string {
	var b strings.Builder
	for _, s := range steps {
		switch {
		case s.name == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case b.Len() > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

func placeXML(steps []stepDown) string {
	var b strings.Builder
	for _, s := range steps {
		switch {
		case s.name == "" && s.of > 1:
			b.WriteString("[" + strconv.Itoa(s.index+1) + "]")
		case s.name == "" || s.name == "text":
		case strings.HasPrefix(s.name, "a_"):
			b.WriteString("/@" + s.name[2:])
		default:
			b.WriteString("/" + s.name)
		}
	}
	return b.String()
}

// placeV2 writes the innermost segment with its line, field, repetition and
// component: OBX[14]-5(1).2 is line 14 of the message.
func placeV2(steps []stepDown) string {
	out, field := "", false
	for i, s := range steps {
		switch {
		case isSegment(s.name) && i+1 < len(steps):
			line := steps[i+1].node.Get("line").Str()
			out, field = s.name+"["+line+"]", false
		case isSegment(s.name):
			out, field = s.name, false
		case strings.HasPrefix(s.name, "f"):
			out, field = out+"-"+s.name[1:], true
		case s.name == "" && field && s.of > 1:
			out += "(" + strconv.Itoa(s.index) + ")"
		case strings.HasPrefix(s.name, "c"):
			out += "." + strings.ReplaceAll(s.name[1:], "s", ".")
		}
	}
	return out
}

func isSegment(name string) bool { return len(name) == 3 && name[0] >= 'A' && name[0] <= 'Z' }
