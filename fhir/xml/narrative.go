package xml

import (
	"bytes"
	stdxml "encoding/xml"
	"slices"
	"strings"
	"unsafe"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// div writes narrative as it stands, so long as it can stand alone: it declares the
// XHTML namespace as its default and uses no prefix.
func (j *jsonWriter) div(tok xmlread.Token) error {
	start, depth := tok.Start, j.r.Depth()
	alone := slices.ContainsFunc(tok.Attrs, func(a xmlread.Attr) bool {
		return a.Space == xmlread.XMLNS && a.Local == "" && a.Value == XHTML
	})
	for j.r.Depth() >= depth {
		alone = alone && !prefixed(tok)
		var err error
		if tok, err = j.r.Next(); err != nil {
			return err
		}
	}
	raw := j.r.Source()[start:tok.End]
	if !alone {
		var err error
		if raw, err = restate(j.r.Source(), start, tok.End); err != nil {
			return err
		}
	}
	j.out = fhir.AppendString(j.out, unsafe.String(&raw[0], len(raw)))
	return nil
}

// prefixed reports whether a start tag uses or declares a prefix other than xml.
func prefixed(t xmlread.Token) bool {
	if t.Kind != xmlread.Start {
		return false
	}
	return t.Name.Prefix != "" || slices.ContainsFunc(t.Attrs, func(a xmlread.Attr) bool {
		return a.Prefix != "" && a.Prefix != "xml" && !(a.Space == xmlread.XMLNS && a.Local == "")
	})
}

// restate writes a div that leans on namespaces from outside anew, with the XHTML
// namespace as its default and no prefixes.
func restate(src []byte, start, end int) ([]byte, error) {
	limits := xmlread.Default()
	limits.Charset = "utf-8"
	r, err := xmlread.New(src, limits)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for {
		t, err := r.Next()
		if err != nil {
			return nil, err
		}
		if t.Start < start || b.Len() == 0 && t.Kind != xmlread.Start {
			continue
		}
		if t.Start >= end && t.Kind != xmlread.End || t.Kind == xmlread.EOF {
			return b.Bytes(), nil
		}
		restateToken(&b, t, t.Start == start)
		if t.Kind == xmlread.End && t.End >= end {
			return b.Bytes(), nil
		}
	}
}

func restateToken(b *bytes.Buffer, t xmlread.Token, root bool) {
	switch t.Kind {
	case xmlread.Start:
		b.WriteString("<" + t.Name.Local)
		if root {
			b.WriteString(` xmlns="` + XHTML + `"`)
		}
		for _, a := range t.Attrs {
			if a.Space == xmlread.XMLNS {
				continue
			}
			b.WriteByte(' ')
			if a.Prefix == "xml" {
				b.WriteString("xml:")
			}
			b.WriteString(a.Local + `="`)
			b.Write(appendEscaped(nil, a.Value))
			b.WriteByte('"')
		}
		b.WriteByte('>')
	case xmlread.End:
		b.WriteString("</" + t.Name.Local + ">")
	case xmlread.Text:
		b.Write(appendEscaped(nil, t.Text))
	}
}

// div writes narrative as it stands once it is proved to be one XHTML div. A
// missing namespace is added and HTML's named entities become characters, because
// XML has neither.
func (w *xmlWriter) div(n fhir.Node) error {
	s := n.Str()
	if n.Kind() != fhir.String {
		return w.fail(n, "wrong-kind", "此处应为字符串", "a string is expected")
	}
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "<?xml") {
		if i := strings.Index(s, "?>"); i > 0 {
			s = strings.TrimSpace(s[i+2:])
		}
	}
	s = entities(s)
	limits := xmlread.Default()
	limits.Charset = "utf-8"
	doc, err := xmlread.Parse([]byte(s), limits)
	if err != nil || doc.Root.Name.Local != "div" || doc.Root.End != len(s) || doc.Root.Start != 0 {
		return w.fail(n, "narrative", "叙述必须是一个合法的 XHTML div", "narrative must be one well-formed XHTML div")
	}
	switch doc.Root.Name.Space {
	case XHTML:
		w.out = append(w.out, s...)
	case "":
		w.out = append(append(w.out, `<div xmlns="`+XHTML+`"`...), s[len("<div"):]...)
	default:
		return w.fail(n, "narrative", "叙述不在 XHTML 命名空间中", "narrative is not in the XHTML namespace")
	}
	return nil
}

// entities replaces HTML's named entities that XML does not know.
func entities(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s[:min(len(s), 12)], ';')
		if end > 1 {
			if rep, ok := stdxml.HTMLEntity[s[1:end]]; ok && !isXMLEntity(s[1:end]) {
				b.WriteString(rep)
				s = s[end+1:]
				continue
			}
		}
		b.WriteByte('&')
		s = s[1:]
	}
}

func isXMLEntity(name string) bool {
	switch name {
	case "amp", "lt", "gt", "quot", "apos":
		return true
	}
	return false
}
