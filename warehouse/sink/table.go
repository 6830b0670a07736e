package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// table is one ClickHouse table of rows.
type table struct {
	database, name string
	layout         Layout
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

// landingTable has every version of every resource.
const landingTable = "resource"

// landing is the table of every version of every resource.
func landing(database string, l Layout) *table {
	return &table{database: database, name: landingTable, layout: l, columns: []column{{"type", "LowCardinality(String)", "资源类型"}, {"id", "String", "资源 id"}, {"version", "UInt64", "版本"},
		{"is_deleted", "UInt8", "1 = 这一版是删除"}, {"last_updated", "DateTime64(3, 'UTC')", "meta.lastUpdated"}, {"seq", "UInt64", "在全部变更中的序号"}, {"resource", "String", "资源 JSON 原文"}}}
}

// shape is what the tables are: immutable, replaced whole when views change.
type shape struct {
	tables []*table           // of views, in order of registration
	byType map[string][]*feed // resource type → views that read it, those of one table together
	views  map[string]*views.View
}

func empty() *shape {
	return &shape{byType: map[string][]*feed{}, views: map[string]*views.View{}}
}

// personal are paths that lead to what identifies a person.
var personal = regexp.MustCompile(`(?i)name|telecom|address|identifier|birth|photo|contact|text`)

// with is the shape with a view and the table it fills added. What a stored
// view takes from people is marked as identifying, which its author may forget.
func (sh *shape) with(v *views.View, definition []byte, cfg *Config, stored bool) (*shape, error) {
	tree, err := fhir.Parse(definition)
	if err != nil {
		return nil, err
	}
	name := v.Name
	for x := range tree.Root().Get("extension").Children() {
		if x.Get("url").Str() == tableExtension {
			name = x.Get("valueString").Str()
		}
	}
	if !identifier(name) || !identifier(v.Name) {
		return nil, fault.New(fault.Invalid, "view %q: %q is no table name", v.Name, name)
	}
	if sh.views[v.Name] != nil {
		return nil, fault.New(fault.Conflict, "there is a view %s already", v.Name)
	}
	f := &feed{view: v}
	t, err := f.columns(name, cfg)
	if err != nil {
		return nil, err
	}
	t.many = tree.Root().Get("select").Len() > 1
	for i, c := range v.Columns() {
		if stored && slices.Contains([]string{"Patient", "Person", "RelatedPerson"}, v.Resource) && personal.MatchString(c.Path) {
			t.columns[i].comment += "（敏感）"
		}
	}
	out := &shape{tables: slices.Clone(sh.tables), byType: maps.Clone(sh.byType), views: maps.Clone(sh.views)}
	i := slices.IndexFunc(out.tables, func(t *table) bool { return t.name == name })
	if i < 0 {
		out.tables = append(out.tables, t)
		i = len(out.tables) - 1
	}
	f.table = out.tables[i]
	if !slices.EqualFunc(f.table.columns, t.columns, func(a, b column) bool { return a.name == b.name && a.typ == b.typ }) {
		return nil, fault.New(fault.Invalid, "views of table %s have different columns", name)
	}
	out.byType[v.Resource] = append(slices.Clone(out.byType[v.Resource]), f)
	out.views[v.Name] = v
	return out, nil
}

// without is the shape without a view's table and what fills it.
func (sh *shape) without(name string) *shape {
	out := &shape{byType: map[string][]*feed{}, views: maps.Clone(sh.views)}
	for _, t := range sh.tables {
		if t.name != name {
			out.tables = append(out.tables, t)
		}
	}
	for typ, feeds := range sh.byType {
		for _, f := range feeds {
			if f.table.name != name {
				out.byType[typ] = append(out.byType[typ], f)
				continue
			}
			delete(out.views, f.view.Name)
		}
	}
	return out
}

func (sh *shape) table(name string) *table {
	for _, t := range sh.tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// columns makes the table's columns and the functions that fill them.
func (f *feed) columns(name string, cfg *Config) (*table, error) {
	t := &table{database: cfg.Database, name: name, layout: cfg.Layout}
	for _, c := range f.view.Columns() {
		if !identifier(c.Name) || strings.HasPrefix(c.Name, "_") {
			return nil, fault.New(fault.Invalid, "view %s: %q is no column name", f.view.Name, c.Name)
		}
		typ := c.ClickHouse()
		t.columns = append(t.columns, column{c.Name, typ, c.Description})
		cast, err := caster(typ, cfg.Zone)
		if err != nil {
			return nil, fmt.Errorf("view %s, column %s: %w", f.view.Name, c.Name, err)
		}
		f.cast = append(f.cast, cast)
	}
	return t, nil
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
func (t *table) create() []string {
	var b strings.Builder
	b.WriteString("(")
	for i, c := range slices.Concat(t.columns, keys) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.sql())
	}
	for _, c := range t.lookups() {
		b.WriteString(", INDEX " + index(c))
	}
	b.WriteString(")")
	return t.layout.create(t.database, t.name, b.String(), "_version, _deleted", "(_resource, _line)", "_resource")
}

// lookups are the columns by which single rows are looked for: those of a visit,
// and of a prescription, which the rollup too looks up. The sort key knows the
// resource only.
func (t *table) lookups() (list []string) {
	for _, c := range t.columns {
		if c.name == "encounter_id" || c.name == "prescription_id" || c.name == "id" && strings.TrimPrefix(t.name, freshPrefix) == requests {
			list = append(list, c.name)
		}
	}
	return list
}

// index declares the index of a column: a Bloom filter for every granule, some
// two bytes a row.
func index(column string) string {
	return "by_" + column + " `" + column + "` TYPE bloom_filter GRANULARITY 1"
}

// indexed adds the indices that tables of an older build lack, and has the
// engine fill them in its own time.
func (s *Sink) indexed(ctx context.Context, tables []*table) error {
	rows, err := s.conn.Query(ctx, "SELECT table, name FROM system.data_skipping_indices WHERE database = ?", s.cfg.Database)
	if err != nil {
		return err
	}
	have := map[[2]string]bool{}
	for rows.Next() {
		var name [2]string
		if err := rows.Scan(&name[0], &name[1]); err != nil {
			return errors.Join(err, rows.Close())
		}
		have[name] = true
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, t := range tables {
		for _, c := range t.lookups() {
			if have[[2]string{s.cfg.Layout.stored(t.name), "by_" + c}] {
				continue
			}
			if err := s.exec(ctx, s.cfg.Layout.index(t.database, t.name, c)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *table) insert() string {
	var names []string
	for _, c := range t.columns {
		names = append(names, "`"+c.name+"`")
	}
	if t.name != landingTable {
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
	l := s.cfg.Layout
	ddl := slices.Concat([]string{"CREATE DATABASE IF NOT EXISTS `" + s.cfg.Database + "`" + l.on()}, landingDDL(s.landing), s.ownDDL())
	for _, t := range s.shape.Load().tables {
		ddl = append(ddl, t.create()...)
		if slices.Contains(changed, t.name) {
			continue
		}
		for i, c := range t.columns {
			at := "FIRST"
			if i > 0 {
				at = "AFTER `" + t.columns[i-1].name + "`"
			}
			if slices.Contains(stale, t.name) {
				ddl = append(ddl, l.alter(t.database, t.name, c.sql(), at)...)
			}
		}
	}
	if err := s.exec(ctx, ddl...); err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(s.shape.Load().tables), func(t *table) bool { return slices.Contains(changed, t.name) })
	if err := s.indexed(ctx, kept); err != nil {
		return err
	}
	if err := s.conn.QueryRow(ctx, "SELECT max(seq) FROM "+s.landing.path()).Scan(&s.high); err != nil {
		return err
	}
	s.note(func(st *Stats) { st.High = s.high })
	if err := s.look(ctx); err != nil { // stored views, before anything is written
		return err
	}
	for _, name := range changed {
		s.log.Info("a view's column has another type: rebuilding its table", "table", name)
		if err := s.Rebuild(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// exec runs statements one after the other.
func (s *Sink) exec(ctx context.Context, statements ...string) error {
	for _, q := range statements {
		if err := s.conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("%.60s: %w", q, err)
		}
	}
	return nil
}

func landingDDL(t *table) []string {
	var cols []string
	for _, c := range t.columns {
		cols = append(cols, c.sql())
	}
	return t.layout.create(t.database, t.name, "("+strings.Join(cols, ", ")+")", "", "(type, id, version)", "id")
}

// ownDDL declares the tables that no view fills: the ranges of the topic that
// were written, the rows that were refused, the roll-up of prescriptions.
func (s *Sink) ownDDL() []string {
	l, db := s.cfg.Layout, s.cfg.Database
	return slices.Concat(
		l.create(db, "_range", "(partition UInt32, first UInt64, next UInt64, done UInt8, at DateTime64(6, 'UTC'))", "at", "partition", "partition"),
		l.create(db, dlq, "(type String COMMENT '资源类型', id String COMMENT '资源 id', version UInt64 COMMENT '版本', view String COMMENT '拒绝它的视图；空 = 不是变更记录', "+
			"partition UInt32 COMMENT 'changes 主题的分区', offset UInt64 COMMENT '其中的位置', reason String COMMENT '原因，不含数据', at DateTime64(3, 'UTC') COMMENT '时间')",
			"at", "(type, id, version, view, partition, offset)", "id"),
		rollupDDL(l, db))
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
