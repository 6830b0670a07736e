package supervision

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// Mount adds the pages to r.
func (a *App) Mount(r gin.IRouter) {
	r.GET("/supervision", a.cockpitPage)
	r.GET("/supervision/:measure", a.indicatorPage)
}

func (a *App) page(title string) web.Page {
	return web.NewPage(title, a.cfg.Version, measures.Shanghai(), a.cfg.Local, "/supervision")
}

func (a *App) cockpitPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	list, err := a.cockpit(g.Request.Context(), s)
	if err != nil {
		a.fail(g, err)
		return
	}
	a.render(g, "cockpit", struct {
		web.Page
		scope
		Groups []group
	}{a.page("业务监管"), s, list})
}

func (a *App) indicatorPage(g *gin.Context) {
	m, err := a.catalogue.Get(g.Param("measure"))
	if err != nil {
		a.fail(g, err)
		return
	}
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	ctx := g.Request.Context()
	scores, err := a.catalogue.Evaluate(ctx, a.sql, s.Scope, m)
	if err != nil {
		a.fail(g, err)
		return
	}
	halls, err := a.breakdown(ctx, s, m, "org")
	if err != nil {
		a.fail(g, err)
		return
	}
	days, err := a.breakdown(ctx, s, m, "day")
	if err != nil {
		a.fail(g, err)
		return
	}
	a.render(g, "indicator", struct {
		web.Page
		scope
		Measure       *measures.Measure
		Text          string
		ByHall, ByDay []bar
	}{a.page(m.Title), s, m, text(m, scores[0]), halls, days})
}

// scope reads the filter: 30 days up to today where nothing is said.
func (a *App) scope(g *gin.Context) (s scope, err error) {
	today := a.now().In(measures.Shanghai())
	s.Path, s.From, s.To, s.Org = g.Request.URL.Path, g.Query("from"), g.Query("to"), g.Query("org")
	if s.To == "" {
		s.To = today.Format(time.DateOnly)
	}
	if s.From == "" {
		s.From = today.AddDate(0, 0, -29).Format(time.DateOnly)
	}
	s.Query = template.URL(url.Values{"from": {s.From}, "to": {s.To}, "org": {s.Org}}.Encode())
	if s.Scope.From, _, err = measures.Day(s.From); err != nil {
		return s, err
	}
	if _, s.Scope.To, err = measures.Day(s.To); err != nil {
		return s, err
	}
	if !s.Scope.From.Before(s.Scope.To) {
		return s, fault.New(fault.Invalid, "止日早于起日，请重新选择日期")
	}
	if s.Org != "" {
		s.Scope.Orgs = []string{s.Org}
	}
	s.Halls, s.Fresh, err = a.halls(g.Request.Context())
	return s, err
}

// halls lists the halls that have visits, and how fresh the tables are.
func (a *App) halls(ctx context.Context) (list []hall, fresh string, err error) {
	err = a.sql.Query(ctx, `SELECT ifNull(org_code, ''), ifNull(any(org_name), '') FROM qihuang.encounter FINAL GROUP BY org_code ORDER BY org_code LIMIT 5000`, nil, func(scan func(...any) error) error {
		var h hall
		if err := scan(&h.Key, &h.Name); err != nil {
			return err
		}
		if h.Name == "" {
			h.Name = h.Key
		}
		list = append(list, h)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	err = a.sql.Query(ctx, `SELECT max(last_updated) FROM qihuang.resource`, nil, func(scan func(...any) error) error {
		var t time.Time
		err := scan(&t)
		fresh = t.In(measures.Shanghai()).Format("2006-01-02 15:04:05")
		return err
	})
	return list, fresh, err
}

func (a *App) render(g *gin.Context, name string, data any) {
	g.Header("Content-Type", "text/html; charset=utf-8")
	g.Header("Cache-Control", "no-store")
	g.Header("Content-Security-Policy", web.Policy)
	g.Header("X-Content-Type-Options", "nosniff")
	if err := a.pages.ExecuteTemplate(g.Writer, name, data); err != nil {
		a.log.ErrorContext(g, "render page", "page", name, "error", err)
	}
}

// fail shows a sentence that says what to do.
func (a *App) fail(g *gin.Context, err error) {
	status, msg := http.StatusInternalServerError, "系统内部错误，请稍后再试"
	switch fault.KindOf(err) {
	case fault.Invalid:
		status, msg = http.StatusBadRequest, "日期应写作 2026-11-22，且止日不早于起日"
	case fault.NotFound:
		status = http.StatusNotFound
		var f *fault.Error
		if errors.As(err, &f) {
			msg = f.Msg
		}
	case fault.Unavailable:
		status, msg = http.StatusServiceUnavailable, "数据仓库正在启动或重启，请几秒后刷新"
	}
	if status >= 500 {
		a.log.ErrorContext(g, "supervision page", "path", g.FullPath(), "error", err)
	}
	g.String(status, "%s", msg)
}
