package supervision

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// Bounds of an ad-hoc table.
const (
	maxPivotDimensions = 2
	maxPivotMeasures   = 6
	maxPivotRows       = 2000 // shown; exports hold all
)

// pivot is an ad-hoc table: indicators by up to two dimensions.
type pivot struct {
	Dimensions []string
	Measures   []*measures.Measure
	Head       []string
	Rows       [][]string
	Total      int
	Chart      *chart
	Fresh      string // when the tables that it was computed from last changed
}

// pivotPage answers an ad-hoc question. It stands in the URL: sharing the address
// shares the table.
func (a *App) pivotPage(g *gin.Context) {
	s, err := a.scope(g, "m", "d")
	if err != nil {
		a.fail(g, err)
		return
	}
	p := pivot{Dimensions: slices.DeleteFunc(g.QueryArray("d"), func(d string) bool { return d == "" })}
	if p.Measures, err = a.named(g.QueryArray("m")); err == nil {
		err = p.check()
	}
	var waiting *wait
	if err == nil && len(p.Measures) > 0 && len(p.Dimensions) > 0 && g.Query(hold) == "" {
		p, waiting, err = a.compute(g, s, p)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	if waiting != nil {
		g.Header("Refresh", "2")
		g.Status(http.StatusAccepted)
		a.render(g, "waiting", waiting)
		return
	}
	s.Fresh = cmp.Or(p.Fresh, s.Fresh)
	if a.export(g, s, "自助分析", sheet{Title: "自助分析", Head: p.Head, Rows: p.Rows, Public: !slices.Contains(p.Dimensions, "doctor")}) {
		return
	}
	kept, err := a.savedList(g.Request.Context())
	if err != nil {
		a.fail(g, err)
		return
	}
	shown := p.Rows[:min(len(p.Rows), maxPivotRows)]
	var dims [maxPivotDimensions][]choice
	for i := range dims {
		for _, d := range sortedTitles() {
			dims[i] = append(dims[i], choice{d, dimensionTitles[d], i < len(p.Dimensions) && p.Dimensions[i] == d})
		}
	}
	a.render(g, "pivot", struct {
		web.Page
		*scope
		Pivot  pivot
		Shown  [][]string
		Dims   [maxPivotDimensions][]choice
		Chosen []choice
		Saved  []saved
		Query  string
	}{a.page(g, "自助分析", "/supervision/pivot"), s, p, shown, dims, a.chooser(g.QueryArray("m")...), kept, s.query().Encode()})
}

func (p *pivot) check() error {
	switch {
	case len(p.Dimensions) > maxPivotDimensions:
		return fault.New(fault.Invalid, "最多选 %d 个分组维度", maxPivotDimensions)
	case len(p.Measures) > maxPivotMeasures:
		return fault.New(fault.Invalid, "最多选 %d 个指标", maxPivotMeasures)
	}
	for _, d := range p.Dimensions {
		if dimensionTitles[d] == "" {
			return fault.New(fault.Invalid, "没有名为 %q 的维度，请从列表中选择", d)
		}
		for _, m := range p.Measures {
			if !slices.ContainsFunc(m.Dimensions, func(x measures.Dimension) bool { return x.Name == d }) {
				return fault.New(fault.Invalid, "指标“%s”不能按“%s”分组，请去掉其中一个", m.Title, dimensionTitles[d])
			}
		}
	}
	return nil
}

// fillPivot computes the table.
func (a *App) fillPivot(ctx context.Context, s *scope, p *pivot) error {
	p.Fresh = s.Fresh
	rows, err := a.Measures.Table(ctx, a.SQL, s.measured(), p.Dimensions, p.Measures...)
	if err != nil {
		return err
	}
	names := make([]map[string]string, len(p.Dimensions))
	for i, d := range p.Dimensions {
		p.Head = append(p.Head, dimensionTitles[d])
		keyed := make([]measures.Row, len(rows))
		for j, r := range rows {
			keyed[j] = measures.Row{Keys: r.Keys[i : i+1]}
		}
		if names[i], err = a.names(ctx, s, d, keyed); err != nil {
			return err
		}
	}
	for _, m := range p.Measures {
		p.Head = append(p.Head, m.Title)
	}
	c := chart{Kind: "bar"}
	for _, m := range p.Measures {
		c.Series = append(c.Series, series{Name: axis(m)})
	}
	hidden := make([][]bool, len(p.Measures))
	for i, m := range p.Measures {
		scores := make([]measures.Score, len(rows))
		for j, r := range rows {
			scores[j] = r.Scores[i]
		}
		hidden[i] = suppress(m, scores, a.cfg.SmallCell)
	}
	for j, r := range rows {
		var cells []string
		for i, k := range r.Keys {
			cells = append(cells, names[i][k])
		}
		if len(c.Labels) < 60 {
			c.Labels = append(c.Labels, strings.Join(cells, " · "))
		}
		for i, m := range p.Measures {
			if s.Public && hidden[i][j] {
				cells = append(cells, suppressed)
				c.Series[i].Values = append(c.Series[i].Values, 0)
				continue
			}
			cells = append(cells, text(m, r.Scores[i]))
			if len(c.Series[i].Values) < 60 {
				c.Series[i].Values = append(c.Series[i].Values, plotted(m, r.Scores[i]))
			}
		}
		p.Rows = append(p.Rows, cells)
	}
	p.Total, p.Chart = len(p.Rows), &c
	return nil
}

func sortedTitles() []string {
	order := []string{"city", "area", "org", "level", "doctor", "day", "week", "month", "quarter", "year", "weekday", "visit-type", "insurance", "gender", "age-band", "disease", "syndrome", "icd10", "category", "formula"}
	return order
}
