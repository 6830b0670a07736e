package region

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/model"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Kind of the messages with a regional platform's prescription.
const Kind = "region-prescription"

// HeaderOrg is the header of a message that names the organisation: the JSON
// does not.
const HeaderOrg = "org"

// prescription is a regional platform's JSON (samples/regional).
type prescription struct {
	Number    string      `json:"PrescriptionNumber"`
	Date      string      `json:"PrescriptionDate"`
	Note      string      `json:"PrescriptionNote"`
	Money     json.Number `json:"PrescriptionMoney"`
	Visit     string      `json:"EncounterId"`
	PatientID string      `json:"PatientId"`
	National  string      `json:"PatientIdentifier"`
	Name      string      `json:"PatientName"`
	Disease   string      `json:"DiseaseDiagnosis"`
	Code      string      `json:"DiseaseDiagnosisCode"`
	Given     struct {
		Doctor     string `json:"PractitionerIdentifier"`
		DoctorName string `json:"PractitionerName"`
	} `json:"PrescriptionGiven"`
	Details []struct {
		Drug drug `json:"Drug"`
	} `json:"PrescriptionDetails"`
}

type drug struct {
	Name      string      `json:"DrugName"`
	Code      string      `json:"HospitalDrugCode"`
	Frequency string      `json:"DrugUseFrequency"`
	Dose      json.Number `json:"SingleDose"`
	Unit      string      `json:"DosageUnit"`
	Total     json.Number `json:"TotalDosage"`
	TotalUnit string      `json:"TotalDosageUnit"`
	TCM       string      `json:"TCMSign"` // 1 = herb
	Note      string      `json:"TCMOrderDetail"`
	Doses     json.Number `json:"TCMCount"`
	Method    string      `json:"TCMDecoctionMethod"`
	Patent    string      `json:"TCMTypeCode"` // CV06.00.101: 2 中成药, 3 中草药
}

func decode(text []byte) (*prescription, error) {
	var p prescription
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fault.New(fault.Invalid, "消息不是有效的 JSON：%w", err).With(fault.Issue{Severity: "fatal", Code: "structure", Key: "bad-json", Text: "消息不是有效的 JSON"})
	}
	for _, m := range []struct{ name, value string }{{"PrescriptionNumber", p.Number}, {"EncounterId", p.Visit}, {"PatientId", p.PatientID}} {
		if m.value == "" {
			text := "缺少 " + m.name
			return nil, fault.New(fault.Invalid, "%s", text).With(fault.Issue{Severity: "error", Code: "required", Key: "missing-member", Text: text, Expression: m.name})
		}
	}
	return &p, nil
}

// resources builds the parts of the visit that the prescription tells of.
func (p *prescription) resources(org string, zone *time.Location) []tcm.Resource {
	when := ""
	for _, form := range []string{"2006-01-02T15:04:05", time.DateTime} {
		if t, err := time.ParseInLocation(form, p.Date, zone); err == nil {
			when = t.Format(time.RFC3339)
		}
	}
	v := tcm.Visit{OrgCode: org, EncounterID: tcm.EncounterID(org, p.Visit), PatientID: tcm.PatientID(org, p.PatientID), Time: when}
	out := tcm.Organization{Code: org}.Resources()
	out = append(out, tcm.Patient{OrgCode: org, No: p.PatientID, Name: p.Name, NationalID: p.National}.Resources()...)
	if p.Given.Doctor != "" {
		v.DoctorID = tcm.PractitionerID(org, p.Given.Doctor)
		out = append(out, tcm.Practitioner{OrgCode: org, No: p.Given.Doctor, Name: p.Given.DoctorName}.Resources()...)
	}
	out = append(out, tcm.Encounter{OrgCode: org, VisitNo: p.Visit, Status: "in-progress", Start: when, PatientID: v.PatientID, PatientName: p.Name, DoctorID: v.DoctorID, DoctorName: p.Given.DoctorName}.Resources()...)
	herbal := tcm.HerbalPrescription{Visit: v, VisitNo: p.Visit, No: p.Number, Category: tcm.Decoction, Usage: p.Note, Amount: p.Money.String()}
	repeat := map[string]int{}
	for _, d := range p.Details {
		x := d.Drug
		if x.TCM == "1" || x.Patent == "3" {
			herbal.Doses = x.Doses.String()
			if herbal.Usage == "" {
				herbal.Usage = x.Method
			}
			herbal.Frequency = x.Frequency
			herbal.Items = append(herbal.Items, tcm.Ingredient{Code: x.Code, Name: x.Name, Dose: x.Dose.String(), Unit: x.Unit, Quantity: x.Total.String(), Note: x.Note})
			continue
		}
		r := tcm.DrugRequest{Visit: v, VisitNo: p.Visit, No: p.Number, Category: tcm.WesternRx, Total: p.Money.String(), Code: x.Code, Name: x.Name, Quantity: x.Total.String(), Unit: x.TotalUnit, Repeat: repeat[x.Code]}
		if x.Patent == "2" {
			r.Category = tcm.Patent
		}
		repeat[x.Code]++
		out = append(out, r.Resources()...)
	}
	if len(herbal.Items) > 0 {
		out = append(out, herbal.Resources()...)
	}
	return out
}

