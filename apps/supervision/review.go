package supervision

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/apps/supervision/review"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/alerts"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/web"
)

// methodTitles are the ways to draw a sample.
var methodTitles = []choice{{Key: review.Random, Name: "随机"}, {Key: review.ByHall, Name: "按中医馆分层"}, {Key: review.ByDoctor, Name: "按医生分层"}}

// categoryTitles are the kinds of prescriptions.
var categoryTitles = []choice{{Key: "decoction", Name: "中药饮片"}, {Key: "granule", Name: "配方颗粒"}, {Key: "paste", Name: "膏方"}, {Key: "agreed", Name: "协定方"}, {Key: "patent", Name: "中成药"}, {Key: "western", Name: "西药"}}

// sampleLine is a sample as the list shows it.
type sampleLine struct {
	*review.Sample
	Method, Category, Days string
	Percent                int
}

func lineOf(s *review.Sample) sampleLine {
	l := sampleLine{Sample: s, Category: cmp.Or(valueTitles["category"][s.Plan.Category], "全部"), Days: s.Plan.From.In(shanghai).Format("2006-01-02") + " 至 " + s.Plan.To.AddDate(0, 0, -1).In(shanghai).Format("2006-01-02"),
		Percent: 100 * s.Done / max(1, s.Size)}
	for _, m := range methodTitles {
		if m.Key == s.Plan.Method {
			l.Method = m.Name
		}
	}
	return l
}

// samplesPage lists the samples and draws new ones.
func (a *App) samplesPage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	list, err := a.Reviews.Samples(g.Request.Context())
	if err != nil {
		a.fail(g, err)
		return
	}
	feedback, err := a.tasks(g.Request.Context(), s, alerts.KindReview, "open", "", "")
	if err != nil {
		a.fail(g, err)
		return
	}
	var lines []sampleLine
	x := sheet{Title: "处方点评", Head: []string{"抽样", "时段", "范围", "处方类别", "方法", "随机种子", "可抽", "抽取", "已点评", "发起人"}}
	may, err := a.oversees(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	for _, m := range list {
		if !sampledWithin(g, m.Plan, may) {
			continue
		}
		l := lineOf(m)
		lines = append(lines, l)
		x.Rows = append(x.Rows, []string{m.Plan.Name, l.Days, m.Plan.Place, l.Category, l.Method, m.Plan.Seed, web.Count(m.Population), web.Count(m.Size), web.Count(m.Done), m.Plan.By})
	}
	if a.export(g, s, "处方点评", x) {
		return
	}
	a.render(g, "samples", struct {
		web.Page
		*scope
		Samples             []sampleLine
		Feedback            []taskLine
		Methods, Categories []choice
		Seed                string
		Criteria            *review.Criteria
	}{a.page(g, "处方点评", "/supervision/review"), s, lines, feedback, methodTitles, categoryTitles, a.Now().In(shanghai).Format("20060102-150405"), a.Reviews.Criteria})
}

// drawSample draws a sample as the form says.
func (a *App) drawSample(g *gin.Context) {
	q := g.Request.URL.Query()
	for _, k := range []string{"from", "to", "city", "area", "org"} {
		q.Set(k, field(g, k))
	}
	g.Request.URL.RawQuery = q.Encode()
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	p := review.Plan{Name: field(g, "name"), By: signer(g), From: s.begin, To: s.end, Place: s.Where(), Orgs: s.orgs, Category: field(g, "category"), Method: field(g, "method"), Seed: field(g, "seed")}
	amount, err := strconv.ParseFloat(field(g, "amount"), 64)
	if err != nil || !(amount > 0) || p.Category != "" && valueTitles["category"][p.Category] == "" {
		a.fail(g, fault.New(fault.Invalid, "请填写抽取的张数或百分比，并从列表中选择处方类别"))
		return
	}
	if p.Percent = amount; field(g, "unit") == "count" {
		p.Percent, p.Count = 0, int(amount)
	}
	sample, err := a.Reviews.Create(g.Request.Context(), p)
	if err != nil {
		a.fail(g, err)
		return
	}
	seeOther(g, "/supervision/review/"+sample.ID)
}

