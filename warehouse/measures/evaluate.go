package measures

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Source is where a number is computed from.
type Source int

// The sources, from the freshest to the fastest. [Auto] takes Live where the
// scope is small enough.
const (
	Auto Source = iota
	Live        // the tables, FINAL
	Fact        // the marts of visits and prescriptions
	Cube        // the marts of days of halls; Fact where an indicator cannot be merged
)

// MaxGroups bounds the rows of a breakdown where its scope says nothing else;
// one with more is refused.
const MaxGroups = 100_000

// Evaluate computes several indicators for one scope, in one query a fact.
// Scores are parallel to list.
func (c *Catalogue) Evaluate(ctx context.Context, q Querier, scope Scope, list ...*Measure) ([]Score, error) {
	rows, err := c.Table(ctx, q, scope, nil, list...)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return make([]Score, len(list)), nil
	}
	return rows[0].Scores, nil
}

// Row is one group of a breakdown: the values of the dimensions and a score for
// each indicator.
type Row struct {
	Keys   []string
	Scores []Score
}

// Table computes indicators for each combination of the dimensions' values,
// ordered by them; without dimensions there is one row. A combination that one
// fact lacks has empty scores for that fact's indicators. fault.TooCostly where
// there are more than scope.Rows.
func (c *Catalogue) Table(ctx context.Context, q Querier, scope Scope, dims []string, list ...*Measure) ([]Row, error) {
	source, err := c.source(ctx, q, scope, dims)
	if err != nil {
		return nil, err
	}
	out := map[string]*Row{}
	for _, part := range c.parts(source, dims, list) {
		if err := c.part(ctx, q, scope, dims, list, part, out); err != nil {
			return nil, err
		}
	}
	if most := cmp.Or(scope.Rows, MaxGroups); len(out) > most {
		return nil, fault.New(fault.TooCostly, "结果超过 %d 行，请缩小时间或地区，或减少分组", most)
	}
	rows := make([]Row, 0, len(out))
	for _, r := range out {
		for i := range r.Scores {
			r.Scores[i] = score(list[i], r.Scores[i].Numerator, r.Scores[i].Denominator)
		}
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b Row) int { return slices.Compare(a.Keys, b.Keys) })
	return rows, nil
}

// part is what one query computes: indicators of a fact from a source.
type part struct {
	source Source
	fact   string
	at     []int // indices in the list
}

func (c *Catalogue) parts(source Source, dims []string, list []*Measure) (out []part) {
	cubable := !slices.ContainsFunc(dims, func(d string) bool { return !dimensions[d].cube })
	for _, fact := range []string{"visit", "prescription"} {
		by := map[Source][]int{}
		for i, m := range list {
			s := source
			if s == Cube && (!cubable || !c.cubes[fact].has(m)) {
				s = Fact
			}
			if m.Fact == fact {
				by[s] = append(by[s], i)
			}
		}
		for _, s := range []Source{Live, Fact, Cube} {
			if len(by[s]) > 0 {
				out = append(out, part{s, fact, by[s]})
			}
		}
	}
	return out
}

// part runs one query and adds its rows to out.
func (c *Catalogue) part(ctx context.Context, q Querier, scope Scope, dims []string, list []*Measure, p part, out map[string]*Row) error {
	sql, err := c.query(dims, list, p, cmp.Or(scope.Rows, MaxGroups))
	if err != nil {
		return err
	}
	err = q.Query(ctx, sql, scope.Params(), func(scan func(...any) error) error {
		keys, values := make([]string, len(dims)), make([]float64, 2*len(p.at))
		dest := make([]any, 0, len(keys)+len(values))
		for i := range keys {
			dest = append(dest, &keys[i])
		}
		for i := range values {
			dest = append(dest, &values[i])
		}
		if err := scan(dest...); err != nil {
			return err
		}
		id := strings.Join(keys, "\x00")
		if out[id] == nil {
			out[id] = &Row{Keys: keys, Scores: make([]Score, len(list))}
		}
		for j, i := range p.at {
			out[id].Scores[i] = Score{Numerator: values[2*j], Denominator: values[2*j+1]}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("evaluate indicators of %s: %w", p.fact, err)
	}
	return nil
}

// query writes the SELECT of a part.
func (c *Catalogue) query(dims []string, list []*Measure, p part, most int) (string, error) {
	keys, wide, halls := make([]string, 0, len(dims)), false, false
	for _, name := range dims {
		d, ok := dimensions[name]
		if !ok || d.only != "" && d.only != p.fact {
			return "", fault.New(fault.Invalid, "不能按 %q 分组，可用：%s", name, strings.Join(dimensionNames(p.fact), "、"))
		}
		keys = append(keys, "ifNull(toString("+d.sql+"), '') AS k"+fmt.Sprint(len(keys)))
		wide, halls = wide || d.wide, halls || d.hall
	}
	cols := keys
	for _, i := range p.at {
		n, d := list[i].Numerator, list[i].Denominator
		wide = wide || list[i].Wide
		if p.source == Cube {
			n, d = c.cubes[p.fact].merge(n), c.cubes[p.fact].merge(d)
		}
		cols = append(cols, column(n), column(d))
	}
	from := p.fact
	if halls {
		from += " LEFT JOIN (SELECT assumeNotNull(code) AS code, any(level) AS level, any(area) AS area, any(city) AS city FROM qihuang.hall FINAL WHERE code IS NOT NULL GROUP BY code) AS h ON h.code = org_code"
	}
	sql := c.from(p, wide) + "\nSELECT " + strings.Join(cols, ",\n  ") + "\nFROM " + from
	if len(keys) > 0 {
		groups := make([]string, len(keys))
		for i := range groups {
			groups[i] = fmt.Sprintf("k%d", i)
		}
		by := strings.Join(groups, ", ")
		sql += "\nGROUP BY " + by + " ORDER BY " + by + fmt.Sprintf(" LIMIT %d", most+1)
	}
	return sql, nil
}

// from is the WITH clause that names the source's rows like the fact.
func (c *Catalogue) from(p part, wide bool) string {
	if p.source == Live {
		return c.facts[p.fact].sql(live, wide, false)
	}
	return "WITH " + p.fact + " AS (SELECT * FROM " + martRows(p.fact, p.source) +
		" WHERE " + within + ")"
}

// source decides where the numbers of a scope come from.
func (c *Catalogue) source(ctx context.Context, q Querier, scope Scope, dims []string) (Source, error) {
	switch {
	case scope.Source != Auto:
		return scope.Source, nil
	case !midnight(scope.From) || !midnight(scope.To):
		return Live, nil // marts know whole days
	}
	n, all := uint64(0), uint64(0)
	err := q.Query(ctx, "SELECT toUInt64(countMergeIf(visits, "+within+")), toUInt64(countMerge(visits)) FROM "+martRows("visit", Cube),
		scope.Params(), func(scan func(...any) error) error { return scan(&n, &all) })
	if err != nil {
		return Live, nil // no marts yet; an engine that is away will say so again
	}
	if n <= c.limits.scope && all <= c.limits.all {
		return Live, nil
	}
	return Cube, nil
}

// within keeps the rows of marts to a scope.
const within = "day >= toDate({from_day:String}) AND day < toDate({to_day:String}) AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)})"

func midnight(t time.Time) bool {
	h, m, s := t.In(Shanghai()).Clock()
	return h == 0 && m == 0 && s == 0
}

// Breakdown computes one indicator per value of a dimension.
func (c *Catalogue) Breakdown(ctx context.Context, q Querier, scope Scope, m *Measure, dimension string) ([]Row, error) {
	return c.Table(ctx, q, scope, []string{dimension}, m)
}
