package mapping

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/fhir"
)

// Rows keeps the rows of a source's tables until what belongs together is
// there: a prescription's lines may come before the prescription, both before
// the visit. It is a view of the inbound log: replaying a source fills it again.
type Rows interface {
	// Put keeps rows durably, each in place of an older one with its key.
	Put(source string, rows []StagedRow) error
	// Find returns the rows of a table whose column has a value, in no order.
	Find(source, table, column, value string) ([]StagedRow, error)
}

// StagedRow is a row with its key in its table, and the columns by which it is
// looked for.
type StagedRow struct {
	Table, Key string
	JSON       []byte            // {"COLUMN":"value",…}
	Index      map[string]string // column → value
}

// join says how the rows of a table hang on a row of another.
type join struct {
	table  string
	key    []string    // columns that name a row
	on     [][2]string // this table's column, the other table's
	group  []string    // main table: rows equal in these columns are one message
	below  []*join
	parent *join // nil for the main table
}

// maxJoined bounds the rows that may hang on one.
const maxJoined = 20_000

// joins reads key, join and group of a map of rows.
func (r *compiling) joins(key, below, group *yaml.Node) {
	if key == nil && below == nil && group == nil {
		return
	}
	if r.m.Format != FormatRow || len(r.m.names) != 1 || key == nil {
		r.fail(cmp.Or(below, group, key), "join 与 group 需要 format: row、一个表名和 key", "key: [主键列]")
		return
	}
	r.m.joined = &join{table: r.m.names[0], key: values(key), group: values(group)}
	r.join(below, r.m.joined)
}

// join reads the join of a map of rows:
//
//	key: [JZXH]
//	join:
//	  MS_CF01: {on: {JZXH: JZXH}, key: [CFSB], join: {MS_CF02: {on: {CFSB: CFSB}, key: [SBXH]}}}
func (r *compiling) join(n *yaml.Node, j *join) {
	for k, v := range pairs(n) {
		child := &join{table: k.Value, parent: j}
		for key, x := range pairs(v) {
			switch key.Value {
			case "on":
				for a, b := range pairs(x) {
					child.on = append(child.on, [2]string{a.Value, b.Value})
				}
			case "key":
				child.key = values(x)
			case "join":
				r.join(x, child)
			default:
				r.fail(key, "join 中不认识的键 %s", "可用：on key join", key.Value)
			}
		}
		if len(child.on) == 0 || len(child.key) == 0 {
			r.fail(k, "join 的表 %s 缺少 on 或 key", "on: {本表列: 上级表列}，key: [主键列]", k.Value)
		}
		j.below = append(j.below, child)
	}
}

func values(n *yaml.Node) (out []string) {
	for _, x := range list(n) {
		out = append(out, x.Value)
	}
	return out
}

// find returns the join of a table in the tree, nil if it has no part.
func (j *join) find(table string) *join {
	if j.table == table {
		return j
	}
	for _, c := range j.below {
		if f := c.find(table); f != nil {
			return f
		}
	}
	return nil
}

// staged makes the row to keep, with the columns that joins ask for.
func (j *join) staged(row fhir.Node) StagedRow {
	s := StagedRow{Table: j.table, JSON: row.Raw(), Index: map[string]string{}}
	var key []string
	for _, c := range j.key {
		key = append(key, row.Get(c).Str())
		s.Index[c] = row.Get(c).Str()
	}
	s.Key = strings.Join(key, "\x01")
	for _, on := range j.on {
		s.Index[on[0]] = row.Get(on[0]).Str()
	}
	for _, c := range j.group {
		s.Index[c] = row.Get(c).Str()
	}
	for _, c := range j.below {
		for _, on := range c.on {
			s.Index[on[1]] = row.Get(on[1]).Str()
		}
	}
	return s
}

// mains returns the keys of the main rows that a row has a part in, climbing
// from table to table.
func (j *join) mains(rows Rows, source string, row StagedRow, into map[string]StagedRow) error {
	if j.parent == nil {
		into[j.name(row)] = row
		return nil
	}
	above, err := rows.Find(source, j.parent.table, j.on[0][1], row.Index[j.on[0][0]])
	if err != nil {
		return err
	}
	for _, p := range above {
		if len(into) >= maxJoined {
			return nil
		}
		if !j.fits(row.Index, p.Index) {
			continue
		}
		if err := j.parent.mains(rows, source, p, into); err != nil {
			return err
		}
	}
	return nil
}

