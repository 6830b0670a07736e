package supervision

import (
	"cmp"
	"context"
	"html/template"
	"math"
	"slices"

	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// ranking is one indicator by the values of a dimension, the highest first.
type ranking struct {
	Measure       *measures.Measure
	Dimension     string // in words
	Rows          []rankRow
	Groups        int // all of them; Rows may be the first only
	Median        string
	Lower, Higher string // quartiles
}

type rankRow struct {
	Place              int
	Name, Text, Parts  string
	Link               template.URL
	Width, Percentile  int
	Few                bool
	Off                string // how it misses the threshold of its level, "" = it does not
	value, denominator float64
	plain              string
}

// rank computes the ranking; limit 0 lists all.
func (a *App) rank(ctx context.Context, s *scope, m *measures.Measure, dimension string, limit int) (ranking, error) {
	rows, err := a.Measures.Breakdown(ctx, a.SQL, s.measured(), m, dimension)
	if err != nil {
		return ranking{}, err
	}
	names, err := a.names(ctx, s, dimension, rows)
	if err != nil {
		return ranking{}, err
	}
	values, scores := defined(rows, 0), make([]measures.Score, len(rows))
	for i, x := range rows {
		scores[i] = x.Scores[0]
	}
	hidden := suppress(m, scores, a.cfg.SmallCell)
	r := ranking{Measure: m, Dimension: dimensionTitles[dimension], Groups: len(rows)}
	for i, x := range rows {
		score, key := x.Scores[0], x.Keys[0]
		row := rankRow{Name: names[key], Text: text(m, score), Parts: parts(m, score), Few: a.few(m, score), value: score.Value, denominator: score.Denominator,
			Percentile: percentile(values, score.Value), plain: number(m, score), Link: s.follow(m, dimension, key)}
		if !score.Defined {
			row.value = math.Inf(-1)
		}
		if s.Public && hidden[i] {
			row.Text, row.plain, row.Parts, row.value = suppressed, "", "", math.Inf(-1)
		}
		if dimension == "org" && score.Defined {
			row.Off = off(m.Threshold(s.places.level(key), s.end), score.Value)
		}
		r.Rows = append(r.Rows, row)
	}
	slices.SortStableFunc(r.Rows, func(x, y rankRow) int { return cmp.Compare(y.value, x.value) })
	if limit > 0 && len(r.Rows) > limit {
		r.Rows = r.Rows[:limit]
	}
	top := 0.0
	for _, x := range r.Rows {
		top = max(top, x.value)
	}
	for i := range r.Rows {
		r.Rows[i].Place = i + 1
		if top > 0 && r.Rows[i].value > 0 {
			r.Rows[i].Width = int(100 * r.Rows[i].value / top)
		}
	}
	show := func(q float64) string {
		return text(m, measures.Score{Value: quantile(values, q), Defined: len(values) > 0})
	}
	r.Median, r.Lower, r.Higher = show(0.5), show(0.25), show(0.75)
	return r, nil
}

// follow is where a row leads: one step deeper for places, else nowhere.
func (s *scope) follow(m *measures.Measure, dimension, key string) template.URL {
	page := "/supervision/indicator/" + m.Name
	switch {
	case key == "":
		return ""
	case dimension == "city" || dimension == "area" || dimension == "org":
		return s.Link(page, dimension, key, "by", "")
	case dimension == "doctor":
		return s.Link("/supervision/records", "measure", m.Name, "doctor", key)
	}
	return ""
}

func (r ranking) sheet() sheet {
	x := sheet{Public: r.Dimension != dimensionTitles["doctor"], Title: r.Measure.Title + " 按" + r.Dimension, Head: []string{"名次", r.Dimension, r.Measure.Title, "数值", "分子 / 分母", "百分位"}}
	for _, row := range r.Rows {
		x.Rows = append(x.Rows, []string{web.Count(row.Place), row.Name, row.Text, row.plain, row.Parts, web.Count(row.Percentile)})
	}
	return x
}

// names puts the keys of rows in words; doctors by what their visits name them.
func (a *App) names(ctx context.Context, s *scope, dimension string, rows []measures.Row) (map[string]string, error) {
	out := map[string]string{}
	for _, r := range rows {
		out[r.Keys[0]] = s.name(dimension, r.Keys[0])
	}
	if dimension != "doctor" || len(rows) == 0 {
		return out, nil
	}
	err := a.SQL.Query(ctx, `SELECT assumeNotNull(doctor_id), any(ifNull(doctor_name, '')) FROM qihuang.encounter FINAL
WHERE doctor_id IS NOT NULL AND start >= {from:DateTime64(3, 'UTC')} AND start < {to:DateTime64(3, 'UTC')} AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)}) GROUP BY doctor_id LIMIT 50000`,
		s.params(), func(scan func(...any) error) error {
			var id, name string
			if err := scan(&id, &name); err != nil {
				return err
			}
			if _, ok := out[id]; ok && name != "" {
				out[id] = name
			}
			return nil
		})
	return out, err
}