// itemLine is a drawn prescription as lists show it.
type itemLine struct {
	*review.Item
	Hall, Doctor, Category, Reasons string
}

// tally is a table of counts.
type tally struct {
	Title string
	Rows  []tallyRow
}

type tallyRow struct {
	Name  string
	Count review.Count
	Rate  string
}

func (t tally) sheet() sheet {
	x := sheet{Title: t.Title, Head: []string{t.Title, "抽取", "已点评", "不合理", "不合理率"}}
	for _, r := range t.Rows {
		x.Rows = append(x.Rows, []string{r.Name, web.Count(r.Count.Drawn), web.Count(r.Count.Judged), web.Count(r.Count.Faulty), r.Rate})
	}
	return x
}

// tallies count a sample by hall, doctor and reason.
func (a *App) tallies(s *scope, items []*review.Item, doctors map[string]string) []tally {
	count := func(title string, name func(string) string, key func(*review.Item) []string) tally {
		t := tally{Title: title}
		for _, c := range review.Counts(items, key) {
			r := tallyRow{name(c.Key), c, "—"}
			if c.Rate() >= 0 {
				r.Rate = fmt.Sprintf("%.1f%%", c.Rate())
			}
			t.Rows = append(t.Rows, r)
		}
		return t
	}
	reasons := count("原因", func(k string) string { return k + " " + a.Reviews.Criteria.Title(k) }, func(i *review.Item) []string { return i.Reasons })
	for i := range reasons.Rows {
		reasons.Rows[i].Rate = "" // of those with the reason, all were found wanting
	}
	return []tally{
		count("中医馆", func(k string) string { return s.name("org", k) }, func(i *review.Item) []string { return []string{i.Drawn.Org} }),
		count("医生", func(k string) string { return cmp.Or(doctors[k], k, "未填写") }, func(i *review.Item) []string { return []string{i.Drawn.Doctor} }),
		reasons,
	}
}

