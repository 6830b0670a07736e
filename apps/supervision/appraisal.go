package supervision

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// criterion is what one indicator means for a hall's appraisal: it is met, or
// how it is missed.
type criterion struct {
	Measure        *measures.Measure
	Text, Required string
	Off            string // "" = met
	Weight         float64
	Few            bool
}

// scorecard is the appraisal of a hall: the weights of the requirements that it
// meets, of those that hold for its level and that it has data for.
type scorecard struct {
	hall
	Place    int // 0 = nothing to appraise
	Points   float64
	Of       float64
	Criteria []criterion
	Appeal   *taskLine // the newest one
}

// Score is the share of points in per cent, to one decimal.
func (c scorecard) Score() string {
	if c.Of == 0 {
		return "—"
	}
	return web.Decimal(100 * c.Points / c.Of)
}

// Rank is the place in words.
func (c scorecard) Rank() string {
	if c.Place == 0 {
		return "—"
	}
	return web.Count(c.Place)
}

// Kind is the level of the hall in words.
func (c scorecard) Kind() string { return cmp.Or(levels[c.Level], c.Level) }

// Missed are the requirements that the hall does not meet.
func (c scorecard) Missed() (out []criterion) {
	for _, x := range c.Criteria {
		if x.Off != "" {
			out = append(out, x)
		}
	}
	return out
}

// appraise holds the indicators of a hall against what is required of its level
// at the end of the period. What has no denominator is not appraised.
func (a *App) appraise(s *scope, h hall, list []*measures.Measure, scores []measures.Score) scorecard {
	c := scorecard{hall: h}
	for i, m := range list {
		t := m.Threshold(h.Level, s.end.Add(-time.Second))
		if t == nil || i >= len(scores) || !scores[i].Defined { // a hall without visits has no scores
			continue
		}
		x := criterion{Measure: m, Text: text(m, scores[i]), Required: required(m, t), Off: off(t, scores[i].Value), Weight: cmp.Or(t.Weight, 1), Few: a.few(m, scores[i])}
		c.Of += x.Weight
		if x.Off == "" {
			c.Points += x.Weight
		}
		c.Criteria = append(c.Criteria, x)
	}
	return c
}

// required are the indicators that the installation sets thresholds for.
func (a *App) required() (list []*measures.Measure) {
	for _, m := range a.Measures.All() {
		if len(m.Thresholds) > 0 {
			list = append(list, m)
		}
	}
	return list
}

// scorecards appraises the halls of the scope, the best first.
func (a *App) scorecards(ctx context.Context, s *scope) ([]scorecard, error) {
	list := a.required()
	if len(list) == 0 {
		return nil, nil
	}
	rows, err := a.Measures.Table(ctx, a.SQL, s.measured(), []string{"org"}, list...)
	if err != nil {
		return nil, err
	}
	scores := map[string][]measures.Score{}
	for _, r := range rows {
		scores[r.Keys[0]] = r.Scores
	}
	appeals, err := a.Desk.Tasks(ctx, alerts.Filter{Kind: alerts.KindAppeal, Orgs: s.orgs})
	if err != nil {
		return nil, err
	}
	var out []scorecard
	for _, h := range s.places.within(s.City, s.Area, s.Org) {
		c := a.appraise(s, h, list, scores[h.Code])
		for _, t := range appeals {
			if t.Org == h.Code && (c.Appeal == nil || t.Authored.After(c.Appeal.Authored)) {
				l := a.line(t)
				c.Appeal = &l
			}
		}
		out = append(out, c)
	}
	place(out)
	return out, nil
}

// place orders cards by score; equal scores share a place, halls without any
// come last and have none.
func place(list []scorecard) {
	share := func(c scorecard) float64 {
		if c.Of == 0 {
			return -1
		}
		return c.Points / c.Of
	}
	slices.SortStableFunc(list, func(x, y scorecard) int { return cmp.Compare(share(y), share(x)) })
	for i := range list {
		switch {
		case list[i].Of == 0:
		case i > 0 && share(list[i]) == share(list[i-1]):
			list[i].Place = list[i-1].Place
		default:
			list[i].Place = i + 1
		}
	}
}

// appraisalPage ranks the halls by their scorecards.
func (a *App) appraisalPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	page := struct {
		web.Page
		*scope
		Cards []scorecard
		Items []*measures.Measure
	}{Page: a.page(g, "绩效评分", "/supervision/appraisal"), scope: s, Items: a.required()}
	if page.Cards, err = a.scorecards(g.Request.Context(), s); err != nil {
		a.fail(g, err)
		return
	}
	x := sheet{Title: "绩效评分", Public: true, Head: []string{"名次", "中医馆", "级别", "得分", "得到的权重", "应评的权重", "未达到的要求"}}
	for _, c := range page.Cards {
		missed := ""
		for _, m := range c.Missed() {
			missed += m.Measure.Title + " " + m.Text + "（" + m.Required + "）；"
		}
		x.Rows = append(x.Rows, []string{c.Rank(), c.Name, c.Kind(), c.Score(), web.Decimal(c.Points), web.Decimal(c.Of), missed})
	}
	if a.export(g, s, "绩效评分", x) {
		return
	}
	a.render(g, "appraisal", page)
}

// appeal takes a hall's objection to its score to the organisation above it.
func (a *App) appeal(g *gin.Context) {
	if field(g, "text") == "" {
		a.fail(g, fault.New(fault.Invalid, "请写明对哪一项、为什么有异议"))
		return
	}
	if err := a.within(g, field(g, "org")); err != nil {
		a.fail(g, err)
		return
	}
	t, err := a.Desk.Open(g.Request.Context(), &alerts.Task{Kind: alerts.KindAppeal, Org: field(g, "org"), Title: "绩效评分申诉", Text: field(g, "period") + "：" + field(g, "text"), Level: "info"}, signer(g))
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, "/supervision/task/"+t.ID)
}
