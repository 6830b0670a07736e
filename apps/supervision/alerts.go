package supervision

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/supervision/report"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/web"
)

// ofHalls are the steps that a hall's own users may take.
var ofHalls = []string{"handle", "submit", "escalate"}

// taskKinds are the kinds of tasks in words.
var taskKinds = map[string]string{alerts.KindAlert: "预警", alerts.KindQuality: "数据质量", alerts.KindReview: "处方点评反馈", alerts.KindAppeal: "绩效评分"}

// levelTitles are the levels of alerts in words, the worst first.
var levelTitles = []choice{{Key: "serious", Name: "严重"}, {Key: "warning", Name: "警告"}, {Key: "info", Name: "提示"}}

// stateTitles choose which tasks a list shows.
var stateTitles = []choice{{Key: "open", Name: "未办结"}, {Key: "late", Name: "已逾期"}, {Key: "done", Name: "已办结、已撤销"}, {Key: "all", Name: "全部"}}

// taskLine is a task as lists show it.
type taskLine struct {
	*alerts.Task
	LevelText, KindText string
	Late                bool
	Age                 string
}

func (a *App) line(t *alerts.Task) taskLine {
	now := a.Now()
	l := taskLine{Task: t, KindText: taskKinds[t.Kind], Late: t.Open() && t.Due.Before(now), Age: age(now.Sub(t.Authored))}
	for _, c := range levelTitles {
		if c.Key == t.Level {
			l.LevelText = c.Name
		}
	}
	return l
}

// age writes how long something has been waiting.
func age(d time.Duration) string {
	switch {
	case d < time.Hour:
		return "不到 1 小时"
	case d < 48*time.Hour:
		return web.Count(int64(d.Hours())) + " 小时"
	}
	return web.Count(int64(d.Hours()/24)) + " 天"
}

// tasks lists the tasks of a kind ("" = alerts) in a scope, the most pressing
// first. Those with work to do are listed whatever the period; others by the
// day they were opened.
func (a *App) tasks(ctx context.Context, s *scope, kind, state, level, rule string) ([]taskLine, error) {
	list, err := a.Desk.Tasks(ctx, alerts.Filter{Kind: kind, Rule: rule, Orgs: s.orgs, Open: state == "open" || state == "late"})
	if err != nil {
		return nil, err
	}
	var out []taskLine
	for _, t := range list {
		l := a.line(t)
		wanted := level == "" || t.Level == level
		switch state {
		case "late":
			wanted = wanted && l.Late
		case "done":
			wanted = wanted && !t.Open()
		}
		if wanted && (t.Open() || !t.Authored.Before(s.begin) && t.Authored.Before(s.end)) {
			out = append(out, l)
		}
	}
	weight := func(l taskLine) int {
		return slices.IndexFunc(levelTitles, func(c choice) bool { return c.Key == l.Level })
	}
	slices.SortStableFunc(out, func(x, y taskLine) int { return cmp.Or(cmp.Compare(weight(x), weight(y)), x.Due.Compare(y.Due)) })
	return out, nil
}

// choose marks the current one of the choices; fault.Invalid if there is none.
func choose(list []choice, key string) ([]choice, error) {
	out, ok := slices.Clone(list), false
	for i := range out {
		out[i].Current = out[i].Key == key
		ok = ok || out[i].Current
	}
	if !ok && key != "" {
		return nil, fault.New(fault.Invalid, "没有 %q 这一项，请从列表中选择", key)
	}
	return out, nil
}

