package his

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxParts bounds how many resources of one kind a visit's answer may hold.
const maxParts = 500

// pull answers 07, 08 and 09: `<Request><Header/><orgCode/><serialNo/></Request>`.
func (d *Door) pull(c *gin.Context, name string, s service, m *tcmMessage) (string, error) {
	q := m.root
	if q.Child("serialNo") == nil { // some clients wrap the two in a body element
		for _, e := range m.root.Children {
			if e.Child("serialNo") != nil {
				q = e
			}
		}
	}
	org, err := need(q, "Request", "orgCode", "机构编码")
	if err != nil {
		return "", err
	}
	visitNo, err := need(q, "Request", "serialNo", "就诊序号")
	if err != nil {
		return "", err
	}
	content, err := s.pull(d, c.Request.Context(), org, visitNo)
	if err != nil {
		return "", err
	}
	now := d.parts.Clock.Now().In(d.cfg.Zone).Format("20060102150405")
	header := xml("Header", tag("sender", "EMR")+tag("receiver", "HIS")+tag("sendTime", now)+tag("msgType", name)+tag("msgID", "EMR"+now))
	if name == "TCM_HIS_08" || name == "TCM_HIS_09" {
		return xml("Request", header+content), nil
	}
	return xml("Request", content+header), nil // clients find <Request><Record> literally
}

func tag(name, value string) string   { return "<" + name + ">" + soap.Escape(value) + "</" + name + ">" }
func xml(name, content string) string { return "<" + name + ">" + content + "</" + name + ">" }

// visit is what is stored of one visit.
type visit struct {
	door *Door
	snap store.Snapshot
	enc  fhir.Node
	tcm.Encounter
}

// visit finds a visit by organisation and number; the caller closes its snap.
func (d *Door) visit(ctx context.Context, org, visitNo string) (*visit, error) {
	snap, err := d.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	v := &visit{door: d, snap: snap}
	query := "identifier=" + escapeToken(tcm.SystemOf("visit", org)) + "%7C" + escapeToken(visitNo)
	found, err := v.find(ctx, "Encounter", query)
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "没有这次就诊的资料").With(fault.Issue{Severity: "error", Code: "not-found", Key: "visit",
			Text: "没有这次就诊的资料", Expression: "Request/serialNo", Hint: "请核对机构编码与就诊序号，或先推送 TCM_HIS_01"})
	}
	if err != nil {
		snap.Close()
		return nil, err
	}
	v.enc, v.Encounter = found[0], tcm.ReadEncounter(found[0])
	return v, nil
}

// find returns the current resources that match a query.
func (v *visit) find(ctx context.Context, typ, query string) ([]fhir.Node, error) {
	ids, err := v.door.parts.Search.IDs(ctx, v.snap.Index(), typ, query, maxParts)
	if err != nil {
		return nil, err
	}
	var out []fhir.Node
	for _, id := range ids {
		n, err := v.get(typ, id)
		if err != nil {
			return nil, err
		}
		if n.Exists() {
			out = append(out, n)
		}
	}
	return out, nil
}

func (v *visit) get(typ, id string) (fhir.Node, error) {
	n, _, err := store.Current(v.snap, typ, id)
	return n, err
}

func (v *visit) id() string { return v.enc.Get("id").Str() }

// of finds the visit's resources of one type.
func (v *visit) of(ctx context.Context, typ string) ([]fhir.Node, error) {
	return v.find(ctx, typ, "encounter=Encounter/"+v.id())
}

func escapeToken(s string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "=", "%3D", "#", "%23", " ", "%20",
		"|", "%5C%7C", ",", "%5C%2C", "$", "%5C%24", "\\", "%5C%5C").Replace(s)
}

// pull07 answers the outpatient record.
func (d *Door) pull07(ctx context.Context, org, visitNo string) (string, error) {
	v, err := d.visit(ctx, org, visitNo)
	if err != nil {
		return "", err
	}
	defer v.snap.Close()
	records, err := v.of(ctx, "Composition")
	if err != nil {
		return "", err
	}
	var r tcm.Record
	if len(records) > 0 {
		r = tcm.ReadRecord(records[0])
	}
	patient, err := v.get("Patient", v.PatientID)
	if err != nil {
		return "", err
	}
	four, syndrome, err := v.examined(ctx)
	if err != nil {
		return "", err
	}
	p := tcm.ReadPatient(patient)
	start, _ := time.Parse(time.RFC3339, v.Start)
	doctor, err := v.get("Practitioner", v.DoctorID)
	if err != nil {
		return "", err
	}
	return xml("Record", tag("recordId", records0(records))+tag("serialNo", visitNo)+tag("patiId", p.No)+tag("name", p.Name)+
		tag("age", age(p.BirthDate, start))+tag("gender", genderWords[p.Gender])+
		tag("doctorId", tcm.ReadPractitioner(doctor).No)+tag("doctorName", v.DoctorName)+
		tag("clinicDate", local(start, d.cfg.Zone, "2006-01-02 15:04:05.0"))+tag("orgCode", org)+
		tag("priDepict", r.ChiefComplaint)+tag("localDisHis", r.PresentIllness)+tag("anamnesis", r.PastHistory)+
		tag("allergicHis", r.AllergyHistory)+tag("individualHis", r.PersonalHistory)+tag("mcObstetrical", "")+tag("fhx", r.FamilyHistory)+
		tag("inspection", join(four[tcm.Inspection], four[tcm.Tongue]))+tag("smelling", four[tcm.Listening])+
		tag("askinfo", four[tcm.Inquiry])+tag("palpation", join(four[tcm.Palpation], four[tcm.Pulse]))+
		tag("psyCheck", r.PhysicalExam)+tag("syndrome", syndrome)+tag("suggession", r.Advice)), nil
}

func records0(records []fhir.Node) string {
	if len(records) == 0 {
		return ""
	}
	return records[0].Get("id").Str()
}

// examined returns the four examinations by kind and the main syndrome.
func (v *visit) examined(ctx context.Context) (four map[string]string, syndrome string, err error) {
	observations, err := v.of(ctx, "Observation")
	if err != nil {
		return nil, "", err
	}
	four = map[string]string{}
	for _, o := range observations {
		f := tcm.ReadFinding(o)
		four[f.Kind] = f.Text
	}
	conditions, err := v.conditions(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, c := range conditions {
		if c.Kind == tcm.Syndrome {
			return four, c.Coding.Display, nil
		}
	}
	return four, "", nil
}

var genderWords = map[string]string{"male": "男", "female": "女", "unknown": "未知的性别", "other": "未说明的性别"}

// join adds the tongue to inspection and the pulse to palpation: the old
// interface has no fields of their own.
func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "" || strings.Contains(a, b):
		return a
	}
	return a + "；" + b
}

// age in whole years at a time; in months below three years, as clinics write it.
func age(birth string, at time.Time) string {
	b, err := time.Parse(time.DateOnly, birth)
	if err != nil || at.IsZero() || at.Before(b) {
		return ""
	}
	months := (at.Year()-b.Year())*12 + int(at.Month()) - int(b.Month())
	if at.Day() < b.Day() {
		months--
	}
	if months < 36 {
		return strconv.Itoa(months) + "月"
	}
	return strconv.Itoa(months/12) + "岁"
}

func local(t time.Time, zone *time.Location, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(layout)
}
