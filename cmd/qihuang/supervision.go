package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/warehouse/quality"
)

// mountSupervision adds the JSON interfaces of the warehouse that pages and
// platforms read: indicators, tables of them, records behind a number, data
// quality.
func (h *hub) mountSupervision(r gin.IRouter) {
	g := r.Group("/api/supervision")
	g.GET("/measures", h.answer(func(*gin.Context) (any, error) { return h.measureList(), nil }))
	g.GET("/table", h.answer(h.measureTable))
	g.GET("/records", h.answer(h.measureRecords))
	g.GET("/quality", h.answer(h.dataQuality))
	g.POST("/publish", h.answer(h.publishNow))
}

// answer writes what fn returns as JSON.
func (h *hub) answer(fn func(*gin.Context) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		v, err := fn(c)
		if err != nil {
			status, text := alerts.Status(err)
			if status >= 500 {
				h.log.ErrorContext(c, "supervision", "path", c.FullPath(), "error", err)
			}
			c.JSON(status, map[string]string{"error": text})
			return
		}
		c.Header("Cache-Control", "no-store")
		c.JSON(http.StatusOK, v)
	}
}

// measureList is the catalogue with everything a definition page shows.
func (h *hub) measureList() any {
	type item struct {
		Name        string               `json:"name"`
		Title       string               `json:"title"`
		Definition  string               `json:"definition"`
		Numerator   string               `json:"numerator"`
		Denominator string               `json:"denominator,omitempty"`
		Fact        string               `json:"fact"`
		Unit        string               `json:"unit,omitempty"`
		Scoring     string               `json:"scoring"`
		Grain       string               `json:"grain"`
		Source      string               `json:"source"`
		From        string               `json:"effectiveFrom"`
		To          string               `json:"effectiveTo,omitempty"`
		Better      string               `json:"better,omitempty"`
		Dimensions  []measures.Dimension `json:"dimensions"`
		Thresholds  []measures.Threshold `json:"thresholds,omitempty"`
	}
	var out []item
	for _, m := range h.measures.All() {
		out = append(out, item{m.Name, m.Title, m.Definition, m.Numerator, m.Denominator, m.Fact, m.Unit, m.Scoring, m.Grain, m.Source, m.From, m.To, m.Better, m.Dimensions, m.Thresholds})
	}
	return map[string]any{"measures": out}
}

// scope reads from, to (days) and subject (an organisation with all below it).
func (h *hub) scope(c *gin.Context) (s measures.Scope, err error) {
	if s.From, _, err = measures.Day(c.Query("from")); err != nil {
		return s, err
	}
	if _, s.To, err = measures.Day(c.Query("to")); err != nil {
		return s, err
	}
	if !s.From.Before(s.To) {
		return s, fault.New(fault.Invalid, "止日早于起日")
	}
	if subject := c.Query("subject"); subject != "" {
		s.Orgs, err = measures.Halls(c.Request.Context(), h.warehouse, subject)
	}
	return s, err
}

// named reads the repeated parameter measure.
func (h *hub) named(c *gin.Context) (list []*measures.Measure, err error) {
	names := c.QueryArray("measure")
	if len(names) == 0 || len(names) > 100 {
		return nil, fault.New(fault.Invalid, "请给出 1–100 个 measure")
	}
	for _, n := range names {
		m, err := h.measures.Get(n)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func (h *hub) measureTable(c *gin.Context) (any, error) {
	s, err := h.scope(c)
	if err != nil {
		return nil, err
	}
	list, err := h.named(c)
	if err != nil {
		return nil, err
	}
	dims := c.QueryArray("by")
	if len(dims) > 4 {
		return nil, fault.New(fault.Invalid, "最多按四个维度分组")
	}
	rows, err := h.measures.Table(c.Request.Context(), h.warehouse, s, dims, list...)
	if err != nil {
		return nil, err
	}
	type value struct {
		Numerator   float64  `json:"numerator"`
		Denominator float64  `json:"denominator,omitempty"`
		Value       *float64 `json:"value"` // null where the denominator is 0
	}
	type row struct {
		Keys   []string `json:"keys"`
		Values []value  `json:"values"`
	}
	out := []row{}
	for _, r := range rows {
		o := row{Keys: r.Keys}
		for _, sc := range r.Scores {
			v := value{Numerator: sc.Numerator, Denominator: sc.Denominator}
			if sc.Defined {
				v.Value = &sc.Value
			}
			o.Values = append(o.Values, v)
		}
		out = append(out, o)
	}
	return map[string]any{"by": dims, "measures": c.QueryArray("measure"), "rows": out}, nil
}

func (h *hub) measureRecords(c *gin.Context) (any, error) {
	s, err := h.scope(c)
	if err != nil {
		return nil, err
	}
	list, err := h.named(c)
	if err != nil {
		return nil, err
	}
	records, err := h.measures.Records(c.Request.Context(), h.warehouse, s, list[0], 1000)
	return map[string]any{"records": records}, err
}

func (h *hub) dataQuality(c *gin.Context) (any, error) {
	s, err := h.scope(c)
	if err != nil {
		return nil, err
	}
	ctx, limits := c.Request.Context(), quality.DefaultLimits()
	halls, err := quality.Check(ctx, h.measures, h.warehouse, s, limits)
	if err != nil {
		return nil, err
	}
	days, err := quality.Days(ctx, h.warehouse, s)
	return map[string]any{"limits": limits, "halls": halls, "days": days, "refused": h.letters.Total()}, err
}
