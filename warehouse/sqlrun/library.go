package sqlrun

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// library reads a Library by reference or canonical from the repository.
func (s *Service) library(ctx context.Context, ref string) (fhir.Node, error) {
	return s.resource(ctx, "Library", ref)
}

// resource reads a resource of a type by reference or canonical.
func (s *Service) resource(ctx context.Context, typ, ref string) (fhir.Node, error) {
	notFound := fault.New(fault.NotFound, "no such subject").With(fault.Issue{Severity: "error", Code: "not-found", Key: "subject",
		Text: "没有这个视图或查询：" + clip(ref), TextEN: "there is no view or query " + clip(ref)})
	if s.parts.Store == nil {
		return fhir.Node{}, notFound
	}
	snap, err := s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return fhir.Node{}, err
	}
	defer snap.Close()
	id, byID := strings.CutPrefix(ref, typ+"/")
	if !byID {
		canonical, _, _ := strings.Cut(ref, "|")
		page, err := s.parts.Search.Search(ctx, snap.Index(), search.Request{Type: typ, Query: "url=" + url.QueryEscape(canonical), Count: 1})
		if err != nil {
			return fhir.Node{}, err
		}
		if len(page.Matches) == 0 {
			return fhir.Node{}, notFound
		}
		id = page.Matches[0].ID
	}
	v, err := snap.Read(typ, id)
	if err != nil {
		return fhir.Node{}, err
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return fhir.Node{}, err
	}
	return tree.Root(), nil
}

// clickhouseFormats are the output formats for ours.
var clickhouseFormats = map[string]string{"csv": "CSV", "ndjson": "JSONEachRow", "json": "JSONEachRow", "parquet": "Parquet", "fhir": "JSONEachRow"}

// runLibrary runs the SQL of a SQLQuery or SQLView.
func (s *Service) runLibrary(ctx context.Context, lib fhir.Node, p *params, f format, limit int, w io.Writer) error {
	if s.parts.SQL == nil {
		return fault.New(fault.Unsupported, "no warehouse").With(fault.Issue{Severity: "error", Code: "not-supported", Key: outcome.KeyNotDone,
			Text: "没有连接数据仓库，不能运行 SQL", TextEN: "SQL needs the warehouse, which is not connected"})
	}
	if len(p.nodes["resource"]) > 0 {
		return invalid("parameter", "resource 参数只用于视图", "the parameter resource is for views only")
	}
	text, err := sqlText(lib)
	if err != nil {
		return unprocessable("查询有误", err)
	}
	values, err := s.bind(lib, p)
	if err != nil {
		return err
	}
	st, err := parseSQL(text, values)
	if err != nil {
		return unprocessable("查询有误", err)
	}
	tables, err := s.tables(lib)
	if err != nil {
		return err
	}
	bound := map[string]string{}
	for name := range st.used {
		bound[name] = values[name].text
	}
	if limit == 0 || limit > s.cfg.MaxRows {
		limit = s.cfg.MaxRows
	}
	name := clickhouseFormats[f.name]
	if f.name == "csv" && f.header {
		name = "CSVWithNames"
	}
	query := st.limited(st.with(tables), limit)
	if f.name == "csv" || f.name == "ndjson" || f.name == "parquet" {
		return s.parts.SQL.Query(ctx, query, bound, name, w)
	}
	var rows bytes.Buffer
	if err := s.parts.SQL.Query(ctx, query, bound, name, &capped{&rows, s.cfg.MaxBytes}); err != nil {
		return err
	}
	return fromLines(rows.Bytes(), f.name, w)
}

