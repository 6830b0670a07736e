package console

import (
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/web"
)

// Mount adds the pages and the console API to r.
func (c *Console) Mount(r gin.IRouter) {
	r.GET("/static/*path", c.static)
	p := r.Group("/", func(g *gin.Context) {
		g.Header("Content-Security-Policy", web.Policy)
		g.Header("X-Content-Type-Options", "nosniff")
		g.Header("Referrer-Policy", "same-origin")
	})
	p.GET("/", c.home)
	p.GET("/console/status", c.status)
	p.GET("/console/charts/:name", c.chartTable)
	p.GET("/console/dead-letters", c.lettersPage)
	p.POST("/console/dead-letters/:id/replay", c.replayForm)
	c.mountRepository(p)
	c.mountJobs(p)
	c.mountSubscriptions(p)
	c.mountSettlements(p)
	c.mountFlow(p)
	p.GET("/api/charts/:name", c.chartData)
	p.GET("/api/status", func(g *gin.Context) { g.JSON(http.StatusOK, c.Hub.Stats(g.Request.Context())) })
	p.GET("/api/dead-letters", c.lettersAPI)
	p.GET("/api/dead-letters/:id/raw", c.raw)
	p.POST("/api/dead-letters/:id/replay", c.replay)
}

func (c *Console) page(title, current string) web.Page {
	return web.NewPage(title, c.cfg.Version, c.cfg.Zone, c.cfg.Local, current)
}

func (c *Console) render(g *gin.Context, name string, data any) {
	g.Header("Content-Type", "text/html; charset=utf-8")
	g.Header("Cache-Control", "no-store")
	if err := c.pages.ExecuteTemplate(g.Writer, name, data); err != nil {
		c.Log.ErrorContext(g, "render page", "page", name, "error", err)
	}
}

func (c *Console) home(g *gin.Context) {
	c.render(g, "home", struct {
		web.Page
		Status        board
		Charts        []Chart
		Base, SQLBase string
	}{c.page("运行情况", "/"), c.board(g.Request.Context()), Charts[:], c.cfg.Base, c.cfg.SQLBase})
}

func (c *Console) status(g *gin.Context) { c.render(g, "status", c.board(g.Request.Context())) }

func (c *Console) chartData(g *gin.Context) {
	ch, ok := chart(g.Param("name"))
	if !ok {
		c.fail(g, fault.New(fault.NotFound, "没有这个图表"))
		return
	}
	a, err := c.answer(g.Request.Context(), ch)
	if err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusOK, a)
}

func (c *Console) chartTable(g *gin.Context) {
	ch, ok := chart(g.Param("name"))
	if !ok {
		c.fail(g, fault.New(fault.NotFound, "没有这个图表"))
		return
	}
	a, err := c.answer(g.Request.Context(), ch)
	if err != nil {
		c.fail(g, err)
		return
	}
	c.render(g, "chart", struct {
		*Answer
		SQL string
	}{a, ch.SQL})
}

func (c *Console) lettersPage(g *gin.Context) {
	items, total, err := c.Letters.List(g.Request.Context(), 100)
	if err != nil {
		c.fail(g, err)
		return
	}
	c.render(g, "deadletters", struct {
		web.Page
		Items []*pipeline.DeadLetter
		Total int64
	}{c.page("待修复消息", "/console/dead-letters"), items, int64(total)})
}

func (c *Console) replayForm(g *gin.Context) {
	if err := c.Hub.Replay(g.Request.Context(), g.Param("id")); err != nil {
		c.fail(g, err)
		return
	}
	g.Redirect(http.StatusSeeOther, "/console/dead-letters")
}

// letter is a dead letter in the console API (CONTRACTS: Console API).
type letter struct {
	ID       string    `json:"id"`
	Source   string    `json:"source"`
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
	Reason   string    `json:"reason"`
	Location string    `json:"location"`
	Attempts int       `json:"attempts"`
}

func (c *Console) lettersAPI(g *gin.Context) {
	limit := 100
	if s := g.Query("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 10000 {
			c.fail(g, fault.New(fault.Invalid, "limit 应为 0 到 10000 的整数"))
			return
		}
		limit = n
	}
	items, total, err := c.Letters.List(g.Request.Context(), limit)
	if err != nil {
		c.fail(g, err)
		return
	}
	out := make([]letter, len(items))
	for i, d := range items {
		out[i] = letter{d.ID, d.Message.Source, d.Message.Kind, d.Time, d.Reason, d.Location, d.Attempts}
	}
	g.JSON(http.StatusOK, gin.H{"total": total, "items": out})
}

func (c *Console) raw(g *gin.Context) {
	d, err := c.Letters.Get(g.Request.Context(), g.Param("id"))
	if err != nil {
		c.fail(g, err)
		return
	}
	g.Header("Content-Disposition", `attachment; filename="`+d.ID+`"`)
	g.Data(http.StatusOK, "application/octet-stream", d.Message.Body)
}

func (c *Console) replay(g *gin.Context) {
	if err := c.Hub.Replay(g.Request.Context(), g.Param("id")); err != nil {
		c.fail(g, err)
		return
	}
	g.JSON(http.StatusAccepted, gin.H{"id": g.Param("id"), "status": "replayed"})
}

// statuses is this edge's translation of faults.
var statuses = map[fault.Kind]int{
	fault.Invalid: 400, fault.NotFound: 404, fault.Gone: 410, fault.Conflict: 409, fault.Precondition: 412, fault.Forbidden: 403,
	fault.Unauthorized: 401, fault.Unsupported: 405, fault.TooCostly: 403, fault.Busy: 429, fault.Unavailable: 503, fault.Internal: 500,
}

func (c *Console) fail(g *gin.Context, err error) {
	kind := fault.KindOf(err)
	var f *fault.Error
	msg := "系统内部错误，请把请求编号告诉管理员"
	if errors.As(err, &f) && kind != fault.Internal {
		msg = f.Msg
		if is := fault.IssuesOf(err); len(is) > 0 && is[0].Text != "" {
			msg = is[0].Text
		}
	}
	if kind == fault.Internal || kind == fault.Unavailable {
		c.Log.ErrorContext(g, "console request", "path", g.FullPath(), "error", err)
	}
	g.AbortWithStatusJSON(statuses[kind], gin.H{"error": kind.String(), "message": msg})
}

func (c *Console) static(g *gin.Context) {
	name := strings.TrimPrefix(g.Param("path"), "/")
	b, err := fs.ReadFile(web.Static(), name)
	if err != nil {
		g.String(http.StatusNotFound, "没有这个文件")
		return
	}
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	kind := "application/octet-stream"
	if i := strings.LastIndexByte(name, '.'); i >= 0 && types[name[i:]] != "" {
		kind = types[name[i:]]
	}
	if g.Query("v") != "" {
		g.Header("Cache-Control", "public, max-age=31536000, immutable")
	}
	g.Data(http.StatusOK, kind, b)
}