// Sink gives prescriptions of regional platforms their effect. It implements
// pipeline.Sink.
type Sink struct {
	store   store.Store
	zone    *time.Location
	encoder model.Encoder
}

// NewSink returns a sink that writes to st.
func NewSink(st store.Store, zone *time.Location) *Sink { return &Sink{store: st, zone: zone} }

// Handle implements pipeline.Sink. What the visit's own document told stays: it
// knows more.
func (s *Sink) Handle(ctx context.Context, m *pipeline.Message) error {
	text, _, err := charset.Decode(m.Body, m.Charset)
	if err != nil {
		return err
	}
	p, err := decode(text)
	if err != nil {
		return err
	}
	org := m.Headers[HeaderOrg]
	if org == "" {
		return missingOrg()
	}
	snap, err := s.store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	if _, err := snap.Read("Composition", tcm.RecordID(org, p.Visit)); err == nil {
		return nil
	} else if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Gone) {
		return err
	}
	tx := &store.Transaction{ID: "region-" + m.ID, Actor: m.Source, Time: m.Received.UTC().Truncate(time.Millisecond), Source: m.ID}
	for _, r := range p.resources(org, s.zone) {
		shared := r.Type == "Organization" || r.Type == "Patient" || r.Type == "Practitioner" || r.Type == "Encounter"
		if _, err := snap.Read(r.Type, r.ID); err == nil && shared {
			continue
		}
		body, err := s.encoder.Marshal(r.Model)
		if err != nil {
			return err
		}
		tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, SkipSame: true, Resource: body})
	}
	_, err = s.store.Commit(ctx, tx)
	return err
}

func missingOrg() error {
	return fault.New(fault.Invalid, "缺少机构编码").With(fault.Issue{Severity: "error", Code: "required", Key: "missing-org", Text: "缺少机构编码", Expression: "?org=", Hint: "在地址后加 ?org=机构编码"})
}

// Push is the door of prescriptions.
type Push struct {
	Inbound pipeline.Inbound
	IDs     *pipeline.IDs
	Clock   clock.Clock
}

// Mount adds POST /ingest/region?org=.
func (d Push) Mount(r gin.IRouter) { r.POST("/ingest/region", d.post) }

const maxPush = 8 << 20

func (d Push) post(c *gin.Context) {
	m, err := d.message(c)
	if err == nil {
		_, err = d.Inbound.Append(c.Request.Context(), m)
	}
	if err != nil {
		c.Data(outcome.Status(err), "application/fhir+json; charset=utf-8", outcome.Of(err, outcome.Options{}))
		return
	}
	c.JSON(http.StatusAccepted, gin.H{"id": m.ID, "status": "accepted"})
}

func (d Push) message(c *gin.Context) (*pipeline.Message, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxPush))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, fault.New(fault.TooCostly, "消息超过 %s MB", strconv.Itoa(maxPush>>20))
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "请求中断：%w", err)
	}
	org := c.Query(HeaderOrg)
	if org == "" {
		return nil, missingOrg()
	}
	text, _, err := charset.Decode(body, "")
	if err != nil {
		return nil, err
	}
	p, err := decode(text)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte(org+"\n"), body...))
	return &pipeline.Message{ID: d.IDs.Next(), Source: "region", Kind: Kind, Key: "region|" + org + "|" + p.PatientID, DedupKey: hex.EncodeToString(sum[:]), ContentType: c.GetHeader("Content-Type"),
		Received: d.Clock.Now(), Headers: map[string]string{"path": c.FullPath(), "remote": c.ClientIP(), HeaderOrg: org}, Body: body}, nil
}