// samplePage shows one sample: its prescriptions, progress and statistics.
func (a *App) samplePage(g *gin.Context) {
	s, err := a.scope(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	ctx := g.Request.Context()
	sample, items, err := a.Reviews.Sample(ctx, g.Param("id"))
	if err == nil {
		err = a.ofSample(g, sample.Plan)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	s.begin, s.end = sample.Plan.From, sample.Plan.To
	s.From, s.To = s.begin.In(shanghai).Format("2006-01-02"), s.end.AddDate(0, 0, -1).In(shanghai).Format("2006-01-02")
	doctors, err := a.doctorsIn(ctx, s, items)
	if err != nil {
		a.fail(g, err)
		return
	}
	var lines []itemLine
	x := sheet{Title: "点评明细", Head: []string{"日期", "中医馆", "医生", "处方类别", "结论", "原因", "意见", "点评人"}}
	faulty, next := 0, ""
	for _, i := range items {
		l := itemLine{i, s.name("org", i.Drawn.Org), cmp.Or(doctors[i.Drawn.Doctor], "未填写"), valueTitles["category"][i.Drawn.Category], a.reasons(i)}
		lines = append(lines, l)
		x.Rows = append(x.Rows, []string{i.Drawn.Day, l.Hall, l.Doctor, l.Category, i.StateText(), l.Reasons, i.Note, i.By})
		if i.State == review.Unreasonable {
			faulty++
		}
		if next == "" && i.State == review.Waiting {
			next = i.ID
		}
	}
	tallies := a.tallies(s, items, doctors)
	if a.export(g, s, "处方点评 "+sample.Plan.Name, x, tallies[0].sheet(), tallies[1].sheet(), tallies[2].sheet()) {
		return
	}
	a.render(g, "sample", struct {
		web.Page
		*scope
		Sample  sampleLine
		Items   []itemLine
		Tallies []tally
		Faulty  int
		Next    string
	}{a.page(g, sample.Plan.Name, "/supervision/review"), s, lineOf(sample), lines, tallies, faulty, next})
}

// reasons are an item's reasons in words.
func (a *App) reasons(i *review.Item) string {
	var list []string
	for _, r := range i.Reasons {
		list = append(list, r+" "+a.Reviews.Criteria.Title(r))
	}
	return strings.Join(list, "；")
}

// doctorsIn names the doctors of items.
func (a *App) doctorsIn(ctx context.Context, s *scope, items []*review.Item) (map[string]string, error) {
	var rows []measures.Row
	for _, i := range items {
		rows = append(rows, measures.Row{Keys: []string{i.Drawn.Doctor}})
	}
	return a.names(ctx, s, "doctor", rows)
}

// itemPage shows one prescription without the patient's name, what the rules
// say of it, and the criteria to judge it by.
func (a *App) itemPage(g *gin.Context) {
	ctx := g.Request.Context()
	i, err := a.drawn(g)
	if err == nil {
		err = a.Door.look(g, "MedicationRequest/"+i.Drawn.Request)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	rx, err := a.prescription(ctx, i.Drawn)
	if err != nil {
		a.fail(g, err)
		return
	}
	chosen := map[string]bool{}
	for _, r := range i.Reasons {
		chosen[r] = true
	}
	a.render(g, "review", struct {
		web.Page
		Item     *review.Item
		Rx       *prescription
		Criteria *review.Criteria
		Hinted   map[string]bool
		Chosen   map[string]bool
		Due      string
	}{a.page(g, "处方点评", "/supervision/review"), i, rx, a.Reviews.Criteria, a.Reviews.Criteria.Hinted(rx.Findings), chosen, a.Now().In(shanghai).AddDate(0, 0, 7).Format("2006-01-02")})
}

// judge files a judgement, tells the hall of it if asked to, and leads to the
// next prescription.
func (a *App) judge(g *gin.Context) {
	ctx := g.Request.Context()
	i, err := a.drawn(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	version, err := strconv.ParseInt(field(g, "version"), 10, 64)
	if err != nil || version < 1 {
		a.fail(g, fault.New(fault.Invalid, "表单不完整，请刷新后再提交"))
		return
	}
	j := review.Judgement{Version: version, Reasons: g.PostFormArray("reason"), Note: field(g, "note"), By: signer(g)}
	if i, err = a.Reviews.Judge(ctx, i.ID, j); err == nil && field(g, "feedback") != "" && i.State == review.Unreasonable {
		err = a.feedback(g, i)
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	_, items, err := a.Reviews.Sample(ctx, i.Sample)
	if err != nil {
		a.fail(g, err)
		return
	}
	may, err := a.oversees(g)
	if err != nil {
		a.fail(g, err)
		return
	}
	for _, x := range items {
		if x.State == review.Waiting && may(x.Drawn.Org) {
			seeOther(g, "/supervision/review/"+i.Sample+"/"+x.ID)
			return
		}
	}
	seeOther(g, "/supervision/review/"+i.Sample)
}

// drawn reads the prescription of the path, if it is of the jurisdiction of who asks.
func (a *App) drawn(g *gin.Context) (*review.Item, error) {
	i, err := a.Reviews.Item(g.Request.Context(), g.Param("item"))
	if err == nil {
		err = a.within(g, i.Drawn.Org)
	}
	return i, err
}

// sampledWithin reports whether a sample was drawn only from halls of the
// jurisdiction of who asks.
func sampledWithin(g *gin.Context, p review.Plan, may func(org string) bool) bool {
	return !user(g).placed() || len(p.Orgs) > 0 && !slices.ContainsFunc(p.Orgs, func(o string) bool { return !may(o) })
}

// ofSample refuses a sample that goes beyond the jurisdiction of who asks.
func (a *App) ofSample(g *gin.Context, p review.Plan) error {
	may, err := a.oversees(g)
	if err == nil && !sampledWithin(g, p, may) {
		return beyond()
	}
	return err
}

// feedback opens a task that tells the hall what was found, and notes it in the
// review.
func (a *App) feedback(g *gin.Context, i *review.Item) error {
	due, err := deadline(field(g, "due"))
	if err != nil {
		return err
	}
	ctx := g.Request.Context()
	t, err := a.Desk.Open(ctx, &alerts.Task{Kind: alerts.KindReview, Org: i.Drawn.Org, Doctor: i.Drawn.Doctor, Title: "处方点评反馈", Text: a.reasons(i) + "　" + i.Note, Level: "warning", Due: due, Evidence: []string{"Encounter/" + i.Drawn.Encounter}}, i.By)
	if err != nil {
		return err
	}
	now, err := a.Reviews.Item(ctx, i.ID)
	if err != nil {
		return err
	}
	_, err = a.Reviews.Judge(ctx, i.ID, review.Judgement{Version: now.Version, Reasons: i.Reasons, Note: i.Note, By: i.By, Feedback: t.ID})
	return err
}

// prescription is one prescription as reviewers see it.
type prescription struct {
	No, Category, Formula, Doses, Day, Hall, Doctor string
	Gender, Age                                     string
	Lines                                           []rxLine
	Diagnoses                                       []string
	Findings                                        []rational.Finding
	Encounter                                       string
}

type rxLine struct{ Name, Amount, Note string }

// prescription reads a drawn prescription from the warehouse.
func (a *App) prescription(ctx context.Context, d review.Drawn) (*prescription, error) {
	p := &prescription{Category: valueTitles["category"][d.Category], Day: d.Day, Encounter: d.Encounter}
	params := map[string]string{"id": d.Prescription, "visit": d.Encounter}
	err := a.SQL.Query(ctx, `SELECT any(ifNull(no, '')), any(ifNull(formula, '')), any(toString(ifNull(doses, 0))) FROM qihuang.prescription_request FINAL WHERE id = {id:String} HAVING count() > 0`, params,
		func(scan func(...any) error) error { return scan(&p.No, &p.Formula, &p.Doses) })
	if err != nil {
		return nil, err
	}
	var lines []rational.Line
	err = a.SQL.Query(ctx, `SELECT ifNull(name, ''), toString(ifNull(dose, 0)), ifNull(unit, ''), ifNull(note, '') FROM qihuang.prescription_item FINAL WHERE prescription_id = {id:String} ORDER BY line LIMIT 200`, params,
		func(scan func(...any) error) error {
			var name, dose, unit, note string
			err := scan(&name, &dose, &unit, &note)
			mass, _ := rational.ParseGrams(dose) // a dose that is none is a finding of the rules
			p.Lines, lines = append(p.Lines, rxLine{name, dose + unit, note}), append(lines, rational.Line{Name: name, Dose: mass, Decoction: note})
			return err
		})
	if err != nil {
		return nil, err
	}
	if d.Category == "decoction" || d.Category == "granule" {
		p.Findings = a.Knowledge.Evaluate(lines, rational.Context{Decocted: d.Category == "decoction"})
	}
	err = a.SQL.Query(ctx, `SELECT concat(transform(ifNull(category, ''), ['tcm-disease', 'tcm-syndrome', 'western'], ['中医病名', '证候', '西医诊断'], ifNull(category, '')), '：', ifNull(display, '')) FROM qihuang.condition FINAL WHERE encounter_id = {visit:String} ORDER BY 1 LIMIT 50`, params,
		func(scan func(...any) error) error {
			var s string
			err := scan(&s)
			p.Diagnoses = append(p.Diagnoses, s)
			return err
		})
	if err != nil {
		return nil, err
	}
	err = a.SQL.Query(ctx, `SELECT ifNull(e.org_name, ifNull(e.org_code, '')), ifNull(e.doctor_name, ''), ifNull(p.gender, ''), if(p.birth_date IS NULL, '', toString(age('year', assumeNotNull(p.birth_date), toDate32(ifNull(e.start, now())))))
FROM qihuang.encounter AS e FINAL LEFT JOIN (SELECT id, gender, birth_date FROM qihuang.patient FINAL WHERE id IN (SELECT patient_id FROM qihuang.encounter FINAL WHERE id = {visit:String})) AS p ON p.id = e.patient_id WHERE e.id = {visit:String}`, params,
		func(scan func(...any) error) error { return scan(&p.Hall, &p.Doctor, &p.Gender, &p.Age) })
	p.Gender = valueTitles["gender"][p.Gender]
	return p, err
}
