// Package features shows the conformance page of the FHIR server: what it
// supports and the tests that show it.
package features

import (
	"bytes"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/conformance/features"
	"github.com/qihuang-health/qihuang/web"
)

// Config says how the page shows itself.
type Config struct {
	Version string
	Zone    *time.Location
	Local   bool // loopback without login: the page says so
}

// App serves the page. It is read-only after New and safe for concurrent use.
type App struct {
	cfg   Config
	areas []area
	pages *template.Template
	log   *slog.Logger
}

type area struct {
	Name     string
	Features []features.Feature
}

// New reads the list. Errors: a list or a template that is broken.
func New(cfg Config, log *slog.Logger) (*App, error) {
	all, err := features.All()
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: log}
	for _, f := range all {
		if n := len(a.areas); n == 0 || a.areas[n-1].Name != f.Area {
			a.areas = append(a.areas, area{Name: f.Area})
		}
		last := &a.areas[len(a.areas)-1]
		last.Features = append(last.Features, f)
	}
	a.pages, err = web.Pages("features", cfg.Zone)
	return a, err
}

// Mount adds the page to r.
func (a *App) Mount(r gin.IRouter) { r.GET("/fhir-conformance", a.show) }

func (a *App) show(g *gin.Context) {
	var b bytes.Buffer
	err := a.pages.ExecuteTemplate(&b, "features", struct {
		web.Page
		Areas []area
	}{web.NewPage("FHIR 一致性", a.cfg.Version, a.cfg.Zone, a.cfg.Local, "/"), a.areas})
	if err != nil {
		a.log.Error("show the conformance page", "error", err)
		g.String(http.StatusInternalServerError, "页面暂时不能显示，请稍后重试")
		return
	}
	g.Header("Content-Security-Policy", web.Policy)
	g.Header("X-Content-Type-Options", "nosniff")
	g.Data(http.StatusOK, "text/html; charset=utf-8", b.Bytes())
}
