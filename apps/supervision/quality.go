package supervision

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/warehouse/quality"
	"github.com/qihuang-health/qihuang/web"
)

// flaw is one check that a hall's data fails.
type flaw struct {
	Text string
	Bad  bool // worse than a warning
}

// qualityLine is a hall's data as the page shows it.
type qualityLine struct {
	quality.Hall
	Flaws []flaw
	Open  *taskLine // the follow-up under way
	Ask   string    // what a follow-up says
}

// flaws puts the failed checks in words.
func flaws(h quality.Hall, l quality.Limits, today string) (out []flaw) {
	add := func(failed, bad bool, format string, args ...any) {
		if failed {
			out = append(out, flaw{fmt.Sprintf(format, args...), bad})
		}
	}
	share := func(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }
	add(h.Visits == 0 && h.Unfinished == 0, true, "期内没有任何就诊")
	add(h.Last != "" && h.Last < today, false, "今日无数据，最近一次就诊在 %s", h.Last)
	add(h.LateP95 > l.LateHours, false, "上传迟：95%% 的就诊在 %s 小时内到达", web.Decimal(h.LateP95))
	add(h.Missing >= l.Missing && h.Visits > 0, false, "有 %d 天没有就诊", h.Missing)
	add(h.NoSyndrome > l.Lacking, false, "缺证候 %s", share(h.NoSyndrome))
	add(h.NoICD10 > l.Lacking, false, "缺西医诊断编码 %s", share(h.NoICD10))
	add(h.NoCharge > l.Lacking, false, "缺收费 %s", share(h.NoCharge))
	add(h.NoRecord > l.Lacking, false, "缺病历 %s", share(h.NoRecord))
	add(h.Impossible > 0, true, "不可能的值 %d 次（年龄小于 0 或大于 120，或没有患者）", h.Impossible)
	add(math.Abs(h.Outlier) >= l.Outlier, false, "日均就诊离群，稳健 z = %s", web.Decimal(h.Outlier))
	return out
}

// refusal is a source whose messages were refused.
type refusal struct {
	Source string
	Count  int
}

