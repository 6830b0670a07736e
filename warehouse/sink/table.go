package sink

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// table is one ClickHouse table of rows.
type table struct {
	database, name string
	columns        []column
	many           bool // a resource may have several rows
}

type column struct{ name, typ, comment string }

// sql declares the column.
func (c column) sql() string {
	codec := ""
	if c.name == "resource" {
		codec = " CODEC(ZSTD(3))" // JSON compresses tenfold
	}
	return fmt.Sprintf("`%s` %s COMMENT %s%s", c.name, c.typ, quote(c.comment), codec)
}

// feed is a view that fills a table.
type feed struct {
	view  *views.View
	table *table
	cast  []func(*views.Cell) (any, error)
}

// key columns of every view table; they come last, so that SELECT * begins with
// the facts.
var keys = []column{{"_resource", "String", "资源：类型/id"}, {"_line", "UInt32", "资源内的行号"}, {"_version", "UInt64", "资源版本"}, {"_deleted", "UInt8", "1 = 该行已删除"}}

// tableExtension names the table a view fills when it is not the view's own name.
const tableExtension = "https://qihuang.health/fhir/StructureDefinition/view-table"

// landing is the table of every version of every resource.
func landing(database string) *table {
	return &table{database: database, name: "resource", columns: []column{{"type", "LowCardinality(String)", "资源类型"}, {"id", "String", "资源 id"}, {"version", "UInt64", "版本"},
		{"is_deleted", "UInt8", "1 = 这一版是删除"}, {"last_updated", "DateTime64(3, 'UTC')", "meta.lastUpdated"}, {"seq", "UInt64", "在全部变更中的序号"}, {"resource", "String", "资源 JSON 原文"}}}
}

// register adds a view and the table it fills.
func (s *Sink) register(v *views.View, definition []byte) error {
	tree, err := fhir.Parse(definition)
	if err != nil {
		return err
	}
	name := v.Name
	for x := range tree.Root().Get("extension").Children() {
		if x.Get("url").Str() == tableExtension {
			name = x.Get("valueString").Str()
		}
	}
	if !identifier(name) || !identifier(v.Name) {
		return fault.New(fault.Invalid, "view %q: %q is no table name", v.Name, name)
	}
	var cols []column
	f := &feed{view: v}
	for _, c := range v.Columns() {
		if !identifier(c.Name) {
			return fault.New(fault.Invalid, "view %s: %q is no column name", v.Name, c.Name)
		}
		typ := c.ClickHouse()
		cols = append(cols, column{c.Name, typ, c.Description})
		cast, err := caster(typ, s.cfg.Zone)
		if err != nil {
			return fmt.Errorf("view %s, column %s: %w", v.Name, c.Name, err)
		}
		f.cast = append(f.cast, cast)
	}
	i := slices.IndexFunc(s.tables, func(t *table) bool { return t.name == name })
	if i < 0 {
		s.tables = append(s.tables, &table{database: s.cfg.Database, name: name, columns: cols})
		i = len(s.tables) - 1
	}
	f.table = s.tables[i]
	if !slices.EqualFunc(f.table.columns, cols, func(a, b column) bool { return a.name == b.name && a.typ == b.typ }) {
		return fault.New(fault.Invalid, "views of table %s have different columns", name)
	}
	f.table.many = f.table.many || tree.Root().Get("select").Len() > 1
	s.byType[v.Resource] = append(s.byType[v.Resource], f)
	s.views[v.Name] = v
	return nil
}

// identifier accepts names that need no quoting in SQL.
func identifier(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

func (t *table) path() string { return "`" + t.database + "`.`" + t.name + "`" }

// create returns the DDL of a view table.
func (t *table) create() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s (", t.path())
	for i, c := range slices.Concat(t.columns, keys) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.sql())
	}
	if t.name == requests {
		b.WriteString(", INDEX by_id id TYPE bloom_filter GRANULARITY 1") // the rollup looks requests up by prescription
	}
	b.WriteString(") ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY (_resource, _line)")
	return b.String()
}

func (t *table) insert() string {
	var names []string
	for _, c := range t.columns {
		names = append(names, "`"+c.name+"`")
	}
	if t.name != "resource" {
		for _, c := range keys {
			names = append(names, "`"+c.name+"`")
		}
	}
	return "INSERT INTO " + t.path() + " (" + strings.Join(names, ", ") + ")"
}

// prepare makes database and tables, and adds columns that a newer view has.
//
// A table whose column has another type is rebuilt before anything is written.
func (s *Sink) prepare(ctx context.Context) error {
	changed, stale, err := s.drift(ctx)
	if err != nil {
		return err
	}
	for _, name := range stale {
		if !slices.Contains(s.stale, name) {
			s.stale = append(s.stale, name)
		}
	}
	ddl := []string{"CREATE DATABASE IF NOT EXISTS `" + s.cfg.Database + "`", landingDDL(s.landing), positionDDL(s.cfg.Database), rollupDDL(s.cfg.Database)}
	for _, t := range s.tables {
		ddl = append(ddl, t.create())
		if slices.Contains(changed, t.name) {
			continue
		}
		for i, c := range t.columns {
			at := "FIRST"
			if i > 0 {
				at = "AFTER `" + t.columns[i-1].name + "`"
			}
			ddl = append(ddl, fmt.Sprintf("ALTER TABLE %s ADD COLUMN IF NOT EXISTS %s %s", t.path(), c.sql(), at))
		}
	}
	for _, q := range ddl {
		if err := s.conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("%.60s: %w", q, err)
		}
	}
	if err := s.conn.QueryRow(ctx, "SELECT max(seq) FROM "+s.landing.path()).Scan(&s.high); err != nil {
		return err
	}
	s.note(func(st *Stats) { st.High = s.high })
	for _, name := range changed {
		s.log.Info("a view's column has another type: rebuilding its table", "table", name)
		if err := s.Rebuild(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func landingDDL(t *table) string {
	var cols []string
	for _, c := range t.columns {
		cols = append(cols, c.sql())
	}
	return "CREATE TABLE IF NOT EXISTS " + t.path() + " (" + strings.Join(cols, ", ") + ") ENGINE = ReplacingMergeTree ORDER BY (type, id, version)"
}

func positionDDL(database string) string {
	return "CREATE TABLE IF NOT EXISTS `" + database + "`.`_position` (partition UInt32, next UInt64, at DateTime64(6, 'UTC')) ENGINE = ReplacingMergeTree(at) ORDER BY partition"
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
