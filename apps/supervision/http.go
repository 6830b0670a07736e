package supervision

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// Mount adds the pages to r.
func (a *App) Mount(r gin.IRouter) {
	p := r.Group("/supervision", func(g *gin.Context) {
		g.Header("Cache-Control", "no-store")
		g.Header("Content-Security-Policy", web.Policy)
		g.Header("X-Content-Type-Options", "nosniff")
	})
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
}

// sections is the menu of the application.
var sections = []web.Link{
	{URL: "/supervision", Name: "驾驶舱"}, {URL: "/supervision/indicators", Name: "全部指标"}, {URL: "/supervision/map", Name: "地区分布"}, {URL: "/supervision/halls", Name: "中医馆"},
	{URL: "/supervision/workload", Name: "医生工作量"}, {URL: "/supervision/spectrum", Name: "病证方药"}, {URL: "/supervision/pivot", Name: "自助分析"},
}

func (a *App) page(title, current string) web.Page {
	return web.NewPage(title, a.cfg.Version, shanghai, a.cfg.Local, "/supervision").Within(sections, current)
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
	case fault.TooCostly:
		status = http.StatusUnprocessableEntity
	case fault.Unavailable:
		status, msg = http.StatusServiceUnavailable, "数据仓库正在启动或重启，请几秒后刷新"
	}
	if f := (*fault.Error)(nil); status < 500 && errors.As(err, &f) {
		msg = f.Msg
	} else if status >= 500 {
		a.Log.ErrorContext(g, "supervision page", "path", g.FullPath(), "error", err)
	}
	g.Status(status)
	a.render(g, "fail", struct {
		web.Page
		Message string
	}{a.page("打不开这一页", ""), msg})
}