// alertsPage lists alerts; the filter stands in the URL.
func (a *App) alertsPage(g *gin.Context) {
	s, err := a.scope(g, "level", "rule", "state")
	if err != nil {
		a.fail(g, err)
		return
	}
	page := struct {
		web.Page
		*scope
		Tasks                 []taskLine
		All                   int
		States, Levels, Rules []choice
		Serious, Late         int
	}{Page: a.page(g, "预警", "/supervision/alerts"), scope: s}
	state := cmp.Or(g.Query("state"), "open")
	var rules []choice
	for _, r := range a.Desk.Rules {
		rules = append(rules, choice{Key: r.Name, Name: r.Title})
	}
	if page.States, err = choose(stateTitles, state); err == nil {
		page.Levels, err = choose(levelTitles, g.Query("level"))
	}
	if err == nil {
		page.Rules, err = choose(rules, g.Query("rule"))
	}
	if err == nil {
		page.Tasks, err = a.tasks(g.Request.Context(), s, alerts.KindAlert, state, g.Query("level"), g.Query("rule"))
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	for _, l := range page.Tasks {
		if l.Level == "serious" {
			page.Serious++
		}
		if l.Late {
			page.Late++
		}
	}
	if a.export(g, s, "预警", taskSheet("预警", page.Tasks)) {
		return
	}
	page.All = len(page.Tasks)
	page.Tasks = page.Tasks[:min(page.All, maxListed)]
	a.render(g, "alerts", page)
}

func taskSheet(title string, list []taskLine) sheet {
	x := sheet{Title: title, Head: []string{"级别", "事项", "机构", "说明", "状态", "责任单位", "期限", "已历时"}}
	for _, l := range list {
		x.Rows = append(x.Rows, []string{l.LevelText, l.Title, l.OrgName, l.Text, l.StateText, l.OwnerName, l.Due.In(shanghai).Format(time.DateOnly), l.Age})
	}
	return x
}

// evidence is one record a task rests on.
type evidence struct{ Text, Link string }

// taskPage shows one task: what, why, since when, who, and what may be done.
func (a *App) taskPage(g *gin.Context) {
	t, err := a.task(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	orgs, err := a.assignees(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	page := struct {
		web.Page
		Task       taskLine
		Rule       *alerts.Rule
		RuleText   string
		Doctor     string
		Evidence   []evidence
		Actions    []choice
		Orgs       []choice
		DueDay, By string
	}{Page: a.page(g, t.Title, sectionOf(t.Kind)), Task: a.line(t), Actions: actionsOf(user(g), t), DueDay: t.Due.In(shanghai).Format(time.DateOnly)}
	for _, r := range a.Desk.Rules {
		if r.Name == t.Rule {
			page.Rule, page.RuleText = r, explain(r)
		}
	}
	for i, ref := range t.Evidence {
		id, ok := strings.CutPrefix(ref, "Encounter/")
		e := evidence{Text: "记录 " + web.Count(i+1), Link: "/fhir/" + ref}
		if ok {
			e = evidence{Text: "就诊 " + web.Count(i+1), Link: "/supervision/visit/" + id}
		}
		page.Evidence = append(page.Evidence, e)
	}
	for _, o := range orgs {
		if o.Code != "" {
			page.Orgs = append(page.Orgs, choice{Key: o.Code, Name: cmp.Or(o.Name, o.Code), Current: o.Code == t.Owner})
		}
	}
	slices.SortFunc(page.Orgs, func(x, y choice) int { return strings.Compare(x.Name, y.Name) })
	a.render(g, "task", page)
}

// task reads the task of the path, if it is of the jurisdiction of who asks.
func (a *App) task(g *gin.Context) (*alerts.Task, error) {
	t, err := a.Desk.Task(g.Request.Context(), g.Param("id"))
	if err != nil {
		return nil, taskMissing(err)
	}
	return t, a.within(g, t.Org)
}

// taskMissing says it in words.
func taskMissing(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return fault.New(fault.NotFound, "没有这项待办，请从列表中选择")
	}
	return err
}

// sectionOf is the page that lists tasks of a kind.
func sectionOf(kind string) string {
	switch kind {
	case alerts.KindQuality:
		return "/supervision/quality"
	case alerts.KindReview:
		return "/supervision/review"
	}
	return "/supervision/alerts"
}

// actionsOf are the steps that a task's state allows to a user: a hall mends,
// those above it judge.
func actionsOf(u *User, t *alerts.Task) (out []choice) {
	for _, name := range t.Actions() {
		if u.acts(name) {
			out = append(out, choice{Key: name, Name: alerts.ActionTitle(name)})
		}
	}
	return out
}

// acts reports whether a step on tasks is the user's to take.
func (u *User) acts(name string) bool {
	return u.ranks(report.OfCounty) || slices.Contains(ofHalls, name)
}

// actOnTask is the form of the task page.
func (a *App) actOnTask(g *gin.Context) {
	due, err := deadline(field(g, "due"))
	if err != nil {
		a.fail(g, err)
		return
	}
	t, err := a.task(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	step := alerts.Step{By: signer(g), Note: field(g, "note"), Owner: field(g, "owner")}
	action := field(g, "action")
	if action == "assign" {
		step.Due = due
		orgs, err := a.assignees(g)
		if _, ok := orgs[step.Owner]; err == nil && !ok {
			err = beyond()
		}
		if err != nil {
			a.fail(g, err)
			return
		}
	}
	if slices.Contains(t.Actions(), action) && !user(g).acts(action) {
		a.fail(g, fault.New(fault.Forbidden, "%s要由上级机构的用户办理", alerts.ActionTitle(action)))
		return
	}
	t, err = a.Desk.Act(g.Request.Context(), g.Param("id"), action, step)
	if err != nil {
		a.fail(g, taskMissing(err))
		return
	}
	a.forget()
	seeOther(g, "/supervision/task/"+t.ID)
}

// runAlerts holds the rules against a day at once, and opens what they find.
func (a *App) runAlerts(g *gin.Context) {
	day, err := time.ParseInLocation(time.DateOnly, field(g, "day"), shanghai)
	if err != nil {
		a.fail(g, fault.New(fault.Invalid, "日期 %q 应写作 2026-11-30", field(g, "day")))
		return
	}
	if _, err := a.Desk.Run(g.Request.Context(), day); err != nil {
		a.fail(g, err)
		return
	}
	a.forget()
	seeOther(g, "/supervision/alerts")
}

// openCount is how many alerts are open, and how pressing they are.
type openCount struct{ all, serious, late int }

// openAlerts counts the open alerts that who asks oversees; a count that fails is
// 0 and the page stands without it.
func (a *App) openAlerts(g *gin.Context) (c openCount) {
	may, err := a.oversees(g)
	if err != nil {
		return c
	}
	now := a.Now()
	for _, t := range a.openTasks(g.Request.Context(), now) {
		if !may(t.Org) {
			continue
		}
		c.all++
		if t.Level == "serious" {
			c.serious++
		}
		if t.Due.Before(now) {
			c.late++
		}
	}
	return c
}

// openTasks are the open alerts, read at most every [directoryAge].
func (a *App) openTasks(ctx context.Context, now time.Time) []*alerts.Task {
	a.mu.Lock()
	known, at := a.open, a.counted
	a.mu.Unlock()
	if !at.IsZero() && now.Sub(at) < directoryAge {
		return known
	}
	list, err := a.Desk.Tasks(ctx, alerts.Filter{Kind: alerts.KindAlert, Open: true})
	if err != nil {
		a.Log.WarnContext(ctx, "count alerts", "error", err)
	}
	a.mu.Lock()
	a.open, a.counted = list, now
	a.mu.Unlock()
	return list
}

// forget makes the next page count the alerts anew.
func (a *App) forget() {
	a.mu.Lock()
	a.open, a.counted = nil, time.Time{}
	a.mu.Unlock()
}
