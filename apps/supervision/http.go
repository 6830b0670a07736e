package supervision

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/web"
)

// Mount adds the pages to r.
func (a *App) Mount(r gin.IRouter) {
	p := r.Group("/supervision", func(g *gin.Context) {
		g.Header("Cache-Control", "no-store")
		g.Header("Content-Security-Policy", web.Policy)
		g.Header("X-Content-Type-Options", "nosniff")
	}, a.guard)
	p.GET("", a.cockpitPage)
	p.GET("/indicators", a.indicatorsPage)
	p.GET("/indicator/:measure", a.indicatorPage)
	p.GET("/records", a.recordsPage)
	p.GET("/visit/:id", a.visitPage)
	p.GET("/map", a.mapPage)
	p.GET("/halls", a.hallsPage)
	p.GET("/hall", a.hallPage)
	p.GET("/workload", a.workloadPage)
	p.GET("/spectrum", a.spectrumPage)
	p.GET("/pivot", a.pivotPage)
	p.POST("/pivot/cancel", a.sameOrigin, a.cancelPivot)
	p.GET("/alerts", a.alertsPage)
	p.POST("/alerts", a.sameOrigin, a.runAlerts)
	p.GET("/rules", a.rulesPage)
	p.GET("/backtest", a.backtestPage)
	p.GET("/task/:id", a.taskPage)
	p.POST("/task/:id", a.sameOrigin, a.actOnTask)
	p.GET("/quality", a.qualityPage)
	p.POST("/quality", a.sameOrigin, a.openQuality)
	p.POST("/saved", a.sameOrigin, a.savePivot)
	p.GET("/saved/:id", a.openSaved)
	p.POST("/saved/:id/delete", a.sameOrigin, a.deleteSaved)
	p.GET("/appraisal", a.appraisalPage)
	p.POST("/appraisal", a.sameOrigin, a.appeal)
	p.GET("/reports", a.reportsPage)
	p.POST("/reports", a.sameOrigin, a.createReport)
	p.GET("/report/:id", a.reportPage)
	p.POST("/report/:id", a.sameOrigin, a.actOnReport)
	p.GET("/review", a.samplesPage)
	p.POST("/review", a.sameOrigin, a.drawSample)
	p.GET("/review/:id", a.samplePage)
	p.GET("/review/:id/:item", a.itemPage)
	p.POST("/review/:id/:item", a.sameOrigin, a.judge)
}

// sections is the menu of the application.
var sections = []web.Link{
	{URL: "/supervision", Name: "驾驶舱"}, {URL: "/supervision/indicators", Name: "全部指标"}, {URL: "/supervision/map", Name: "地区分布"}, {URL: "/supervision/halls", Name: "中医馆"},
	{URL: "/supervision/workload", Name: "医生工作量"}, {URL: "/supervision/spectrum", Name: "病证方药"}, {URL: "/supervision/pivot", Name: "自助分析"},
	{URL: "/supervision/alerts", Name: "预警"}, {URL: "/supervision/quality", Name: "数据质量"}, {URL: "/supervision/review", Name: "处方点评"}, {URL: "/supervision/appraisal", Name: "绩效评分"}, {URL: "/supervision/reports", Name: "报告"},
}

// page makes the layout's data. The menu counts the open alerts.
func (a *App) page(g *gin.Context, title, current string) web.Page {
	p := web.NewPage(title, a.cfg.Version, shanghai, a.cfg.Local, "/supervision").Within(sections, current)
	if u := user(g); u != nil {
		p.User = u.Name
	}
	if n := a.openAlerts(g).all; n > 0 {
		for i := range p.Section {
			if p.Section[i].URL == "/supervision/alerts" {
				p.Section[i].Name += " " + web.Count(n)
			}
		}
	}
	return p
}

func (a *App) render(g *gin.Context, name string, data any) {
	g.Header("Content-Type", "text/html; charset=utf-8")
	if err := a.pages.ExecuteTemplate(g.Writer, name, data); err != nil {
		a.Log.ErrorContext(g, "render page", "page", name, "error", err)
	}
}

// fail shows a sentence that says what to do.
func (a *App) fail(g *gin.Context, err error) {
	status, msg := http.StatusInternalServerError, "系统内部错误，请稍后再试；若再次出现，请把发生的时间告诉管理员"
	kind := fault.KindOf(err)
	switch kind {
	case fault.Invalid:
		status = http.StatusBadRequest
	case fault.NotFound:
		status = http.StatusNotFound
	case fault.Forbidden:
		status = http.StatusForbidden
	case fault.Conflict:
		status = http.StatusConflict
	case fault.Precondition:
		status, msg = http.StatusConflict, "别人刚刚办理过，请返回刷新后再办"
	case fault.TooCostly:
		status = http.StatusUnprocessableEntity
	case fault.Busy:
		status = http.StatusTooManyRequests
	case fault.Unavailable:
		status, msg = http.StatusServiceUnavailable, "数据仓库正在启动或重启，请几秒后刷新"
	}
	if status < 500 && kind != fault.Precondition {
		_, msg = alerts.Status(err)
	} else if status >= 500 {
		a.Log.ErrorContext(g, "supervision page", "path", g.FullPath(), "error", err)
	}
	g.Status(status)
	a.render(g, "fail", struct {
		web.Page
		Message string
	}{a.page(g, "打不开这一页", ""), msg})
}