// fromLines turns NDJSON into a JSON array or a Parameters.
func fromLines(lines []byte, format string, w io.Writer) error {
	out := []byte("[")
	if format == "fhir" {
		out = []byte(`{"resourceType":"Parameters","parameter":[`)
	}
	first := true
	err := views.Resources(bytes.NewReader(lines), func(n fhir.Node) error {
		if !first {
			out = append(out, ",\n"...)
		}
		first = false
		if format == "fhir" {
			out = appendRow(out, n)
		} else {
			out = append(out, n.Raw()...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if out = append(out, ']'); format == "fhir" {
		out = append(out, '}')
	}
	_, err = w.Write(out)
	return err
}

func appendRow(dst []byte, row fhir.Node) []byte {
	dst = append(dst, `{"name":"row","part":[`...)
	first := true
	for m := range row.Children() {
		key := map[fhir.Kind]string{fhir.String: "valueString", fhir.Number: "valueDecimal", fhir.Bool: "valueBoolean"}[m.Kind()]
		if key == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, fmt.Sprintf(`{"name":%q,%q:`, m.Key(), key)...)
		dst = append(append(dst, m.Raw()...), '}')
	}
	return append(dst, "]}"...)
}

// sqlText returns the SQL of a Library: the variant for ClickHouse if there is
// one, else the one without a dialect.
func sqlText(lib fhir.Node) (string, error) {
	var best fhir.Node
	for c := range lib.Get("content").Each() {
		media := strings.ToLower(c.Get("contentType").Str())
		if !strings.HasPrefix(media, "application/sql") {
			continue
		}
		if strings.Contains(media, "clickhouse") || !best.Exists() && !strings.Contains(media, "dialect") {
			best = c
		}
	}
	if !best.Exists() {
		return "", fault.New(fault.Invalid, "the Library has no content of type application/sql")
	}
	if data := best.Get("data").Str(); data != "" {
		sql, err := base64.StdEncoding.DecodeString(data)
		return string(sql), err
	}
	for x := range best.Get("extension").Each() {
		if strings.HasSuffix(x.Get("url").Str(), "sql-text") {
			return x.Get("valueString").Str(), nil
		}
	}
	return "", fault.New(fault.Invalid, "the SQL of the Library is empty")
}

// value is a bound parameter: its ClickHouse type and text.
type value struct{ typ, text string }

// bind gives the declared parameters their values. SQL never sees them as text.
func (s *Service) bind(lib fhir.Node, p *params) (map[string]value, error) {
	given := map[string]string{}
	for _, n := range p.nodes["parameters"] {
		list := n.Get("parameter")
		if !list.Exists() {
			list = n.Get("part")
		}
		inner := &params{text: map[string][]string{}, nodes: map[string][]fhir.Node{}}
		for v := range list.Each() {
			inner.add(v)
			given[v.Get("name").Str()] = inner.first(canonicalName(v.Get("name").Str()))
		}
	}
	out := map[string]value{}
	for d := range lib.Get("parameter").Each() {
		name := d.Get("name").Str()
		text, ok := given[name]
		if !ok {
			return nil, invalid("parameter", "缺少查询参数 "+name, "the query parameter "+name+" is missing")
		}
		v, err := bindValue(d.Get("type").Str(), text)
		if err != nil {
			return nil, invalid("parameter", "查询参数 "+name+" 的值不对", "the query parameter "+name+" has a wrong value")
		}
		out[name] = v
		delete(given, name)
	}
	for name := range given {
		return nil, invalid("parameter", "查询没有参数 "+clip(name), "the query has no parameter "+clip(name))
	}
	return out, nil
}

func bindValue(fhirType, text string) (value, error) {
	switch fhirType {
	case "integer", "positiveInt", "unsignedInt":
		return value{"Int64", text}, nil
	case "decimal":
		return value{"Float64", text}, nil
	case "boolean":
		return value{"Bool", text}, nil
	case "date":
		return value{"Date32", text}, nil
	case "dateTime", "instant":
		v, ok := fhirpath.ParseDateTime(text)
		t, isTime := v.Time(time.UTC)
		if !ok || !isTime {
			return value{}, errors.New("no date")
		}
		return value{"DateTime64(3, 'UTC')", t.UTC().Format("2006-01-02 15:04:05.000")}, nil
	}
	return value{"String", text}, nil
}

// tableExtension names the table of a view that is not called like it.
const tableExtension = "https://qihuang.health/fhir/StructureDefinition/view-table"

// tables returns a common table expression for each view that a Library depends
// on, by its label.
func (s *Service) tables(lib fhir.Node) ([]string, error) {
	var out []string
	for a := range lib.Get("relatedArtifact").Each() {
		if a.Get("type").Str() != "depends-on" {
			continue
		}
		label, ref := a.Get("label").Str(), a.Get("resource").Str()
		v, err := s.View(ref)
		if err != nil {
			return nil, unprocessable("查询依赖的视图不存在", err)
		}
		if !isWord(label) {
			return nil, unprocessable("查询有误", fault.New(fault.Invalid, "relatedArtifact.label %q is no table name", clip(label)))
		}
		var cols []string
		for _, c := range v.Columns() {
			cols = append(cols, "`"+c.Name+"`")
		}
		out = append(out, fmt.Sprintf("`%s` AS (SELECT %s FROM qihuang.`%s` FINAL)", label, strings.Join(cols, ", "), s.tableOf(v)))
	}
	return out, nil
}

func (s *Service) tableOf(v *views.View) string {
	if t := s.tableNames[v]; t != "" {
		return t
	}
	return v.Name
}
