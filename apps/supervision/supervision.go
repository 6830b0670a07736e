// Package supervision is 中医临床业务监管: indicators of the halls for a period,
// each one click from its ranking by hall, its days, its definition and source.
package supervision

import (
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// Config says how the pages show themselves.
type Config struct {
	Version string
	Local   bool
}

// App serves the pages.
type App struct {
	cfg       Config
	catalogue *measures.Catalogue
	sql       measures.Querier
	now       func() time.Time
	log       *slog.Logger
	pages     *template.Template
}

// New makes the application.
func New(cfg Config, c *measures.Catalogue, sql measures.Querier, now func() time.Time, log *slog.Logger) (*App, error) {
	pages, err := web.Pages("supervision", measures.Shanghai())
	if err != nil {
		return nil, err
	}
	return &App{cfg: cfg, catalogue: c, sql: sql, now: now, log: log, pages: pages}, nil
}

// hall is an entry of the chooser.
type hall struct{ Key, Name string }

// scope is what the filter form shows; it stands in the URL, so that pages can
// be shared and "back" keeps it.
type scope struct {
	Path, From, To, Org, Fresh string
	Query                      template.URL // the filter, encoded
	Halls                      []hall
	measures.Scope
}

// tile is one indicator of the cockpit.
type tile struct{ Name, Title, Definition, Text, Parts string }

// group is a section of the cockpit.
type group struct {
	Title string
	Items []tile
}

// bar is one row of a ranking.
type bar struct {
	Name, Text, Parts, Link string
	Width                   int
	value                   float64
}

// groups orders the cockpit by what a supervisor asks; an indicator stands in
// the first group that has a word of its name.
var groups = []struct {
	title string
	words []string
}{
	{"用药安全", []string{"overdose", "eighteen", "nineteen", "toxic", "over-", "unknown-herb"}},
	{"处方", []string{"prescription", "herbs-per", "doses-per", "per-dose", "formula"}},
	{"费用", []string{"cost", "income"}},
	{"病历与诊断质量", []string{"rate", "dual", "recorded", "coded", "record"}},
	{"服务量与负荷", []string{""}},
}

func (a *App) cockpit(ctx context.Context, s scope) ([]group, error) {
	list := a.catalogue.All()
	scores, err := a.catalogue.Evaluate(ctx, a.sql, s.Scope, list...)
	if err != nil {
		return nil, err
	}
	out := make([]group, len(groups))
	for i, g := range groups {
		out[i].Title = g.title
	}
	for i, m := range list {
		at := slices.IndexFunc(groups, func(g struct {
			title string
			words []string
		}) bool {
			return slices.ContainsFunc(g.words, func(w string) bool { return strings.Contains(m.Name, w) })
		})
		out[at].Items = append(out[at].Items, tile{m.Name, m.Title, m.Definition, text(m, scores[i]), parts(m, scores[i])})
	}
	return out, nil
}

// breakdown ranks the halls, or lists the days.
func (a *App) breakdown(ctx context.Context, s scope, m *measures.Measure, dimension string) ([]bar, error) {
	rows, err := a.catalogue.Breakdown(ctx, a.sql, s.Scope, m, dimension)
	if err != nil {
		return nil, err
	}
	bars := make([]bar, 0, len(rows))
	top := 0.0
	for _, r := range rows {
		score, key := r.Scores[0], r.Keys[0]
		b := bar{Name: key, Text: text(m, score), Parts: parts(m, score), value: score.Value}
		if dimension == "org" {
			for _, h := range s.Halls {
				if h.Key == key {
					b.Name = h.Name
				}
			}
			b.Link = fmt.Sprintf("/supervision/%s?from=%s&to=%s&org=%s", m.Name, s.From, s.To, template.URLQueryEscaper(key))
		}
		top = max(top, b.value)
		bars = append(bars, b)
	}
	for i := range bars {
		if top > 0 {
			bars[i].Width = int(100 * bars[i].value / top)
		}
	}
	if dimension == "org" {
		slices.SortStableFunc(bars, func(x, y bar) int {
			switch {
			case x.value > y.value:
				return -1
			case x.value < y.value:
				return 1
			}
			return 0
		})
	}
	return bars, nil
}

// text writes a value as people read it: a share in percent, money with two
// places, a count with separators.
func text(m *measures.Measure, s measures.Score) string {
	switch {
	case !s.Defined:
		return "—"
	case m.Scoring == "proportion":
		return fmt.Sprintf("%.1f%%", 100*s.Value)
	case m.Unit == "元":
		return "¥" + money(s.Value)
	case m.Denominator != "":
		return fmt.Sprintf("%.1f %s", s.Value, m.Unit)
	}
	return web.Count(int64(s.Value+0.5)) + " " + m.Unit
}

func money(v float64) string {
	cents := int64(v*100 + 0.5)
	return fmt.Sprintf("%s.%02d", web.Count(cents/100), cents%100)
}

func parts(m *measures.Measure, s measures.Score) string {
	if m.Denominator == "" {
		return ""
	}
	return web.Count(int64(s.Numerator+0.5)) + " / " + web.Count(int64(s.Denominator+0.5))
}
