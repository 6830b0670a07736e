package supervision

import (
	"context"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// headline are the indicators of the first screen, and the one it ranks halls
// by: where supervisors look first.
var headline = []string{"outpatient-visits", "patients-seen", "decoction-prescription-share", "non-drug-therapy-visit-share", "cost-per-visit", "drug-cost-share", "syndrome-recorded-rate", "overdose-prescription-rate"}

const alarming = "overdose-prescription-rate"

// tile is one indicator of the cockpit.
type tile struct {
	Measure     *measures.Measure
	Text, Parts string
	Few         bool // rests on few cases
	Previous    change
}

func (a *App) tiles(ctx context.Context, s *scope, names []string) ([]tile, error) {
	list, err := a.named(names)
	if err != nil {
		return nil, err
	}
	var now, before []measures.Score
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) { now, err = a.Measures.Evaluate(ctx, a.SQL, s.measured(), list...); return err })
	both.Go(func() (err error) { before, err = a.Measures.Evaluate(ctx, a.SQL, s.previous(), list...); return err })
	if err := both.Wait(); err != nil {
		return nil, err
	}
	out := make([]tile, len(list))
	for i, m := range list {
		out[i] = tile{m, text(m, now[i]), parts(m, now[i]), a.few(m, now[i]), compare(m, now[i], before[i])}
	}
	return out, nil
}

// few says that a ratio rests on few cases.
func (a *App) few(m *measures.Measure, s measures.Score) bool {
	return m.Denominator != "" && s.Defined && s.Denominator < a.cfg.MinDenominator
}

func (a *App) named(names []string) ([]*measures.Measure, error) {
	list := make([]*measures.Measure, len(names))
	for i, n := range names {
		m, err := a.Measures.Get(n)
		if err != nil {
			return nil, err
		}
		list[i] = m
	}
	return list, nil
}

// cockpitPage is the first screen: headline numbers, days, what is prescribed,
// and the halls that dose highest.
func (a *App) cockpitPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	ctx := g.Request.Context()
	page := struct {
		web.Page
		*scope
		Tiles       []tile
		Days, Drugs chart
		Worst       ranking
		Map         tileMap

		Open, Serious, Late int // alerts
	}{Page: a.page(g, "业务监管", "/supervision"), scope: s}
	open := a.openAlerts(g)
	page.Open, page.Serious, page.Late = open.all, open.serious, open.late
	// each part is a query of its own: they run side by side
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() (err error) { page.Tiles, err = a.tiles(ctx, s, headline); return err })
	parts.Go(func() (err error) {
		page.Days, err = a.series(ctx, s, "day", "outpatient-visits", "tcm-visits")
		return err
	})
	parts.Go(func() (err error) { page.Drugs, err = a.drugs(ctx, s); return err })
	parts.Go(func() (err error) { page.Worst, err = a.worst(ctx, s); return err })
	parts.Go(func() (err error) { page.Map, err = a.tileMap(ctx, s, "outpatient-visits"); return err })
	if err := parts.Wait(); err != nil {
		a.fail(g, err)
		return
	}
	sheetOf := sheet{Title: "主要指标", Head: []string{"指标", "数值", "分子 / 分母", "比上期"}}
	for _, t := range page.Tiles {
		sheetOf.Rows = append(sheetOf.Rows, []string{t.Measure.Title, t.Text, t.Parts, t.Previous.Text})
	}
	if a.export(g, s, "业务监管", sheetOf, page.Worst.sheet(), page.Map.sheet()) {
		return
	}
	a.render(g, "cockpit", page)
}

// series draws indicators over time.
func (a *App) series(ctx context.Context, s *scope, dimension string, names ...string) (chart, error) {
	list, err := a.named(names)
	if err != nil {
		return chart{}, err
	}
	rows, err := a.Measures.Table(ctx, a.SQL, s.measured(), []string{dimension}, list...)
	if err != nil {
		return chart{}, err
	}
	c := chart{Kind: "line"}
	for i, m := range list {
		x := series{Name: axis(m)}
		for _, r := range rows {
			if i == 0 {
				c.Labels = append(c.Labels, s.name(dimension, r.Keys[0]))
			}
			x.Values = append(x.Values, plotted(m, r.Scores[i]))
		}
		c.Series = append(c.Series, x)
	}
	return c, nil
}

// drugs draws what is prescribed.
func (a *App) drugs(ctx context.Context, s *scope) (chart, error) {
	c, err := a.series(ctx, s, "category", "prescriptions")
	c.Kind = "pie"
	return c, err
}

// worst ranks the places one step down by how often herbs are overdosed.
func (a *App) worst(ctx context.Context, s *scope) (ranking, error) {
	m, err := a.Measures.Get(alarming)
	if err != nil {
		return ranking{}, err
	}
	return a.rank(ctx, s, m, "org", 8)
}

// catalogueGroups orders all indicators by what a supervisor asks; an indicator
// stands in the first group that has a word of its name.
var catalogueGroups = []struct {
	title string
	words []string
}{
	{"用药安全", []string{"overdose", "eighteen", "nineteen", "toxic", "over-", "unknown-herb"}},
	{"处方", []string{"prescription", "herbs-per", "doses-per", "per-dose", "formula"}},
	{"费用", []string{"cost", "income"}},
	{"病历与诊断质量", []string{"rate", "dual", "recorded", "coded", "record"}},
	{"服务量与负荷", []string{""}},
}

// group is a section of the list of all indicators.
type group struct {
	Title string
	Items []tile
}

// indicatorsPage lists every indicator with its value and definition.
func (a *App) indicatorsPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	list := a.Measures.All()
	names := make([]string, len(list))
	for i, m := range list {
		names[i] = m.Name
	}
	tiles, err := a.tiles(g.Request.Context(), s, names)
	if err != nil {
		a.fail(g, err)
		return
	}
	groups := make([]group, len(catalogueGroups))
	all := sheet{Title: "指标", Head: []string{"类别", "指标", "数值", "分子 / 分母", "比上期", "口径", "来源"}}
	for i, c := range catalogueGroups {
		groups[i].Title = c.title
	}
	for _, t := range tiles {
		at := slices.IndexFunc(catalogueGroups, func(c struct {
			title string
			words []string
		}) bool {
			return slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(t.Measure.Name, w) })
		})
		groups[at].Items = append(groups[at].Items, t)
		all.Rows = append(all.Rows, []string{groups[at].Title, t.Measure.Title, t.Text, t.Parts, t.Previous.Text, t.Measure.Definition, t.Measure.Source})
	}
	if a.export(g, s, "全部指标", all) {
		return
	}
	a.render(g, "indicators", struct {
		web.Page
		*scope
		Groups []group
	}{a.page(g, "全部指标", "/supervision/indicators"), s, groups})
}
