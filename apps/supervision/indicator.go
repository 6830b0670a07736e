package supervision

import (
	"context"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// choice is one value of a chooser.
type choice struct {
	Key, Name string
	Current   bool
}

// comparison is an indicator beside itself at other times and places.
type comparison struct {
	Label, Text, Parts string
	Change             change // of now against this
}

// timeGrain picks days, weeks or months by the length of the period.
func timeGrain(days int) string {
	switch {
	case days <= 62:
		return "day"
	case days <= 400:
		return "week"
	}
	return "month"
}

// indicatorPage shows one indicator: compared, over time, ranked, defined.
func (a *App) indicatorPage(g *gin.Context) {
	m, err := a.Measures.Get(g.Param("measure"))
	if err != nil {
		a.fail(g, err)
		return
	}
	s, err := a.scope(g, "by")
	if err != nil {
		a.fail(g, err)
		return
	}
	by := g.Query("by")
	if by == "" {
		by, _ = s.deeper()
	}
	if dimensionTitles[by] == "" {
		a.fail(g, fault.New(fault.Invalid, "不能按 %q 排名，请从列表中选择", by))
		return
	}
	ctx := g.Request.Context()
	page := struct {
		web.Page
		*scope
		Measure  *measures.Measure
		Now      tile
		Compared []comparison
		Trend    chart
		Grain    string
		Ranking  ranking
		By       []choice
		Limits   []limit
	}{Limits: limits(m), Page: a.page(g, m.Title, "/supervision/indicators"), scope: s, Measure: m, Grain: dimensionTitles[timeGrain(s.Length)]}
	for _, d := range m.Dimensions {
		if title := dimensionTitles[d.Name]; title != "" && d.Name != "day" {
			page.By = append(page.By, choice{d.Name, title, d.Name == by})
		}
	}
	if page.Now, page.Compared, err = a.compared(ctx, s, m); err == nil {
		page.Trend, err = a.series(ctx, s, timeGrain(s.Length), m.Name)
	}
	if err == nil {
		page.Ranking, err = a.rank(ctx, s, m, by, 0)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	trend := sheet{Title: m.Title + " 趋势", Head: []string{page.Grain, axis(m)}}
	for i, l := range page.Trend.Labels {
		trend.Rows = append(trend.Rows, []string{l, web.Decimal(page.Trend.Series[0].Values[i])})
	}
	compared := sheet{Title: m.Title + " 比较", Head: []string{"比较", "数值", "分子 / 分母", "本期与之相比"}, Rows: [][]string{{"本期", page.Now.Text, page.Now.Parts, ""}}}
	for _, c := range page.Compared {
		compared.Rows = append(compared.Rows, []string{c.Label, c.Text, c.Parts, c.Change.Text})
	}
	if a.export(g, s, m.Title, page.Ranking.sheet(), trend, compared) {
		return
	}
	a.render(g, "indicator", page)
}

// compared evaluates the indicator now, before, a year ago, and where a place is
// chosen in the whole province.
func (a *App) compared(ctx context.Context, s *scope, m *measures.Measure) (tile, []comparison, error) {
	evaluate := func(scope measures.Scope) (measures.Score, error) {
		scores, err := a.Measures.Evaluate(ctx, a.SQL, scope, m)
		if err != nil {
			return measures.Score{}, err
		}
		return scores[0], nil
	}
	now, err := evaluate(s.measured())
	if err != nil {
		return tile{}, nil, err
	}
	others := []struct {
		label string
		scope measures.Scope
	}{{"上期（前 " + web.Count(s.Length) + " 天）", s.previous()}, {"去年同期", s.lastYear()}}
	if s.orgs != nil {
		all := s.measured()
		all.Orgs = nil
		others = append(others, struct {
			label string
			scope measures.Scope
		}{"全省", all})
	}
	var out []comparison
	for _, o := range others {
		then, err := evaluate(o.scope)
		if err != nil {
			return tile{}, nil, err
		}
		out = append(out, comparison{o.label, text(m, then), parts(m, then), compare(m, now, then)})
	}
	return tile{Measure: m, Text: text(m, now), Parts: parts(m, now), Few: a.few(m, now)}, out, nil
}

// recordsPage lists the visits or prescriptions behind a number.
func (a *App) recordsPage(g *gin.Context) {
	m, err := a.Measures.Get(g.Query("measure"))
	if err != nil {
		a.fail(g, err)
		return
	}
	s, err := a.scope(g, "measure")
	if err != nil {
		a.fail(g, err)
		return
	}
	if err := a.Door.look(g, "records "+m.Name); err != nil {
		a.fail(g, err)
		return
	}
	list, err := a.Measures.Records(g.Request.Context(), a.SQL, s.measured(), m, maxRecords)
	if err != nil {
		a.fail(g, err)
		return
	}
	if s.Doctor != "" {
		list = slices.DeleteFunc(list, func(r measures.Record) bool { return r.Doctor != s.Doctor })
	}
	doctors, err := a.names(g.Request.Context(), s, "doctor", doctorsOf(list))
	if err != nil {
		a.fail(g, err)
		return
	}
	type record struct{ Day, Hall, Doctor, Encounter, ID string }
	var rows []record
	x := sheet{Title: m.Title + " 明细", Head: []string{"日期", "中医馆", "医生", "就诊"}}
	for _, r := range list {
		row := record{r.Day, s.name("org", r.Org), doctors[r.Doctor], r.Encounter, r.ID}
		rows = append(rows, row)
		x.Rows = append(x.Rows, []string{row.Day, row.Hall, row.Doctor, row.Encounter})
	}
	if a.export(g, s, m.Title+"明细", x) {
		return
	}
	a.render(g, "records", struct {
		web.Page
		*scope
		Measure *measures.Measure
		Records []record
		Limit   int
	}{a.page(g, m.Title+"明细", "/supervision/indicators"), s, m, rows, maxRecords})
}

// maxRecords is how many records one page lists.
const maxRecords = 1000

func doctorsOf(list []measures.Record) []measures.Row {
	var rows []measures.Row
	seen := map[string]bool{}
	for _, r := range list {
		if !seen[r.Doctor] {
			seen[r.Doctor] = true
			rows = append(rows, measures.Row{Keys: []string{r.Doctor}})
		}
	}
	return rows
}
