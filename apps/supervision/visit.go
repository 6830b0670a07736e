package supervision

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/web"
)

// step is one event of a visit's process.
type step struct {
	Time  time.Time
	What  string // 就诊, 诊断 …
	Text  string
	Flags []rational.Finding // of a prescription
	Link  string             // the FHIR resource
}

// visit is the whole process of one visit, without the patient's identity.
type visit struct {
	No, Hall, Doctor, Status, Type, Payment string
	Gender, Age                             string
	Steps                                   []step
	Missing                                 []string // what the process should have and has not
	org                                     string   // code of the hall
}

// visitPage shows the process chain of one visit: from the appointment to the
// settlement, with what the rules of rational use say of its prescriptions.
func (a *App) visitPage(g *gin.Context) {
	v, err := a.visit(g.Request.Context(), g.Param("id"))
	if err != nil {
		a.fail(g, err)
		return
	}
	if err = a.within(g, v.org); err == nil {
		err = a.Door.look(g, "Encounter/"+g.Param("id"))
	}
	if err != nil {
		a.fail(g, err)
		return
	}
	a.render(g, "visit", struct {
		web.Page
		visit
	}{a.page(g, "就诊全过程", ""), *v})
}

func (a *App) visit(ctx context.Context, id string) (*visit, error) {
	if len(id) > 64 {
		return nil, fault.New(fault.NotFound, "没有这次就诊")
	}
	v, params := &visit{}, map[string]string{"id": id}
	var start, end time.Time
	found := false
	err := a.SQL.Query(ctx, `SELECT ifNull(e.org_code, ''), ifNull(e.visit_no, ''), ifNull(e.org_name, ifNull(e.org_code, '')), ifNull(e.doctor_name, ''), e.status, ifNull(e.visit_type, ''), ifNull(e.insurance, ''),
  ifNull(p.gender, ''), if(p.birth_date IS NULL, '', toString(age('year', assumeNotNull(p.birth_date), toDate32(ifNull(e.start, now()))))), ifNull(e.start, toDateTime64(0, 3)), ifNull(e.end, toDateTime64(0, 3))
FROM qihuang.encounter AS e FINAL LEFT JOIN (SELECT id, gender, birth_date FROM qihuang.patient FINAL WHERE id IN (SELECT patient_id FROM qihuang.encounter FINAL WHERE id = {id:String})) AS p ON p.id = e.patient_id WHERE e.id = {id:String}`, params, func(scan func(...any) error) error {
		found = true
		return scan(&v.org, &v.No, &v.Hall, &v.Doctor, &v.Status, &v.Type, &v.Payment, &v.Gender, &v.Age, &start, &end)
	})
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fault.New(fault.NotFound, "没有这次就诊，或它刚刚入库：请几秒后刷新")
	}
	v.Type, v.Payment, v.Gender, v.Status = valueTitles["visit-type"][v.Type], valueTitles["insurance"][v.Payment], valueTitles["gender"][v.Gender], statusTitles[v.Status]
	v.add(start, "就诊", "接诊医生 "+cmp.Or(v.Doctor, "未填写"), "/fhir/Encounter/"+id)
	v.add(end, "就诊结束", "", "")
	for _, q := range chain {
		if err := a.events(ctx, v, q, params); err != nil {
			return nil, err
		}
	}
	if err := a.prescriptions(ctx, v, params); err != nil {
		return nil, err
	}
	slices.SortStableFunc(v.Steps, func(x, y step) int { return x.Time.Compare(y.Time) })
	v.Missing = v.missing()
	return v, nil
}

var statusTitles = map[string]string{"planned": "已预约", "in-progress": "就诊中", "finished": "已完成", "cancelled": "已取消"}

// add notes an event; one without a time is left out.
func (v *visit) add(at time.Time, what, text, link string) {
	if at.Year() > 1970 {
		v.Steps = append(v.Steps, step{Time: at, What: what, Text: text, Link: link})
	}
}

