package supervision

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// profileIndicators are what a hall's page compares with its peers.
var profileIndicators = []string{"outpatient-visits", "patients-seen", "first-visit-share", "tcm-visit-share", "decoction-prescription-share", "patent-prescription-share", "non-drug-therapy-visit-share", "herbs-per-prescription",
	"doses-per-prescription", "cost-per-visit", "drug-cost-share", "decoction-share-of-drug-cost", "dual-diagnosis-rate", "syndrome-recorded-rate", "tongue-pulse-rate", "overdose-prescription-rate",
	"eighteen-incompatibles-rate", "nineteen-antagonisms-rate", "toxic-herb-prescription-rate", "visits-per-doctor-day"}

// standing is a hall's indicator among its peers.
type standing struct {
	Measure                *measures.Measure
	Text, Parts, Peers     string // own value; the peers' median
	Percentile             int
	Few, Good, Bad, Ranked bool
	Previous               change
}

// hallPage is one hall: how it stands among halls of its kind, its days, its
// doctors, and what it treats.
func (a *App) hallPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	if s.Org == "" {
		a.fail(g, fault.New(fault.Invalid, "请先选择一家中医馆"))
		return
	}
	ctx := g.Request.Context()
	page := struct {
		web.Page
		*scope
		Hall      hall
		LevelName string
		Peers     int
		Standings []standing
		Days      chart
		Doctors   []doctorLoad
		Diseases  ranking
	}{Page: a.page(g, s.HallName, "/supervision/halls"), scope: s, Hall: s.places.within("", "", s.Org)[0]}
	page.LevelName = levels[page.Hall.Level]
	if page.Standings, page.Peers, err = a.standings(ctx, s, page.Hall); err == nil {
		page.Days, err = a.series(ctx, s, timeGrain(s.Length), "outpatient-visits")
	}
	if err == nil {
		page.Doctors, err = a.doctorLoads(ctx, s)
	}
	if err == nil {
		page.Diseases, err = a.spectrum(ctx, s, "disease", 10)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	x := sheet{Title: "与同级机构比较", Head: []string{"指标", "本馆", "分子 / 分母", "同级中位数", "百分位", "比上期"}}
	for _, t := range page.Standings {
		x.Rows = append(x.Rows, []string{t.Measure.Title, t.Text, t.Parts, t.Peers, web.Count(t.Percentile), t.Previous.Text})
	}
	if a.export(g, s, s.HallName, x, loadSheet(page.Doctors), page.Diseases.sheet()) {
		return
	}
	a.render(g, "hall", page)
}

// standings compares a hall with those of its level; peers is how many there are.
func (a *App) standings(ctx context.Context, s *scope, own hall) (out []standing, peers int, err error) {
	list, err := a.named(profileIndicators)
	if err != nil {
		return nil, 0, err
	}
	all := s.measured()
	all.Orgs = nil
	for _, h := range s.places.halls {
		if h.Level == own.Level {
			all.Orgs = append(all.Orgs, h.Code)
		}
	}
	rows, err := a.Measures.Table(ctx, a.SQL, all, []string{"org"}, list...)
	if err != nil {
		return nil, 0, err
	}
	before, err := a.Measures.Evaluate(ctx, a.SQL, s.previous(), list...)
	if err != nil {
		return nil, 0, err
	}
	mine := make([]measures.Score, len(list))
	for _, r := range rows {
		if r.Keys[0] == own.Code {
			mine = r.Scores
		}
	}
	for i, m := range list {
		values := defined(rows, i)
		t := standing{Measure: m, Text: text(m, mine[i]), Parts: parts(m, mine[i]), Few: a.few(m, mine[i]), Previous: compare(m, mine[i], before[i]), Ranked: mine[i].Defined && len(values) > 1,
			Peers: text(m, measures.Score{Value: quantile(values, 0.5), Defined: len(values) > 0})}
		if t.Ranked {
			t.Percentile = percentile(values, mine[i].Value)
			high, low := t.Percentile > 75 && mine[i].Value > quantile(values, 0.5), mine[i].Value < quantile(values, 0.25)
			t.Good = m.Better == "increase" && high || m.Better == "decrease" && low
			t.Bad = m.Better == "increase" && low || m.Better == "decrease" && high
		}
		out = append(out, t)
	}
	return out, len(rows), nil
}

// hallsPage lists the halls with a few indicators side by side.
func (a *App) hallsPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	list, err := a.named(headline)
	if err != nil {
		a.fail(g, err)
		return
	}
	rows, err := a.Measures.Table(g.Request.Context(), a.SQL, s.measured(), []string{"org"}, list...)
	if err != nil {
		a.fail(g, err)
		return
	}
	type line struct {
		hall
		Cells []string
	}
	scores := map[string][]measures.Score{}
	for _, r := range rows {
		scores[r.Keys[0]] = r.Scores
	}
	var lines []line
	x := sheet{Title: "中医馆", Head: []string{"机构编码", "中医馆", "市", "县（区）"}}
	for _, m := range list {
		x.Head = append(x.Head, m.Title)
	}
	for _, h := range s.places.within(s.City, s.Area, s.Org) {
		l := line{hall: h}
		for i, m := range list {
			cell := "—"
			if r := scores[h.Code]; r != nil {
				cell = text(m, r[i])
			}
			l.Cells = append(l.Cells, cell)
		}
		lines = append(lines, l)
		x.Rows = append(x.Rows, append([]string{h.Code, h.Name, h.City, h.Area}, l.Cells...))
	}
	if a.export(g, s, "中医馆一览", x) {
		return
	}
	a.render(g, "halls", struct {
		web.Page
		*scope
		Measures []*measures.Measure
		Lines    []line
	}{a.page(g, "中医馆一览", "/supervision/halls"), s, list, lines})
}
