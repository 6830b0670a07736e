package supervision

import (
	"cmp"
	"context"
	"html/template"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// maxListed bounds the rows of doctors or halls that a page shows; exports hold
// all.
const maxListed = 300

// loadIndicators are what a doctor's workload is told by.
var loadIndicators = []string{"outpatient-visits", "patients-seen", "visits-per-doctor-day", "prescriptions", "herbs-per-prescription", "cost-per-visit", "overdose-prescription-rate"}

// doctorLoad is one doctor's workload.
type doctorLoad struct {
	Name, Hall string
	Cells      []string
	Width      int
	Link       template.URL
	visits     float64
}

// doctorLoads lists the doctors of a scope, the busiest first.
func (a *App) doctorLoads(ctx context.Context, s *scope) ([]doctorLoad, error) {
	list, err := a.named(loadIndicators)
	if err != nil {
		return nil, err
	}
	rows, err := a.Measures.Table(ctx, a.SQL, s.measured(), []string{"doctor", "org"}, list...)
	if err != nil {
		return nil, err
	}
	names, err := a.names(ctx, s, "doctor", rows)
	if err != nil {
		return nil, err
	}
	out := make([]doctorLoad, 0, len(rows))
	for _, r := range rows {
		d := doctorLoad{Name: names[r.Keys[0]], Hall: s.name("org", r.Keys[1]), visits: r.Scores[0].Value, Link: s.Link("/supervision/records", "measure", "outpatient-visits", "doctor", r.Keys[0], "org", r.Keys[1])}
		for i, m := range list {
			d.Cells = append(d.Cells, text(m, r.Scores[i]))
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(x, y doctorLoad) int { return cmp.Compare(y.visits, x.visits) })
	for i := range out {
		out[i].Width = int(100 * out[i].visits / max(1, out[0].visits))
	}
	return out, nil
}

func loadSheet(list []doctorLoad) sheet {
	x := sheet{Title: "医生工作量", Head: []string{"医生", "中医馆", "门诊人次", "就诊人数", "日均人次", "处方数", "每方味数", "次均费用", "超剂量处方率"}}
	for _, d := range list {
		x.Rows = append(x.Rows, append([]string{d.Name, d.Hall}, d.Cells...))
	}
	return x
}

func (a *App) workloadPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	ctx := g.Request.Context()
	list, err := a.doctorLoads(ctx, s)
	if err != nil {
		a.fail(g, err)
		return
	}
	week, err := a.series(ctx, s, "weekday", "outpatient-visits")
	if err != nil {
		a.fail(g, err)
		return
	}
	week.Kind = "bar"
	if a.export(g, s, "医生工作量", loadSheet(list)) {
		return
	}
	a.render(g, "workload", struct {
		web.Page
		*scope
		Head    []string
		Doctors []doctorLoad
		All     int
		Week    chart
	}{a.page(g, "医生工作量", "/supervision/workload"), s, loadSheet(nil).Head[2:], list[:min(len(list), maxListed)], len(list), week})
}

// spectra are what a scope treats, and with what.
var spectra = []choice{{Key: "disease", Name: "中医病名"}, {Key: "syndrome", Name: "证候"}, {Key: "icd10", Name: "西医诊断"}, {Key: "formula", Name: "方剂"}, {Key: "herb", Name: "药味"}}

// spectrum ranks diseases, syndromes, formulas or herbs by how often they occur.
func (a *App) spectrum(ctx context.Context, s *scope, kind string, limit int) (ranking, error) {
	switch kind {
	case "herb":
		return a.herbs(ctx, s, limit)
	case "formula":
		m, err := a.Measures.Get("prescriptions")
		if err != nil {
			return ranking{}, err
		}
		return a.rank(ctx, s, m, kind, limit)
	}
	m, err := a.Measures.Get("outpatient-visits")
	if err != nil {
		return ranking{}, err
	}
	return a.rank(ctx, s, m, kind, limit)
}

// herbs counts the prescriptions that hold each herb, with its usual dose.
func (a *App) herbs(ctx context.Context, s *scope, limit int) (ranking, error) {
	m := &measures.Measure{Name: "herb-prescriptions", Title: "处方数", Unit: "张"}
	r := ranking{Measure: m, Dimension: "药味"}
	err := a.SQL.Query(ctx, `SELECT ifNull(i.name, ''), toFloat64(uniqExact(i.prescription_id)), ifNull(quantileExact(0.5)(toFloat64(i.dose)), 0.) FROM qihuang.prescription_item AS i FINAL
WHERE i.prescription_id IN (SELECT id FROM qihuang.prescription FINAL WHERE category NOT IN ('western', 'patent') AND encounter_id IN (
  SELECT id FROM qihuang.encounter FINAL WHERE status = 'finished' AND start >= {from:DateTime64(3, 'UTC')} AND start < {to:DateTime64(3, 'UTC')} AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)})))
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 500`, s.params(), func(scan func(...any) error) error {
		var name string
		var count, dose float64
		if err := scan(&name, &count, &dose); err != nil {
			return err
		}
		row := rankRow{Place: len(r.Rows) + 1, Name: name, Text: text(m, measures.Score{Value: count, Defined: true}), value: count, plain: web.Decimal(count)}
		if dose > 0 {
			row.Parts = "中位剂量 " + web.Decimal(dose) + " g"
		}
		row.Width = 100
		if len(r.Rows) > 0 {
			row.Width = int(100 * count / r.Rows[0].value)
		}
		r.Rows = append(r.Rows, row)
		return nil
	})
	r.Groups = len(r.Rows)
	if limit > 0 && len(r.Rows) > limit {
		r.Rows = r.Rows[:limit]
	}
	return r, err
}

func (a *App) spectrumPage(g *gin.Context) {
	s, err := a.scope(g, "kind")
	if err != nil {
		a.fail(g, err)
		return
	}
	kind := g.DefaultQuery("kind", "disease")
	kinds := slices.Clone(spectra)
	at := slices.IndexFunc(kinds, func(c choice) bool { return c.Key == kind })
	if at < 0 {
		at, kind = 0, "disease"
	}
	kinds[at].Current = true
	r, err := a.spectrum(g.Request.Context(), s, kind, 0)
	if err != nil {
		a.fail(g, err)
		return
	}
	if a.export(g, s, kinds[at].Name+"谱", r.sheet()) {
		return
	}
	top := chart{Kind: "rank", Series: []series{{Name: r.Measure.Title}}}
	for _, row := range r.Rows[:min(20, len(r.Rows))] {
		top.Labels, top.Series[0].Values = append(top.Labels, row.Name), append(top.Series[0].Values, row.value)
	}
	a.render(g, "spectrum", struct {
		web.Page
		*scope
		Kinds   []choice
		Ranking ranking
		Top     chart
	}{a.page(g, kinds[at].Name+"谱", "/supervision/spectrum"), s, kinds, r, top})
}
