package supervision

import (
	"fmt"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/web"
)

// ruleKinds are the kinds of rules in words.
var ruleKinds = map[alerts.Kind]string{alerts.Threshold: "固定阈值", alerts.Change: "突变", alerts.Peer: "同级偏离", alerts.Silence: "停报", alerts.Impossible: "不可能的组合", alerts.Cluster: "病证聚集"}

// explain puts a rule's condition in words.
func explain(r *alerts.Rule) string {
	var parts []string
	limits := func(where string, i alerts.Interval) {
		if i.Above != nil {
			parts = append(parts, where+"高于 "+r.Show(*i.Above))
		}
		if i.Below != nil {
			parts = append(parts, where+"低于 "+r.Show(*i.Below))
		}
	}
	switch r.Kind {
	case alerts.Threshold:
		parts = append(parts, fmt.Sprintf("近 %d 天", r.Window))
		limits("", alerts.Interval{Above: r.Above, Below: r.Below})
		for _, level := range []string{"hospital", "community", "township", "village", "hall"} {
			if own, ok := r.ByLevel[level]; ok {
				limits(levels[level], own)
			}
		}
	case alerts.Change:
		parts = append(parts, fmt.Sprintf("近 %d 天与之前 %d 天相比，变化超过 %s 倍%s", r.Window, r.Baseline, web.Decimal(r.Factor), map[string]string{"up": "（只看升高）", "down": "（只看降低）"}[r.Direction]))
	case alerts.Cluster:
		parts = append(parts, fmt.Sprintf("近 %d 天同一%s的人次，达到按之前 %d 天推算的 %s 倍，且 z 值至少 %s", r.Window, dimensionTitles[r.By], r.Baseline, web.Decimal(r.Factor), web.Decimal(r.Z)))
	case alerts.Peer:
		parts = append(parts, fmt.Sprintf("近 %d 天与同级机构（至少 %d 家）中位数相比，稳健 z 超过 %s", r.Window, r.Peers, web.Decimal(r.Z)))
	case alerts.Silence:
		parts = append(parts, fmt.Sprintf("连续 %d 天没有就诊，而之前 %d 天里至少 %.0f%% 的日子有", r.Days, r.Baseline, 100*r.Usual))
	case alerts.Impossible:
		limits("一天内", alerts.Interval{Above: r.Above})
		if r.Where != "" {
			parts = append(parts, "条件 "+r.Where)
		}
	}
	if r.Least > 0 {
		parts = append(parts, "样本至少 "+web.Decimal(r.Least))
	}
	return strings.Join(parts, "；")
}

// ruleLine is a rule as the page of rules shows it.
type ruleLine struct {
	*alerts.Rule
	KindText, LevelText, Condition, Indicator string
}

// rulesPage shows the rules in force with their thresholds.
func (a *App) rulesPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	var lines []ruleLine
	x := sheet{Title: "预警规则", Head: []string{"规则", "名称", "类型", "级别", "条件", "整改天数"}}
	for _, r := range a.Desk.Rules {
		l := ruleLine{Rule: r, KindText: ruleKinds[r.Kind], Condition: explain(r)}
		for _, c := range levelTitles {
			if c.Key == r.Level {
				l.LevelText = c.Name
			}
		}
		if m, err := a.Measures.Get(r.Measure); err == nil {
			l.Indicator = m.Title
		}
		lines = append(lines, l)
		x.Rows = append(x.Rows, []string{r.Name, r.Title, l.KindText, l.LevelText, l.Condition, web.Count(r.Due)})
	}
	if a.export(g, s, "预警规则", x) {
		return
	}
	a.render(g, "rules", struct {
		web.Page
		*scope
		Rules []ruleLine
	}{a.page(g, "预警规则", "/supervision/alerts"), s, lines})
}

// span is one episode on the time line: where it begins and how long it is, in
// percent of the period.
type span struct {
	alerts.Episode
	Left, Width float64
	Link        string
}

// backtestPage shows what the rules would have found in a period, as episodes on
// a time line. It opens nothing.
func (a *App) backtestPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	begin, last, err := alerts.Span(s.From, s.To)
	if err != nil {
		a.fail(g, err)
		return
	}
	found, err := a.Desk.Detect(g.Request.Context(), begin, last)
	if err != nil {
		a.fail(g, err)
		return
	}
	var spans []span
	x := sheet{Title: "历史回测", Head: []string{"级别", "规则", "中医馆", "首日", "末日", "天数", "说明"}}
	for _, e := range alerts.Episodes(found, 0) {
		if !s.has(e.Org) {
			continue
		}
		first, err := time.ParseInLocation(time.DateOnly, e.First, shanghai)
		if err != nil {
			a.fail(g, err)
			return
		}
		end, err := time.ParseInLocation(time.DateOnly, e.Last, shanghai)
		if err != nil {
			a.fail(g, err)
			return
		}
		days := float64(s.Length)
		spans = append(spans, span{e, 100 * first.Sub(begin).Hours() / 24 / days, max(1.2, 100*(end.Sub(first).Hours()/24+1)/days), string(s.Link("/supervision/hall", "org", e.Org))})
		x.Rows = append(x.Rows, []string{e.Level, e.Title, e.OrgName, e.First, e.Last, web.Count(len(e.Days)), e.Text})
	}
	if a.export(g, s, "历史回测", x) {
		return
	}
	a.render(g, "backtest", struct {
		web.Page
		*scope
		Spans []span
		Rules int
	}{a.page(g, "历史回测", "/supervision/alerts"), s, spans, len(a.Desk.Rules)})
}
