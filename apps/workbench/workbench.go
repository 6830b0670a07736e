package workbench

import (
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/hl7v2/structure"
	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/web"
)

// Config says how the pages show themselves.
type Config struct {
	Version string
	Zone    *time.Location
	Local   bool // loopback without login
}

// Terms finds codes by name, pinyin or initials; *terminology.Service is one.
type Terms interface {
	Find(ctx context.Context, valueSet string, o terminology.ExpandOptions) (list []terminology.Concept, total int, err error)
}

// Parts is what the workbench needs of the hub.
type Parts struct {
	Book    *mapping.Book
	Tally   *mapping.Tally
	Terms   Terms
	Store   store.Store // where ConceptMaps are written
	Letters pipeline.DeadLetters
	Replay  func(ctx context.Context, id string) error // of a dead letter
	Clock   clock.Clock
	Log     *slog.Logger
}

// Workbench serves the pages and their API.
type Workbench struct {
	Parts
	cfg      Config
	pages    *template.Template
	standard *structure.Dictionary
}

// New parses the pages.
func New(cfg Config, parts Parts) (*Workbench, error) {
	pages, err := web.Pages("workbench", cfg.Zone)
	if err != nil {
		return nil, fmt.Errorf("workbench: %w", err)
	}
	standard, err := structure.Standard()
	if err != nil {
		return nil, err
	}
	return &Workbench{Parts: parts, cfg: cfg, pages: pages, standard: standard}, nil
}

// Mount adds the pages and the API to r.
func (w *Workbench) Mount(r gin.IRouter) {
	p := r.Group("/", func(g *gin.Context) {
		g.Header("Content-Security-Policy", web.Policy)
		g.Header("X-Content-Type-Options", "nosniff")
		g.Header("Referrer-Policy", "same-origin")
	})
	p.GET("/console/codes", w.codesPage)
	p.POST("/console/codes/approve", w.approveForm)
	p.GET("/console/maps", w.mapsPage)
	p.GET("/console/maps/:name", w.mapPage)
	p.POST("/console/maps/:name", w.saveForm)
	p.POST("/console/maps/:name/rollback", w.rollbackForm)
	p.POST("/console/maps/:name/preview", w.previewPart)
	p.GET("/console/maps/:name/diff", w.diffPage)
	p.GET("/api/codes", w.codesAPI)
	p.GET("/api/codes/suggest", w.suggestAPI)
	p.POST("/api/codes/approve", w.approveAPI)
	p.GET("/api/maps", w.mapsAPI)
	p.GET("/api/maps/:name", w.mapAPI)
	p.PUT("/api/maps/:name", w.saveAPI)
	p.POST("/api/maps/:name/preview", w.previewAPI)
	p.GET("/api/maps/:name/versions", w.versionsAPI)
	p.GET("/api/maps/:name/diff", w.diffAPI)
	p.POST("/api/maps/:name/rollback", w.rollbackAPI)
}

func (w *Workbench) page(title, current string) web.Page {
	return web.NewPage(title, w.cfg.Version, w.cfg.Zone, w.cfg.Local, current)
}

func (w *Workbench) render(g *gin.Context, status int, name string, data any) {
	g.Header("Content-Type", "text/html; charset=utf-8")
	g.Header("Cache-Control", "no-store")
	g.Status(status)
	if err := w.pages.ExecuteTemplate(g.Writer, name, data); err != nil {
		w.Log.ErrorContext(g, "render page", "page", name, "error", err)
	}
}

// statuses is this edge's one table from faults to HTTP.
var statuses = map[fault.Kind]int{fault.Invalid: http.StatusUnprocessableEntity, fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict,
	fault.Precondition: http.StatusPreconditionFailed, fault.Unsupported: http.StatusNotImplemented, fault.TooCostly: http.StatusRequestEntityTooLarge,
	fault.Busy: http.StatusServiceUnavailable, fault.Unavailable: http.StatusServiceUnavailable, fault.Forbidden: http.StatusForbidden}

// problem is a finding in the API and on the pages.
type problem struct {
	Line  int    `json:"line,omitempty"`
	Col   int    `json:"col,omitempty"`
	Place string `json:"place,omitempty"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

func problems(err error) []problem {
	var out []problem
	for _, is := range fault.IssuesOf(err) {
		out = append(out, problem{is.Line, is.Col, is.Expression, is.Text, is.Hint})
	}
	if err != nil && len(out) == 0 {
		out = []problem{{Text: err.Error()}}
	}
	return out
}

// fail answers an API call. What is ours is logged and not told.
func (w *Workbench) fail(g *gin.Context, err error) {
	status, ok := statuses[fault.KindOf(err)]
	if !ok {
		w.Log.ErrorContext(g, "workbench", "path", g.FullPath(), "error", err)
		g.JSON(http.StatusInternalServerError, gin.H{"error": "internal", "message": "系统内部错误，请联系运维人员"})
		return
	}
	g.JSON(status, gin.H{"error": fault.KindOf(err).String(), "message": err.Error(), "problems": problems(err)})
}
