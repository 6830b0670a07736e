package alerts

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Mount adds the JSON interface of the desk below /api/supervision:
//
//	GET  /alerts/rules                     the rules in force
//	GET  /alerts/backtest?from=&to=        what would have fired, as episodes
//	POST /alerts/run?day=                  run the rules for a day now
//	GET  /tasks?kind=&org=&owner=&rule=&open=true&limit=
//	POST /tasks                            open one: {kind, org, title, text, level, due, by}
//	GET  /tasks/{id}
//	POST /tasks/{id}/{action}              assign handle submit escalate close cancel: {by, note, owner, due}
//
// Errors are {"error": sentence} with the status of their kind.
func (d *Desk) Mount(r gin.IRouter) {
	g := r.Group("/api/supervision")
	g.GET("/alerts/rules", d.serve(func(*gin.Context) (any, error) { return map[string]any{"rules": d.Rules}, nil }))
	g.GET("/alerts/backtest", d.serve(d.serveBacktest))
	g.POST("/alerts/run", d.serve(d.serveRun))
	g.GET("/tasks", d.serve(d.serveTasks))
	g.POST("/tasks", d.serve(d.serveOpen))
	g.GET("/tasks/:id", d.serve(func(c *gin.Context) (any, error) { return d.Task(c.Request.Context(), c.Param("id")) }))
	g.POST("/tasks/:id/:action", d.serve(d.serveAct))
}

// serve answers what fn returns as JSON, errors in the words of their fault.
func (d *Desk) serve(fn func(*gin.Context) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-store")
		v, err := fn(c)
		if err != nil {
			status, msg := Status(err)
			if status >= 500 {
				d.Log.ErrorContext(c, "supervision", "path", c.FullPath(), "error", err)
			}
			c.JSON(status, map[string]string{"error": msg})
			return
		}
		c.JSON(http.StatusOK, v)
	}
}

// Status translates a fault for the JSON interfaces of supervision: the status
// and a sentence.
func Status(err error) (int, string) {
	var f *fault.Error
	msg := "系统内部错误，请稍后再试"
	if errors.As(err, &f) && f.Kind != fault.Internal {
		msg = f.Msg
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Unsupported:
		return http.StatusBadRequest, msg
	case fault.Forbidden:
		return http.StatusForbidden, msg
	case fault.NotFound, fault.Gone:
		return http.StatusNotFound, msg
	case fault.Conflict, fault.Precondition:
		return http.StatusConflict, msg
	case fault.TooCostly:
		return http.StatusUnprocessableEntity, msg
	case fault.Unavailable, fault.Busy:
		return http.StatusServiceUnavailable, "数据仓库正在启动或重启，请稍后再试"
	}
	return http.StatusInternalServerError, msg
}

// Span reads a range of days, inclusive; at most two years.
func Span(from, to string) (begin, end time.Time, err error) {
	if begin, _, err = measures.Day(from); err != nil {
		return begin, end, err
	}
	if _, end, err = measures.Day(to); err != nil {
		return begin, end, err
	}
	end = end.AddDate(0, 0, -1)
	if end.Before(begin) || end.Sub(begin) > 731*24*time.Hour {
		return begin, end, fault.New(fault.Invalid, "起止日期应在两年以内，止日不早于起日")
	}
	return begin, end, nil
}

func (d *Desk) serveBacktest(c *gin.Context) (any, error) {
	from, to, err := Span(c.Query("from"), c.Query("to"))
	if err != nil {
		return nil, err
	}
	found, err := d.Detect(c.Request.Context(), from, to)
	if err != nil {
		return nil, err
	}
	return map[string]any{"episodes": Episodes(found, 0)}, nil
}

func (d *Desk) serveRun(c *gin.Context) (any, error) {
	day, _, err := measures.Day(c.Query("day"))
	if err != nil {
		return nil, err
	}
	opened, err := d.Run(c.Request.Context(), day)
	if err != nil {
		return nil, err
	}
	if opened == nil {
		opened = []*Task{}
	}
	return map[string]any{"opened": opened}, nil
}

func (d *Desk) serveTasks(c *gin.Context) (any, error) {
	f := Filter{Kind: c.Query("kind"), Owner: c.Query("owner"), Rule: c.Query("rule"), Open: c.Query("open") == "true"}
	if org := c.Query("org"); org != "" {
		f.Orgs = []string{org}
	}
	if s := c.Query("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fault.New(fault.Invalid, "limit 应为正整数")
		}
		f.Limit = n
	}
	list, err := d.Tasks(c.Request.Context(), f)
	if list == nil {
		list = []*Task{}
	}
	return map[string]any{"total": len(list), "items": list}, err
}

const maxBody = 64 << 10

func body(c *gin.Context, into any) error {
	b, err := io.ReadAll(io.LimitReader(c.Request.Body, maxBody+1))
	if err == nil && len(b) <= maxBody {
		err = json.Unmarshal(b, into)
	}
	if err != nil || len(b) > maxBody {
		return fault.New(fault.Invalid, "正文应为 JSON，最多 64 KB")
	}
	return nil
}

func (d *Desk) serveOpen(c *gin.Context) (any, error) {
	var in struct {
		Task
		By string `json:"by"`
	}
	if err := body(c, &in); err != nil {
		return nil, err
	}
	return d.Open(c.Request.Context(), &Task{Kind: in.Kind, Org: in.Org, Title: in.Title, Text: in.Text, Level: in.Level, Due: in.Due}, in.By)
}

func (d *Desk) serveAct(c *gin.Context) (any, error) {
	var s Step
	if err := body(c, &s); err != nil {
		return nil, err
	}
	return d.Act(c.Request.Context(), c.Param("id"), c.Param("action"), s)
}
