package xml

import (
	"bytes"
	"slices"
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
