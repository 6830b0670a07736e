package sqlrun

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// format is how rows are answered.
type format struct {
	name   string // csv, ndjson, json, parquet, fhir
	header bool   // csv
	binary bool   // wrapped in a Binary, for clients that take only FHIR
}

// byMedia maps media types to formats.
var byMedia = map[string]string{"text/csv": "csv", "application/csv": "csv", "application/json": "json", "application/x-ndjson": "ndjson",
	"application/ndjson": "ndjson", "application/jsonl": "ndjson", "application/vnd.apache.parquet": "parquet", "application/octet-stream": "parquet"}

// negotiate chooses the format: _format beats Accept, ndjson is the default.
func negotiate(p *params, accept string) (format, error) {
	f := format{name: "ndjson", header: p.first("header") != "false"}
	if name := p.first("_format"); name != "" {
		if m := byMedia[name]; m != "" {
			name = m
		}
		if _, ok := views.MediaType(name); !ok && name != "fhir" {
			return f, notAcceptable(name)
		}
		f.name = name
		return f, nil
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, _, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if m := byMedia[media]; m != "" {
			f.name = m
			return f, nil
		}
		if media == "application/fhir+json" {
			f.binary = true
		}
	}
	return f, nil
}

func notAcceptable(name string) error {
	return fault.New(fault.Unsupported, "not acceptable").With(fault.Issue{Severity: "error", Code: "not-supported", Key: outcome.KeyAccept,
		Text: "不支持的格式：" + clip(name), TextEN: "no such format: " + clip(name), Hint: "_format: json, ndjson, csv, parquet, fhir"})
}

// output starts the answer's rows in buf.
func (f format) output(buf io.Writer, columns []views.Column) (views.Writer, error) {
	if f.name == "fhir" {
		return &fhirRows{w: buf, columns: columns}, nil
	}
	return views.NewWriter(buf, f.name, columns, f.header)
}

// media is the content type of the rows.
func (f format) media() string {
	if f.name == "fhir" {
		return "application/fhir+json; charset=utf-8"
	}
	m, _ := views.MediaType(f.name)
	return m
}

// wrap puts the rows in a Binary resource.
func wrapBinary(media string, rows []byte) []byte {
	out := bytes.NewBufferString(`{"resourceType":"Binary","contentType":`)
	text, _ := json.Marshal(media) // a string always marshals
	out.Write(text)
	out.WriteString(`,"data":"`)
	out.WriteString(base64.StdEncoding.EncodeToString(rows))
	out.WriteString(`"}`)
	return out.Bytes()
}

// fhirRows writes a Parameters with one parameter row for each row.
type fhirRows struct {
	w       io.Writer
	columns []views.Column
	begun   bool
	buf     []byte
}

func (r *fhirRows) Write(row []views.Cell) error {
	r.buf = append(r.buf[:0], ',')
	if !r.begun {
		r.buf = append(r.buf[:0], `{"resourceType":"Parameters","parameter":[`...)
	}
	r.begun = true
	r.buf = append(r.buf, `{"name":"row"`...)
	first := true
	for i := range row {
		for k := range row[i].Len() {
			one := row[i].At(k)
			r.buf = append(r.buf, ',')
			if first {
				r.buf = append(r.buf, `"part":[`...)
			}
			first = false
			r.buf = r.part(r.buf, &r.columns[i], &one)
		}
	}
	if !first {
		r.buf = append(r.buf, ']')
	}
	r.buf = append(r.buf, '}')
	_, err := r.w.Write(r.buf)
	return err
}

// part appends one value as a part named like its column.
func (r *fhirRows) part(dst []byte, c *views.Column, v *views.Cell) []byte {
	typ := c.Type
	if it, ok := v.Item(); ok && it.FHIRType() != nil {
		typ = it.Type()
	}
	dst = append(append(dst, `{"name":"`...), c.Name...)
	dst = append(append(dst, `","value`...), strings.ToUpper(typ[:1])...)
	dst = append(append(dst, typ[1:]...), `":`...)
	return append(v.AppendJSON(dst), '}')
}

func (r *fhirRows) Close() error {
	end := `]}`
	if !r.begun {
		end = `{"resourceType":"Parameters"}`
	}
	_, err := io.WriteString(r.w, end)
	return err
}

// resources gives the resources of nodes, those of Bundles one by one.
func resources(nodes []fhir.Node, fn func(fhir.Node) error) error {
	for _, n := range nodes {
		if n.ResourceType() != "Bundle" {
			if err := fn(n); err != nil {
				return err
			}
			continue
		}
		for e := range n.Get("entry").Each() {
			if res := e.Get("resource"); res.Exists() {
				if err := fn(res); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
