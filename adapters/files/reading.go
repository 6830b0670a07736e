package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

const (
	maxReported = 10_000   // errors listed of one file
	maxDocument = 50 << 20 // bytes of one JSON or XML document, or one line of NDJSON
)

// reading is one file on its way in.
type reading struct {
	source   *Source
	name     string
	rows     int // taken
	messages int
	failed   int
	errors   []rowError
}

// rowError is one line of <file>.errors.json.
type rowError struct {
	Row     int    `json:"row"` // as people count in the file: the header is row 1; 0 = the whole file
	Column  string `json:"column"`
	Message string `json:"message"`
}

func (r *reading) problem(row int, column, message string) {
	r.failed++
	if len(r.errors) < maxReported {
		r.errors = append(r.errors, rowError{row, column, message})
	}
}

// report is the content of <file>.errors.json, in the order of the rows.
func (r *reading) report(name string) []byte {
	slices.SortStableFunc(r.errors, func(a, b rowError) int { return a.Row - b.Row })
	b, err := json.MarshalIndent(struct {
		File   string     `json:"file"`
		Errors []rowError `json:"errors"`
	}{name, r.errors}, "", "  ")
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(b, '\n')
}

// file reads one file; errGrowing if it is not complete. A *stopped is no error
// of the file.
func (r *reading) file(ctx context.Context, p place, e entry, memo string) error {
	if e.Size > r.source.cfg.MaxSize<<20 {
		return fault.New(fault.TooCostly, "文件超过 %d MB", r.source.cfg.MaxSize)
	}
	f, err := p.open(ctx, e.Name)
	if err != nil {
		return &stopped{err}
	}
	defer f.Close()
	if err := whole(f, e); err != nil {
		return err
	}
	err = r.content(ctx, p, f, e, memo)
	var stop *stopped
	if errors.As(err, &stop) {
		return err
	}
	if grown := whole(f, e); grown != nil {
		return grown
	}
	return err
}

// errGrowing says that a file has changed since it was listed: it is left where
// it is, and read again when it has come to rest.
var errGrowing = errors.New("file is being written")

// whole reports errGrowing if the file is not as long as the listing said.
func whole(f file, e entry) error {
	info, err := f.Stat()
	if err != nil {
		return &stopped{err}
	}
	if info.Size() != e.Size {
		return errGrowing
	}
	return nil
}

// content reads an open file by what it is.
func (r *reading) content(ctx context.Context, p place, f file, e entry, memo string) error {
	switch kind := format(e.Name, f); kind {
	case "json", "xml", "hl7v2":
		return r.document(ctx, f, e)
	case "ndjson":
		return r.lines(ctx, io.NewSectionReader(f, 0, e.Size))
	}
	src := table.Source{Name: e.Name, Data: f, Size: e.Size}
	if memo != "" {
		m, err := p.open(ctx, memo)
		if err != nil {
			return &stopped{err}
		}
		defer m.Close()
		src.Memo = m
	}
	return r.table(ctx, src)
}

// format tells documents from tables, by name and first byte.
func format(name string, f io.ReaderAt) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".ndjson", ".jsonl":
		return "ndjson"
	case ".csv", ".txt", ".tsv", ".dbf", ".xlsx":
		return ""
	}
	head := make([]byte, 512)
	n, _ := f.ReadAt(head, 0)
	switch head = bytes.TrimLeft(head[:n], "\ufeff \t\r\n\x0b"); {
	case bytes.HasPrefix(head, []byte("<")):
		return "xml"
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		return "json"
	case bytes.HasPrefix(head, []byte("MSH")):
		return "hl7v2"
	}
	return ""
}

// document takes a whole file as one message.
func (r *reading) document(ctx context.Context, f io.ReaderAt, e entry) error {
	if e.Size > maxDocument {
		return fault.New(fault.TooCostly, "一份文档超过 %d MB，请拆分", maxDocument>>20)
	}
	body := make([]byte, e.Size)
	if _, err := f.ReadAt(body, 0); err != nil && err != io.EOF {
		return &stopped{err}
	}
	return r.message(ctx, body, 0)
}

// lines takes every line of NDJSON as one message.
func (r *reading) lines(ctx context.Context, in io.Reader) error {
	sc := newLines(in, maxDocument)
	for row := 1; sc.next(); row++ {
		if len(bytes.TrimSpace(sc.line)) == 0 {
			continue
		}
		if sc.long {
			r.problem(row, "", "这一行超过 50 MB")
			continue
		}
		if err := r.message(ctx, bytes.Clone(sc.line), row); err != nil {
			var stop *stopped
			if errors.As(err, &stop) {
				return err
			}
			r.problem(row, "", fault.Sentence(err))
		}
	}
	if sc.err != nil {
		return &stopped{sc.err}
	}
	return nil
}

// message appends one document.
func (r *reading) message(ctx context.Context, body []byte, row int) error {
	text := body
	if decoded, _, err := charset.Decode(body, ""); err == nil {
		text = decoded // GBK hides quotes and backslashes in its characters
	}
	kind, contentType := source.KindOf(text)
	if contentType == "application/json" { // half a document is no document
		if _, err := fhir.Parse(text); err != nil {
			return err
		}
	}
	if kind == "" {
		return fault.New(fault.Unsupported, "不认识的内容：应为 JSON、XML 或 HL7 v2")
	}
	if r.source.parts.Kind != "" {
		kind = r.source.parts.Kind
	}
	m := r.source.parts.Intake.Message(kind, r.name, contentType, "", body)
	m.Headers["file"] = r.name
	if row > 0 {
		m.Headers["row"] = itoa(row)
	}
	if r.source.parts.Check != nil {
		if err := r.source.parts.Check(ctx, m); err != nil && refused(err) {
			column := fault.Place(err)
			r.problem(row, column, fault.Sentence(err))
			return nil
		}
	}
	if err := r.source.parts.Intake.Insist(ctx, m); err != nil {
		return &stopped{err}
	}
	r.messages++
	r.rows++
	return nil
}

// refused reports that a check's error is about the message, not about us: a
// map that is missing can be added, and the message replayed.
func refused(err error) bool {
	for _, is := range fault.IssuesOf(err) {
		if is.Key == "unknown-kind" {
			return false
		}
	}
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Busy:
		return false
	}
	return true
}
