package supervision

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/supervision/report"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// reportStates choose which reports the list shows.
var reportStates = []choice{{Key: "draft", Name: "草稿"}, {Key: "submitted", Name: "已上报"}, {Key: "county", Name: "县级已审"}, {Key: "city", Name: "市级已审"}, {Key: "approved", Name: "已批准"}}

// reportsPage lists the reports of the place and makes new ones.
func (a *App) reportsPage(g *gin.Context) {
	s, err := a.scope(g, "state")
	if err != nil {
		a.fail(g, err)
		return
	}
	states, err := choose(reportStates, g.Query("state"))
	if err != nil {
		a.fail(g, err)
		return
	}
	list, err := a.Reports.Reports(g.Request.Context(), report.Filter{State: report.State(g.Query("state")), Places: s.reported()})
	if err != nil {
		a.fail(g, err)
		return
	}
	rows := make([]reportLine, len(list))
	for i, r := range list {
		rows[i].Report = r
		if rows[i].ReplacedBy, err = a.Reports.Replacement(g.Request.Context(), r); err != nil {
			a.fail(g, err)
			return
		}
	}
	now := a.Now().In(shanghai)
	month := now.AddDate(0, 0, -now.Day())
	a.render(g, "reports", struct {
		web.Page
		*scope
		Reports []reportLine
		Most    bool // there may be more
		States  []choice
		Periods []string
	}{a.page(g, "报告", "/supervision/reports"), s, rows, len(rows) >= report.MaxListed, states,
		[]string{now.Format("2006-01"), month.Format("2006-01"), fmt.Sprintf("%d-Q%d", now.Year(), (int(now.Month())+2)/3), strconv.Itoa(now.Year()), strconv.Itoa(now.Year() - 1)}})
}

// reportLine is a report as the list shows it.
type reportLine struct {
	*report.Report
	ReplacedBy string // id
}

// reported are the places within the page's that have reports, nil for all.
func (s *scope) reported() (list []report.Place) {
	if s.orgs == nil {
		return nil
	}
	if s.Org == "" {
		list = append(list, report.Place{City: s.City, Area: s.Area})
		if s.Area == "" {
			for _, area := range s.places.areas(s.City) {
				list = append(list, report.Place{City: s.City, Area: area})
			}
		}
	}
	for _, org := range s.orgs {
		list = append(list, report.Place{Org: org})
	}
	return list
}

// createReport makes a draft of the place and period of the form.
func (a *App) createReport(g *gin.Context) {
	place := report.Place{City: field(g, "city"), Area: field(g, "area"), Org: field(g, "org")}
	orgs, err := a.hallsOf(g.Request.Context(), &place)
	if err == nil {
		err = a.withinPlace(g, place)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	r, err := a.Reports.Create(g.Request.Context(), field(g, "period"), place, orgs, signer(g))
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, "/supervision/report/"+r.ID)
}

// hallsOf are the halls of a report's place, whose name it fills in; a hall's
// report names its city and county only through the hall.
func (a *App) hallsOf(ctx context.Context, p *report.Place) ([]string, error) {
	dir, err := a.directory(ctx)
	if err != nil {
		return nil, err
	}
	s := &scope{places: dir, City: p.City, Area: p.Area, Org: p.Org}
	if p.Org != "" {
		s.City, s.Area, p.City, p.Area = "", "", "", ""
	}
	if err := s.limit(); err != nil {
		return nil, err
	}
	p.Name = s.Where()
	return s.orgs, nil
}

// figureLine is one indicator of a report in words.
type figureLine struct {
	report.Figure
	Now, Parts, Before, LastYear string
	ChangeBefore, ChangeYear     change
}

func figures(r *report.Report) (out []figureLine) {
	for _, f := range r.Figures {
		m := &measures.Measure{Name: f.Measure, Unit: f.Unit, Scoring: f.Scoring}
		if f.Ratio {
			m.Denominator = "count()"
		}
		out = append(out, figureLine{f, text(m, f.Now), parts(m, f.Now), text(m, f.Before), text(m, f.LastYear), compare(m, f.Now, f.Before), compare(m, f.Now, f.LastYear)})
	}
	return out
}

// reportPage shows one report; what it shows and exports stands in the report
// itself.
func (a *App) reportPage(g *gin.Context) {
	ctx := g.Request.Context()
	r, err := a.report(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	lines := figures(r)
	x := sheet{Title: "指标", Head: []string{"指标", "本期", "分子 / 分母", "上期", "比上期", "去年同期", "比去年", "口径"}}
	for _, f := range lines {
		x.Rows = append(x.Rows, []string{f.Title, f.Now, f.Parts, f.Before, f.ChangeBefore.Text, f.LastYear, f.ChangeYear.Text, f.Definition})
	}
	way := sheet{Title: "经过", Head: []string{"时间", "办理人", "事项", "状态"}}
	for _, st := range r.Steps {
		way.Rows = append(way.Rows, []string{st.Time.In(shanghai).Format("2006-01-02 15:04:05"), st.By, st.What, st.State.Title()})
	}
	s := &scope{Path: g.Request.URL.Path, From: r.From.In(shanghai).Format("2006-01-02"), To: r.To.AddDate(0, 0, -1).In(shanghai).Format("2006-01-02"), Org: r.Place.Org, HallName: r.Place.Name, City: r.Place.City, Area: r.Place.Area,
		Fresh: r.Computed.In(shanghai).Format("2006-01-02 15:04:05")}
	if a.export(g, s, r.Title, x, way) {
		return
	}
	replaced, err := a.Reports.Replacement(ctx, r)
	if err != nil {
		a.fail(g, err)
		return
	}
	a.render(g, "report", struct {
		web.Page
		Report     *report.Report
		Figures    []figureLine
		Next       string
		Approves   bool // who asks may take the next step
		ReplacedBy string
	}{a.page(g, r.Title, "/supervision/reports"), r, lines, r.Next().Title(), user(g).ranks(r.Approver()), replaced})
}

// report reads the report of the path, if it is of the jurisdiction of who asks.
func (a *App) report(g *gin.Context) (*report.Report, error) {
	r, err := a.Reports.Report(g.Request.Context(), g.Param("id"))
	if err == nil {
		err = a.withinPlace(g, r.Place)
	}
	return r, err
}

// actOnReport is the form of the report page.
func (a *App) actOnReport(g *gin.Context) {
	ctx, id, by, note := g.Request.Context(), g.Param("id"), signer(g), field(g, "note")
	version, err := strconv.ParseInt(field(g, "version"), 10, 64)
	if err != nil || version < 1 {
		a.fail(g, fault.New(fault.Invalid, "表单不完整，请刷新后再提交"))
		return
	}
	r, err := a.report(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	switch action := field(g, "action"); action {
	case "approve", "return":
		if !user(g).ranks(r.Approver()) {
			err = fault.New(fault.Forbidden, "这一步要由%s用户办理", rankTitles[r.Approver()])
			break
		}
		r, err = a.Reports.Act(ctx, id, version, action, by, note)
	case "refresh", "correct":
		var orgs []string
		if orgs, err = a.hallsOf(ctx, &r.Place); err != nil {
			break
		}
		if action == "refresh" {
			r, err = a.Reports.Refresh(ctx, id, version, orgs, by)
		} else {
			r, err = a.Reports.Correct(ctx, id, orgs, by, note)
		}
	default:
		r, err = a.Reports.Act(ctx, id, version, action, by, note)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, "/supervision/report/"+r.ID)
}
