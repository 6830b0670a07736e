// Package analysts is what people who work in SQL need beside the SQL port: the
// data dictionary, and extracts for research.
package analysts

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/extract"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/warehouse/sink"
	"github.com/qihuang-health/qihuang/web"
)

// Config says how the pages show themselves.
type Config struct {
	Version, Database string
	Zone              *time.Location
	Local             bool
	Key               []byte // of the extracts' pseudonyms
}

// Dictionary tells the tables; *sink.Sink is one.
type Dictionary interface{ Dictionary() []sink.Table }

// App serves the pages.
type App struct {
	cfg    Config
	tables Dictionary
	sql    measures.Querier
	now    func() time.Time
	log    *slog.Logger
	pages  *template.Template
}

// New makes the application.
func New(cfg Config, d Dictionary, sql measures.Querier, now func() time.Time, log *slog.Logger) (*App, error) {
	pages, err := web.Pages("analysts", cfg.Zone)
	if err != nil {
		return nil, err
	}
	return &App{cfg, d, sql, now, log, pages}, nil
}

// Mount adds the pages and interfaces:
//
//	GET  /warehouse/dictionary        for people
//	GET  /warehouse/dictionary.json   {database, tables:[{name, columns:[{name, type, fhirPath, definition}]}]}
//	POST /api/warehouse/extracts      {from, to, subject, k, shift, small, suppress, consent} → a ZIP archive
func (a *App) Mount(r gin.IRouter) {
	r.GET("/warehouse/dictionary", a.page)
	r.GET("/warehouse/dictionary.json", func(c *gin.Context) {
		c.JSON(http.StatusOK, map[string]any{"database": a.cfg.Database, "tables": a.tables.Dictionary()})
	})
	r.POST("/api/warehouse/extracts", a.extract)
}

func (a *App) page(c *gin.Context) {
	c.Header("Content-Type", "text/html; charset=utf-8")
	c.Header("Content-Security-Policy", web.Policy)
	c.Header("X-Content-Type-Options", "nosniff")
	if err := a.pages.ExecuteTemplate(c.Writer, "dictionary", struct {
		web.Page
		Database string
		Tables   []sink.Table
	}{web.NewPage("数据字典", a.cfg.Version, a.cfg.Zone, a.cfg.Local, "/warehouse/dictionary"), a.cfg.Database, a.tables.Dictionary()}); err != nil {
		a.log.ErrorContext(c, "render page", "page", "dictionary", "error", err)
	}
}

func (a *App) extract(c *gin.Context) {
	in := struct {
		extract.Config
		From, To, Subject string
	}{Config: extract.Default()}
	body, err := io.ReadAll(io.LimitReader(c.Request.Body, 64<<10))
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		a.fail(c, fault.New(fault.Invalid, "正文应为 JSON"))
		return
	}
	in.Key = a.cfg.Key
	out, err := a.make(c.Request.Context(), in.Config, in.From, in.To, in.Subject)
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(c, "research extract", "from", out.Report.From, "to", out.Report.To, "rows", out.Report.Rows, "k", out.Report.K, "smallest", out.Report.Smallest)
	c.Header("Content-Type", "application/zip")
	c.Header("Content-Disposition", `attachment; filename="extract-`+out.Report.From+"-"+out.Report.To+`.zip"`)
	if err := out.WriteZip(c.Writer); err != nil {
		a.log.WarnContext(c, "send extract", "error", err)
	}
}

func (a *App) make(ctx context.Context, cfg extract.Config, from, to, subject string) (*extract.Result, error) {
	var s measures.Scope
	var err error
	if s.From, _, err = measures.Day(from); err != nil {
		return nil, err
	}
	if _, s.To, err = measures.Day(to); err != nil {
		return nil, err
	}
	if !s.From.Before(s.To) {
		return nil, fault.New(fault.Invalid, "止日早于起日")
	}
	if subject != "" {
		if s.Orgs, err = measures.Halls(ctx, a.sql, subject); err != nil {
			return nil, err
		}
	}
	return extract.Make(ctx, a.sql, s, cfg, a.now())
}

// fail answers {"error": sentence}.
func (a *App) fail(c *gin.Context, err error) {
	status := map[fault.Kind]int{fault.Invalid: 400, fault.NotFound: 404, fault.TooCostly: 422, fault.Unavailable: 503}[fault.KindOf(err)]
	msg := "系统内部错误，请稍后再试"
	var f *fault.Error
	if errors.As(err, &f) && status != 0 {
		msg = f.Msg
	}
	if status == 0 {
		status = http.StatusInternalServerError
		a.log.ErrorContext(c, "analysts", "path", c.FullPath(), "error", err)
	}
	c.JSON(status, map[string]string{"error": msg})
}
