package views

import (
	"io"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Formats are the names that [NewWriter] knows, and their media types.
var formats = map[string]string{
	"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson", "json": "application/json", "parquet": "application/vnd.apache.parquet",
}

// MediaType returns the media type of a format; ok is false if it is unknown.
func MediaType(format string) (media string, ok bool) {
	media, ok = formats[format]
	return media, ok
}

// Writer writes rows in one format. Close ends the output; it does not close
// what it writes to.
type Writer interface {
	// Write writes one row; it may keep nothing of it.
	Write(row []Cell) error
	Close() error
}

// NewWriter writes rows of the given columns to w as "csv", "ndjson", "json" or
// "parquet". header is for CSV only.
func NewWriter(w io.Writer, format string, columns []Column, header bool) (Writer, error) {
	switch format {
	case "csv":
		return newCSV(w, columns, header)
	case "ndjson":
		return &jsonWriter{w: w, keys: jsonKeys(columns), after: "\n"}, nil
	case "json":
		return &jsonWriter{w: w, keys: jsonKeys(columns), between: ",\n ", open: "[", end: "]\n"}, nil
	case "parquet":
		return newParquet(w, columns)
	}
	return nil, fault.New(fault.Unsupported, "format %q: use csv, ndjson, json or parquet", format)
}

// jsonWriter writes one object a row, keys in column order.
type jsonWriter struct {
	w       io.Writer
	keys    []string
	open    string // before the first row
	between string
	after   string // after each row
	end     string
	begun   bool
	buf     []byte
}

// jsonKeys are the texts before the values: `{"id":`, `,"name":`. Column names
// need no escapes.
func jsonKeys(columns []Column) []string {
	keys := make([]string, len(columns))
	for i, c := range columns {
		keys[i] = `,"` + c.Name + `":`
		if i == 0 {
			keys[i] = "{" + keys[i][1:]
		}
	}
	return keys
}

func (j *jsonWriter) Write(row []Cell) error {
	j.buf = append(j.buf[:0], j.between...)
	if !j.begun {
		j.buf = append(j.buf[:0], j.open...)
	}
	j.begun = true
	for i := range row {
		j.buf = row[i].AppendJSON(append(j.buf, j.keys[i]...))
	}
	j.buf = append(append(j.buf, '}'), j.after...)
	_, err := j.w.Write(j.buf)
	return err
}

func (j *jsonWriter) Close() error {
	if !j.begun {
		j.end = j.open + j.end
	}
	_, err := io.WriteString(j.w, j.end)
	return err
}

// csvWriter writes RFC 4180 with LF. Null is an empty field, an empty string is "";
// lists and complex values are JSON.
type csvWriter struct {
	w   io.Writer
	buf []byte
}

func newCSV(w io.Writer, columns []Column, header bool) (*csvWriter, error) {
	c := &csvWriter{w: w}
	if !header {
		return c, nil
	}
	for i, col := range columns {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.buf = append(c.buf, col.Name...)
	}
	c.buf = append(c.buf, '\n')
	_, err := w.Write(c.buf)
	return c, err
}

func (c *csvWriter) Write(row []Cell) error {
	c.buf = c.buf[:0]
	for i := range row {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		cell := &row[i]
		if cell.Null() {
			continue
		}
		s, err := "", error(nil)
		if !cell.many {
			s, err = cell.Text()
		}
		if cell.many || err != nil {
			s = string(cell.AppendJSON(nil))
		}
		c.field(s)
	}
	c.buf = append(c.buf, '\n')
	_, err := c.w.Write(c.buf)
	return err
}

func (c *csvWriter) field(s string) {
	if s != "" && !strings.ContainsAny(s, ",\"\r\n") {
		c.buf = append(c.buf, s...)
		return
	}
	c.buf = append(c.buf, '"')
	for i := range len(s) {
		if s[i] == '"' {
			c.buf = append(c.buf, '"')
		}
		c.buf = append(c.buf, s[i])
	}
	c.buf = append(c.buf, '"')
}

func (c *csvWriter) Close() error { return nil }

// Formats lists the formats by name.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for f := range formats {
		names = append(names, f)
	}
	slices.Sort(names)
	return names
}