// chain are the events of a visit besides itself and its prescriptions: time,
// words, resource.
var chain = []struct{ what, typ, sql string }{
	{"四诊", "Observation", `SELECT time, concat(transform(kind, ['inspection', 'listening', 'inquiry', 'palpation', 'tongue', 'pulse'], ['望诊', '闻诊', '问诊', '切诊', '舌象', '脉象'], kind), '：', ifNull(text, '')), id FROM qihuang.finding FINAL WHERE encounter_id = {id:String}`},
	{"诊断", "Condition", `SELECT recorded, concat(transform(ifNull(category, ''), ['tcm-disease', 'tcm-syndrome', 'western'], ['中医病名', '证候', '西医诊断'], ifNull(category, '')), '：', ifNull(display, ''), if(ifNull(code, '') = '', '（无编码）', concat('（', code, '）'))), id FROM qihuang.condition FINAL WHERE encounter_id = {id:String}`},
	{"病历", "Composition", `SELECT date, concat('书写', toString(sections), '个章节'), id FROM qihuang.record FINAL WHERE encounter_id = {id:String}`},
	{"中医技术", "Procedure", `SELECT time, ifNull(name, ''), id FROM qihuang.treatment FINAL WHERE encounter_id = {id:String}`},
	{"收费", "ChargeItem", `SELECT time, concat(ifNull(name, ifNull(category_text, '')), ' ¥', toString(ifNull(amount, 0))), id FROM qihuang.charge FINAL WHERE encounter_id = {id:String}`},
	{"发药", "MedicationDispense", `SELECT handed_over, '药师发药', id FROM qihuang.dispense FINAL WHERE encounter_id = {id:String}`},
}

func (a *App) events(ctx context.Context, v *visit, q struct{ what, typ, sql string }, params map[string]string) error {
	return a.SQL.Query(ctx, q.sql+" ORDER BY 1, 3 LIMIT 200", params, func(scan func(...any) error) error {
		var at *time.Time
		var text, id string
		if err := scan(&at, &text, &id); err != nil {
			return err
		}
		if at == nil {
			at = &v.Steps[0].Time
		}
		v.add(*at, q.what, text, "/fhir/"+q.typ+"/"+id)
		return nil
	})
}

// prescriptions adds each prescription with its herbs and what the rules say.
func (a *App) prescriptions(ctx context.Context, v *visit, params map[string]string) error {
	return a.SQL.Query(ctx, `SELECT any(p.authored), any(ifNull(p.category, '')), any(ifNull(p.no, '')), any(ifNull(p.formula, '')), any(toString(ifNull(p.doses, 0))),
  groupArray(ifNull(i.name, '')), groupArray(toString(ifNull(i.dose, 0))), groupArray(ifNull(i.unit, '')), groupArray(ifNull(i.note, ''))
FROM qihuang.prescription_request AS p FINAL LEFT JOIN (SELECT prescription_id, name, dose, unit, note FROM qihuang.prescription_item FINAL
  WHERE prescription_id IN (SELECT id FROM qihuang.prescription_request FINAL WHERE encounter_id = {id:String}) ORDER BY line) AS i ON i.prescription_id = p.id
WHERE p.encounter_id = {id:String} GROUP BY p.id ORDER BY p.id LIMIT 50`, params, func(scan func(...any) error) error {
		var at *time.Time
		var category, no, formula, doses string
		var names, amounts, units, notes []string
		if err := scan(&at, &category, &no, &formula, &doses, &names, &amounts, &units, &notes); err != nil {
			return err
		}
		if at == nil {
			at = &v.Steps[0].Time
		}
		s := step{Time: *at, What: "处方", Link: "/fhir/MedicationRequest?group-identifier=" + no}
		var parts []string
		var lines []rational.Line
		for i, n := range names {
			parts = append(parts, strings.TrimSpace(n+" "+amounts[i]+units[i]+" "+notes[i]))
			dose, _ := rational.ParseGrams(amounts[i])
			lines = append(lines, rational.Line{Name: n, Dose: dose, Decoction: notes[i]})
		}
		s.Text = valueTitles["category"][category] + "处方 " + no + "：" + strings.Join(append([]string{formula}, parts...), "　")
		if category == "decoction" || category == "granule" {
			s.Text += "　共 " + doses + " 剂"
			s.Flags = a.Knowledge.Evaluate(lines, rational.Context{Decocted: category == "decoction"})
		}
		v.Steps = append(v.Steps, s)
		return nil
	})
}

// missing names what a finished visit should have.
func (v *visit) missing() (out []string) {
	has := func(what, text string) bool {
		return slices.ContainsFunc(v.Steps, func(s step) bool { return s.What == what && strings.HasPrefix(s.Text, text) })
	}
	for _, need := range []struct{ what, text, name string }{{"诊断", "中医病名", "中医病名"}, {"诊断", "证候", "证候"}, {"诊断", "西医诊断", "西医诊断"}, {"四诊", "舌象", "舌象"}, {"四诊", "脉象", "脉象"}, {"病历", "", "门诊病历"}, {"收费", "", "收费"}} {
		if !has(need.what, need.text) {
			out = append(out, need.name)
		}
	}
	return out
}
