package fhirpath

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
)

func suiteInput(t *testing.T, e *Engine, path string) fhir.Node {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".xml") {
		src = xmlToJSON(t, e, src)
	}
	tree, err := fhir.Parse(src)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tree.Root()
}

// xmlToJSON converts the suite's XML inputs, element by element.
func xmlToJSON(t *testing.T, e *Engine, src []byte) []byte {
	d := xml.NewDecoder(bytes.NewReader(src))
	for {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := tok.(xml.StartElement); ok {
			out, _ := xmlElement(t, e, d, s, e.model.Type(s.Name.Local))
			return out
		}
	}
}

type xmlMember struct {
	el       *definitions.Element
	values   [][]byte
	exts     [][]byte
	anyValue bool
	anyExt   bool
}

// xmlElement returns the JSON of a complex element, or of a primitive its value
// and its extensions.
func xmlElement(t *testing.T, e *Engine, d *xml.Decoder, s xml.StartElement, typ *definitions.Type) (value, ext []byte) {
	primitive := typ != nil && typ.Kind == definitions.Primitive
	members, order := map[string]*xmlMember{}, []string{}
	add := func(name string, el *definitions.Element, v, x []byte) {
		m := members[name]
		if m == nil {
			m = &xmlMember{el: el}
			members[name], order = m, append(order, name)
		}
		m.values, m.exts = append(m.values, orNull(v)), append(m.exts, orNull(x))
		m.anyValue, m.anyExt = m.anyValue || v != nil, m.anyExt || x != nil
	}
	for _, a := range s.Attr {
		if a.Name.Local == "value" && primitive {
			value = []byte(a.Value)
			if typ.System != "Boolean" && typ.System != "Integer" && typ.System != "Decimal" {
				value = appendQuoted(nil, a.Value)
			}
		} else if el := typ.Element(a.Name.Local); el != nil {
			add(a.Name.Local, el, appendQuoted(nil, a.Value), nil)
		}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			if err == io.EOF {
				t.Fatal("end")
			}
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return xmlFinish(typ, s, primitive, value, members, order)
		case xml.StartElement:
			name := tok.Name.Local
			if name == "div" {
				if err := d.Skip(); err != nil {
					t.Fatal(err)
				}
				add(name, typ.Element(name), appendQuoted(nil, "<div xmlns=\"http://www.w3.org/1999/xhtml\">…</div>"), nil)
				continue
			}
			el, ref := typ.JSONElement(name)
			if el == nil {
				if rt := e.model.Type(name); rt != nil { // a nested resource
					v, _ := xmlElement(t, e, d, tok, rt)
					value = v
					continue
				}
				t.Fatalf("unknown element %s in %s", name, typ.Name)
			}
			child := el.Content
			if child == nil && ref != nil {
				child = ref.Type
			}
			v, x := xmlElement(t, e, d, tok, child)
			add(name, el, v, x)
		}
	}
}

func orNull(b []byte) []byte {
	if b == nil {
		return []byte("null")
	}
	return b
}

func xmlFinish(typ *definitions.Type, s xml.StartElement, primitive bool, value []byte, members map[string]*xmlMember, order []string) ([]byte, []byte) {
	if !primitive && value != nil {
		return value, nil // the slot of a nested resource
	}
	var b bytes.Buffer
	if typ.Kind == definitions.Resource {
		b.WriteString(`"resourceType":"` + s.Name.Local + `"`)
	}
	for _, name := range order {
		m := members[name]
		for _, part := range []struct {
			prefix string
			items  [][]byte
			any    bool
		}{{"", m.values, m.anyValue}, {"_", m.exts, m.anyExt}} {
			if !part.any {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + part.prefix + name + `":`)
			if m.el.Max == 1 {
				b.Write(part.items[0])
			} else {
				b.WriteString("[" + string(bytes.Join(part.items, []byte(","))) + "]")
			}
		}
	}
	if primitive {
		if b.Len() == 0 {
			return value, nil
		}
		return value, []byte("{" + b.String() + "}")
	}
	return []byte("{" + b.String() + "}"), nil
}
