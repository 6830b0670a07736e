package gateway

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/warehouse/engine"
)

// sensitive is the word in a column's comment that marks it as identifying a
// person; the views' descriptions carry it into the tables.
const sensitive = "敏感"

// whole are the tables that hold resources as they are: for those who may see
// identities of everybody.
var whole = []string{"resource"}

// rules are what the tables of the warehouse are, for checking queries.
type rules struct {
	database string
	columns  map[string]map[string]bool // table → column → sensitive
	public   []string
}

// systemTables describe the schema to tools (DBeaver, JDBC, Superset); others
// of the database system show queries and data of other users.
var systemTables = []string{"one", "numbers", "columns", "tables", "databases", "functions", "table_functions", "table_engines", "settings", "formats",
	"data_type_families", "time_zones", "keywords", "build_options", "contributors", "collations", "aggregate_function_combinators"}

// tableFunctions make rows out of nothing.
var tableFunctions = []string{"numbers", "numbers_mt", "zeros", "zeros_mt", "one", "generateSeries", "generate_series", "values", "format", "view"}

// check goes through a resolved query; an error says in the user's words why it
// may not run. A table that is read twice counts twice.
func (r *rules) check(u *User, tree string, most int) error {
	tables := 0
	sources := map[string]string{} // id → table
	var columns [][2]string        // source id, column
	for line := range strings.Lines(tree) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " id: ")
		id, _, _ := strings.Cut(rest, ",")
		switch kind {
		case "TABLE":
			if tables++; tables > most {
				return &engine.Exception{Code: codeTables, Message: fmt.Sprintf("Too many tables in a query. Maximum: %d. (TOO_MANY_TABLES)", most)}
			}
			name, _, _ := strings.Cut(after(rest, "table_name: "), ",")
			name = strings.TrimSpace(name)
			if have, ok := sources[id]; ok && have != name {
				return denied("the query cannot be checked")
			}
			sources[id] = name
			if err := r.table(u, name); err != nil {
				return err
			}
		case "TABLE_FUNCTION":
			name, _, _ := strings.Cut(after(rest, "table_function_name: "), ",")
			if !slices.Contains(tableFunctions, strings.TrimSpace(name)) {
				return denied("table function " + name)
			}
		case "COLUMN":
			column, _, _ := strings.Cut(after(rest, "column_name: "), ", result_type:")
			source, _, _ := strings.Cut(after(rest, "source_id: "), ",")
			columns = append(columns, [2]string{strings.TrimSpace(source), column})
		}
	}
	for _, c := range columns {
		if err := r.column(u, sources[c[0]], c[1]); err != nil {
			return err
		}
	}
	return nil
}

// after returns what follows the last mark: names before it are the user's.
func after(s, mark string) string {
	if i := strings.LastIndex(s, mark); i >= 0 {
		return s[i+len(mark):]
	}
	return ""
}

func (r *rules) table(u *User, name string) error {
	database, table, _ := strings.Cut(name, ".")
	switch {
	case database == "system" && slices.Contains(systemTables, table):
		return nil
	case database != r.database || r.columns[table] == nil || strings.HasPrefix(table, "_"):
		return denied("table " + name)
	case slices.Contains(whole, table) && (!u.Identity || len(u.Orgs) > 0):
		return denied("table " + name)
	case len(u.Orgs) > 0 && r.filter(u, table) == "" && !slices.Contains(r.public, table):
		return denied("table " + name + ", which has no hall")
	}
	return nil
}

func (r *rules) column(u *User, table, column string) error {
	t, ok := strings.CutPrefix(table, r.database+".")
	if !ok || u.Identity {
		return nil
	}
	name, _, _ := strings.Cut(column, ".") // subcolumns of it too
	if r.columns[t][column] || r.columns[t][name] {
		return denied("column " + t + "." + column + ", which identifies people")
	}
	return nil
}

// filter returns the condition that keeps a table to the user's halls, "" if
// it has no way to a hall.
func (r *rules) filter(u *User, table string) string {
	quoted := make([]string, len(u.Orgs))
	for i, o := range u.Orgs {
		quoted[i] = "'" + o + "'" // validated: no quote in it
	}
	orgs := "org_code IN (" + strings.Join(quoted, ", ") + ")"
	has := func(column string) bool { _, ok := r.columns[table][column]; return ok }
	in := func(key, of string) string {
		return fmt.Sprintf("%s IN (SELECT id FROM %s.%s WHERE %s)", key, r.database, of, orgs)
	}
	switch {
	case has("org_code"):
		return orgs
	case has("encounter_id"):
		return in("encounter_id", "encounter")
	case has("prescription_id"):
		return in("prescription_id", "prescription")
	case has("patient_id"):
		return in("patient_id", "patient")
	}
	return ""
}

// filters returns the value of additional_table_filters for a user, "" for one
// who sees everything.
func (r *rules) filters(u *User) string {
	if len(u.Orgs) == 0 {
		return ""
	}
	var parts []string
	for table := range r.columns {
		if f := r.filter(u, table); f != "" {
			f = strings.ReplaceAll(strings.ReplaceAll(f, `\`, `\\`), `'`, `\'`)
			parts = append(parts, "'"+r.database+"."+table+"':'"+f+"'")
		}
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}