// name is what a main row counts under: its key, or its group.
func (j *join) name(row StagedRow) string {
	if len(j.group) == 0 {
		return row.Key
	}
	var parts []string
	for _, c := range j.group {
		parts = append(parts, row.Index[c])
	}
	return strings.Join(parts, "\x01")
}

// members appends the rows of a main row's group: {…,"rows":[…]}.
func (j *join) members(dst []byte, rows Rows, source string, row StagedRow) ([]byte, error) {
	found, err := rows.Find(source, j.table, j.group[0], row.Index[j.group[0]])
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b StagedRow) int { return natural(a.Key, b.Key) })
	dst = append(dst, `,"rows":[`...)
	n := 0
	for _, r := range found {
		if j.name(r) != j.name(row) || n == maxJoined {
			continue
		}
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, r.JSON...)
	}
	return append(dst, ']'), nil
}

// fits reports whether every pair of columns agrees.
func (j *join) fits(child, parent map[string]string) bool {
	for _, on := range j.on {
		if child[on[0]] != parent[on[1]] || child[on[0]] == "" {
			return false
		}
	}
	return true
}

// assemble appends a row with what hangs on it: {…,"MS_CF01":[{…,"MS_CF02":[…]}]}.
func (j *join) assemble(dst []byte, rows Rows, source string, row StagedRow) ([]byte, error) {
	dst = append(dst, row.JSON[:len(row.JSON)-1]...)
	if len(j.group) > 0 {
		var err error
		if dst, err = j.members(dst, rows, source, row); err != nil {
			return nil, err
		}
	}
	for _, c := range j.below {
		found, err := rows.Find(source, c.table, c.on[0][0], row.Index[c.on[0][1]])
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(r StagedRow) bool { return !c.fits(r.Index, row.Index) })
		slices.SortFunc(found, func(a, b StagedRow) int { return natural(a.Key, b.Key) })
		if len(found) > maxJoined {
			found = found[:maxJoined]
		}
		dst = append(append(append(dst, `,"`...), c.table...), `":[`...)
		for i, r := range found {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = c.assemble(dst, rows, source, r); err != nil {
				return nil, err
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, '}'), nil
}

// natural orders numbers by value, all else as text.
func natural(a, b string) int {
	x, err1 := strconv.ParseInt(a, 10, 64)
	y, err2 := strconv.ParseInt(b, 10, 64)
	if err1 == nil && err2 == nil {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}

// Joined returns the maps in which rows of a table are joined to others.
func (b *Book) Joined(table string) []*Map {
	var out []*Map
	for _, m := range b.shelf.Load().order {
		if m.joined != nil && m.joined.find(table) != nil {
			out = append(out, m)
		}
	}
	return out
}

// Join keeps rows of one table and returns, for every main row they have a part
// in, the source that the map takes: the main row with all that hangs on it so
// far.
func (m *Map) Join(_ context.Context, rows Rows, source string, list []*Source) ([]*Source, error) {
	staged := make([]StagedRow, len(list))
	for i, s := range list {
		staged[i] = m.joined.find(s.Name).staged(s.Root)
	}
	if err := rows.Put(source, staged); err != nil {
		return nil, err
	}
	mains := map[string]StagedRow{}
	for i, s := range list {
		if err := m.joined.find(s.Name).mains(rows, source, staged[i], mains); err != nil {
			return nil, err
		}
	}
	keys := make([]string, 0, len(mains))
	for k := range mains {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, natural)
	out := make([]*Source, 0, len(keys))
	for _, k := range keys {
		text, err := m.joined.assemble(nil, rows, source, mains[k])
		if err != nil {
			return nil, err
		}
		tree, err := fhir.Parse(text)
		if err != nil {
			return nil, err
		}
		out = append(out, &Source{Format: FormatRow, Name: m.joined.table, Root: tree.Root()})
	}
	return out, nil
}
