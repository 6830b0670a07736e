package xml

import (
	"bytes"
	"encoding/json"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/xmlread"
)

// Format is a FHIR exchange format.
type Format string

// The formats. The constants are also file name extensions.
const (
	FormatJSON Format = "json"
	FormatXML  Format = "xml"
)

// Detect tells XML from JSON by the first character.
func Detect(data []byte) Format {
	if bytes.HasPrefix(data, []byte("\xFE\xFF")) || bytes.HasPrefix(data, []byte("\xFF\xFE")) {
		return FormatXML // UTF-16, which JSON never is
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF")), " \t\r\n\x00")
	if len(data) > 0 && data[0] == '<' {
		return FormatXML
	}
	return FormatJSON
}

// Convert turns a resource in either format into the other, or checks one that is
// in the wanted format already. With pretty the result is indented by two spaces,
// but for narrative; without, JSON that stays JSON is returned as it came.
func Convert(m *definitions.Model, data []byte, to Format, pretty bool) ([]byte, error) {
	from := Detect(data)
	var err error
	switch {
	case to != FormatJSON && to != FormatXML:
		return nil, fault.New(fault.Unsupported, "format %.20q: json or xml", string(to))
	case from == to && to == FormatJSON:
		_, err = FromJSON(m, data) // only to check it
	case to == FormatJSON:
		data, err = ToJSON(m, data)
	case from == FormatXML:
		if data, err = ToJSON(m, data); err == nil {
			data, err = FromJSON(m, data)
		}
	default:
		data, err = FromJSON(m, data)
	}
	if err != nil || !pretty {
		return data, err
	}
	if to == FormatXML {
		return indentXML(data)
	}
	var b bytes.Buffer
	err = json.Indent(&b, bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF")), "", "  ")
	return append(b.Bytes(), '\n'), err
}

// indentXML puts every element but narrative on a line of its own. The input is
// what FromJSON writes: no text outside narrative.
func indentXML(data []byte) ([]byte, error) {
	r, err := xmlread.New(data, xmlread.Default())
	if err != nil {
		return nil, err
	}
	src := r.Source()
	out := append(make([]byte, 0, len(src)*3/2), Declaration...)
	narrative, begun, leaf := 0, 0, false
	line := func(depth int) { out = append(append(out, '\n'), bytes.Repeat([]byte("  "), depth)...) }
	for {
		t, err := r.Next()
		if err != nil {
			return nil, err
		}
		switch t.Kind {
		case xmlread.EOF:
			return append(out, '\n'), nil
		case xmlread.Start:
			if narrative == 0 && t.Name.Space == XHTML {
				narrative, begun = r.Depth(), t.Start
			}
			if narrative == 0 {
				line(r.Depth() - 1)
				out = append(out, src[t.Start:t.End]...)
			}
			leaf = true
		case xmlread.End:
			switch {
			case narrative == 0 && t.Start < t.End:
				if !leaf {
					line(r.Depth())
				}
				out = append(out, src[t.Start:t.End]...)
			case narrative == r.Depth()+1:
				line(r.Depth())
				out = append(out, src[begun:t.End]...)
				narrative = 0
			}
			leaf = false
		}
	}
}