// qualityPage shows how complete, timely and plausible the data of each hall is,
// and the follow-ups.
func (a *App) qualityPage(g *gin.Context) {
	s, err := a.scope(g, "state")
	if err != nil {
		a.fail(g, err)
		return
	}
	ctx, limits := g.Request.Context(), quality.DefaultLimits()
	page := struct {
		web.Page
		*scope
		Limits         quality.Limits
		Lines          []qualityLine
		All            int
		Silent, Flawed int
		Refused        []refusal
		RefusedTotal   int
		Tasks          []taskLine
		States         []choice
		Due            string
		Late, Visits   int64
		Days           chart
	}{Page: a.page(g, "数据质量", "/supervision/quality"), scope: s, Limits: limits, Due: a.Now().In(shanghai).AddDate(0, 0, 7).Format(time.DateOnly)}
	state := cmp.Or(g.Query("state"), "open")
	if page.States, err = choose(stateTitles, state); err == nil {
		page.Tasks, err = a.tasks(ctx, s, alerts.KindQuality, state, "", "")
	}
	if err == nil {
		page.Lines, err = a.qualityLines(g, s, limits)
	}
	if err == nil {
		page.Days, err = a.arrivals(g, s)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	today := a.Now().In(shanghai).Format(time.DateOnly)
	x := sheet{Title: "数据质量", Head: []string{"中医馆", "就诊", "未结束", "有数据天数", "缺数据天数", "最近一次", "迟到", "问题"}}
	for _, l := range page.Lines {
		words := ""
		for _, f := range l.Flaws {
			words += f.Text + "；"
		}
		if l.Last < today {
			page.Silent++
		}
		if len(l.Flaws) > 0 {
			page.Flawed++
		}
		page.Late, page.Visits = page.Late+l.Late, page.Visits+l.Visits
		x.Rows = append(x.Rows, []string{l.Name, web.Count(l.Visits), web.Count(l.Unfinished), web.Count(l.Hall.Days), web.Count(l.Missing), l.Last, web.Count(l.Late), words})
	}
	if a.Refused != nil {
		counts, err := a.Refused(ctx)
		if err != nil {
			a.fail(g, err)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(counts)) {
			if !s.has(k) {
				continue
			}
			page.Refused = append(page.Refused, refusal{cmp.Or(s.places.names[k], k), counts[k]})
			page.RefusedTotal += counts[k]
		}
	}
	if a.export(g, s, "数据质量", x, taskSheet("整改", page.Tasks)) {
		return
	}
	page.All = len(page.Lines)
	page.Lines = page.Lines[:min(page.All, maxListed)]
	a.render(g, "quality", page)
}

// qualityLines are the halls of the scope, the worst first; halls without any
// data are among them.
func (a *App) qualityLines(g *gin.Context, s *scope, limits quality.Limits) ([]qualityLine, error) {
	ctx := g.Request.Context()
	all := s.measured()
	all.Orgs = nil // halls differ from those of the whole province
	halls, err := quality.Check(ctx, a.Measures, a.SQL, all, limits)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, h := range halls {
		known[h.Org] = true
	}
	for _, h := range s.places.within(s.City, s.Area, s.Org) {
		if !known[h.Code] {
			halls = append(halls, quality.Hall{Org: h.Code, Name: h.Name})
		}
	}
	open, err := a.Desk.Tasks(ctx, alerts.Filter{Kind: alerts.KindQuality, Orgs: s.orgs, Open: true})
	if err != nil {
		return nil, err
	}
	today := a.Now().In(shanghai).Format(time.DateOnly)
	var out []qualityLine
	for _, h := range halls {
		if h.Org == "" || !s.has(h.Org) {
			continue
		}
		l := qualityLine{Hall: h, Flaws: flaws(h, limits, today)}
		l.Name = cmp.Or(s.places.names[h.Org], h.Name, h.Org)
		for _, f := range l.Flaws {
			l.Ask += f.Text + "；"
		}
		if i := slices.IndexFunc(open, func(t *alerts.Task) bool { return t.Org == h.Org }); i >= 0 {
			t := a.line(open[i])
			l.Open = &t
		}
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(x, y qualityLine) int { return cmp.Compare(len(y.Flaws), len(x.Flaws)) })
	return out, nil
}

// arrivals draws how many visits of each day came, and how many came late.
func (a *App) arrivals(g *gin.Context, s *scope) (chart, error) {
	days, err := quality.Days(g.Request.Context(), a.SQL, s.measured())
	c := chart{Kind: "line", Series: []series{{Name: "就诊"}, {Name: "迟到一天以上"}, {Name: "上报的中医馆"}}}
	for _, d := range days {
		c.Labels = append(c.Labels, d.Day)
		for i, n := range []uint64{d.Visits, d.Late, d.Halls} {
			c.Series[i].Values = append(c.Series[i].Values, float64(n))
		}
	}
	return c, err
}

// openQuality asks a hall to mend its data by a day.
func (a *App) openQuality(g *gin.Context) {
	due, err := deadline(field(g, "due"))
	if err == nil && !due.IsZero() && due.Before(a.Now()) {
		err = fault.New(fault.Invalid, "期限不能早于今天")
	}
	if err == nil && field(g, "text") == "" {
		err = fault.New(fault.Invalid, "请写明要整改什么")
	}
	if err == nil {
		err = a.supervises(g, field(g, "org"))
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	t, err := a.Desk.Open(g.Request.Context(), &alerts.Task{Kind: alerts.KindQuality, Org: field(g, "org"), Title: "数据质量整改", Text: field(g, "text"), Level: "warning", Due: due}, signer(g))
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, "/supervision/task/"+t.ID)
}
