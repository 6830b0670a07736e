package his

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/adapters/mapping/rows"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// hub is a repository in memory with the sink in front of it.
type hub struct {
	t    *testing.T
	st   *memory.Store
	sink *Sink
	maps *mapping.Sink
	ids  *pipeline.IDs
	at   time.Time // when the next message is received
}

func newHub(t *testing.T) *hub { t.Helper(); return newHubOn(t, storetest.Indexer{}) }

func newHubOn(t *testing.T, ix store.Indexer) *hub {
	t.Helper()
	st, err := memory.New(machine.Config{Indexer: ix, Clock: clock.System{}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- st.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	h := &hub{t: t, st: st, sink: NewSink(Default(), st), ids: pipeline.NewIDs(clock.System{}), at: now}
	staged, err := rows.Open("rows", vfs.NewMem())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { staged.Close() })
	h.maps = mapping.NewSink(book(t), st, mapping.SinkParts{Rows: staged,
		Shapes: map[string]func(context.Context, *pipeline.Message, []byte) error{Shape: h.sink.Visit}})
	return h
}

func (h *hub) message(kind string, body []byte) *pipeline.Message {
	h.at = h.at.Add(time.Minute)
	return &pipeline.Message{ID: h.ids.Next(), Source: "his", Kind: kind, Received: h.at, Body: body}
}

func (h *hub) handle(m *pipeline.Message) {
	h.t.Helper()
	if err := h.sink.Handle(context.Background(), m); err != nil {
		h.t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
}

func (h *hub) send(kind string, body []byte) { h.t.Helper(); h.handle(h.message(kind, body)) }

// state is every current resource by Type/id, with its version.
func (h *hub) state() map[string]*store.Version {
	h.t.Helper()
	snap, err := h.st.Snapshot(context.Background(), 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer snap.Close()
	out := map[string]*store.Version{}
	for c, err := range snap.History(store.HistoryQuery{Limit: 10_000}) {
		if err != nil {
			h.t.Fatal(err)
		}
		if _, seen := out[c.Type+"/"+c.ID]; !seen {
			out[c.Type+"/"+c.ID] = c.Version
		}
	}
	for k, v := range out {
		if v.Deleted() {
			delete(out, k)
		}
	}
	return out
}

func (h *hub) node(typ, id string) fhir.Node {
	h.t.Helper()
	v := h.state()[typ+"/"+id]
	if v == nil {
		return fhir.Node{}
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		h.t.Fatal(err)
	}
	return tree.Root()
}

func versions(state map[string]*store.Version) map[string]int64 {
	out := map[string]int64{}
	for k, v := range state {
		out[k] = v.Version
	}
	return out
}

func count(state map[string]*store.Version, typ string) int {
	n := 0
	for k := range state {
		if strings.HasPrefix(k, typ+"/") {
			n++
		}
	}
	return n
}

// change edits the JSON of a document.
func change(t *testing.T, doc []byte, edit func(map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(doc, &m); err != nil {
		t.Fatal(err)
	}
	edit(m)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const org = "370000000001"

func TestPushAndDocumentBecomeOneVisit(t *testing.T) {
	push, doc := sample(t, "TCM_HIS_01_soap_request.xml"), visits(t)[0]
	for name, order := range map[string][]string{"push first": {Kind01, KindVisit}, "document first": {KindVisit, Kind01}} {
		h := newHub(t)
		for _, kind := range order {
			if kind == Kind01 {
				h.send(kind, push)
			} else {
				h.send(kind, doc)
			}
		}
		st := h.state()
		if count(st, "Patient") != 1 || count(st, "Encounter") != 1 || count(st, "Coverage") != 1 || count(st, "Organization") != 1 {
			t.Errorf("%s: %v", name, versions(st))
		}
		p := tcm.ReadPatient(h.node("Patient", tcm.PatientID(org, "100001")))
		if p.Marital.Code != "20" || p.NationalID != "379901195603120010" || p.Ethnicity.Code != "01" {
			t.Errorf("%s: patient %+v", name, p)
		}
		if e := tcm.ReadEncounter(h.node("Encounter", tcm.EncounterID(org, "443001"))); e.Status != "finished" || e.DoctorID == "" {
			t.Errorf("%s: encounter %+v", name, e)
		}
		if o := tcm.ReadOrganization(h.node("Organization", tcm.OrganizationID(org))); o.Name == "" {
			t.Errorf("%s: the organisation's name is lost", name)
		}
	}
}

func TestPaymentOfThePushIsKept(t *testing.T) {
	push := sample(t, "TCM_HIS_01_soap_request.xml")
	doc := change(t, visits(t)[0], func(m map[string]any) { delete(m["patient"].(map[string]any), "insuranceType") })
	for name, order := range map[string][]string{"push first": {Kind01, KindVisit}, "document first": {KindVisit, Kind01}} {
		h := newHub(t)
		for _, kind := range order {
			h.send(kind, map[string][]byte{Kind01: push, KindVisit: doc}[kind])
		}
		e := tcm.ReadEncounter(h.node("Encounter", tcm.EncounterID(org, "443001")))
		if e.Insurance.Coding.Code != "03" || e.Status != "finished" || e.DoctorID == "" || len(e.Diagnoses) == 0 {
			t.Errorf("%s: encounter %+v", name, e)
		}
	}
}

func TestVisitEndsOnItsDay(t *testing.T) {
	for _, c := range []struct{ charged, end string }{
		{"2026-10-12 11:00:00", "2026-10-12T11:00:00+08:00"},
		{"2026-10-13 00:00:01", "2026-10-12T09:30:00+08:00"}, // paid on another day
		{"2026-10-12 08:00:00", "2026-10-12T09:30:00+08:00"},
		{"", "2026-10-12T09:30:00+08:00"},
	} {
		text := fmt.Sprintf(`{"orgCode":"1","visitNo":"2","visitTime":"2026-10-12 09:30:00","patient":{"id":"3"},"charges":[{"no":"4","amount":1,"time":%q}]}`, c.charged)
		h := newHub(t)
		h.send(KindVisit, []byte(text))
		if e := tcm.ReadEncounter(h.node("Encounter", tcm.EncounterID("1", "2"))); e.End != c.end {
			t.Errorf("charged %s: end %s, want %s", c.charged, e.End, c.end)
		}
	}
}

// TestARenamedHallKeepsItsPlace: a visit knows the hall's name only.
func TestARenamedHallKeepsItsPlace(t *testing.T) {
	h := newHub(t)
	registered := tcm.Organization{Code: org, Name: "旧名", Level: tcm.Township, InCity: "济南市", Area: "示例县", Above: "370000000000"}
	for _, r := range registered.Resources() {
		body, err := json.Marshal(r.Model)
		if err != nil {
			t.Fatal(err)
		}
		tx := &store.Transaction{ID: "register", Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), Ops: []store.Op{{Method: store.Update, Type: r.Type, ID: r.ID, Resource: body}}}
		if _, err := h.st.Commit(context.Background(), tx); err != nil {
			t.Fatal(err)
		}
	}
	h.send(KindVisit, visits(t)[0])
	o := tcm.ReadOrganization(h.node("Organization", tcm.OrganizationID(org)))
	if o.Name == "旧名" || o.Name == "" {
		t.Errorf("the name is still %q", o.Name)
	}
	if o.Name = registered.Name; o != registered {
		t.Errorf("the directory lost what the visit does not know: %+v", o)
	}
}

func TestSameContentMakesNoVersion(t *testing.T) {
	h, doc := newHub(t), visits(t)[0]
	m := h.message(KindVisit, doc)
	h.handle(m)
	before := versions(h.state())
	h.handle(m)                                                // delivered again
	h.send(KindVisit, doc)                                     // sent again
	h.send(KindVisit, change(t, doc, func(map[string]any) {})) // other order and spacing
	h.send(Kind01, sample(t, "TCM_HIS_01.xml"))
	push := versions(h.state())
	h.send(Kind01, sample(t, "TCM_HIS_01.xml"))
	h.send(KindVisit, doc)
	if after := versions(h.state()); fmt.Sprint(after) != fmt.Sprint(push) {
		t.Errorf("after the push\n%v\nbefore\n%v", after, push)
	}
	for k, v := range before {
		if now := push[k]; now != v && !strings.HasPrefix(k, "Patient/") {
			t.Errorf("%s went from %d to %d", k, v, now)
		}
	}
}

func TestShrunkDocumentRemovesWhatVanished(t *testing.T) {
	h, doc := newHub(t), visits(t)[0]
	h.send(KindVisit, doc)
	full := h.state()
	h.send(KindVisit, change(t, doc, func(m map[string]any) {
		m["herbalPrescriptions"], m["charges"] = []any{}, m["charges"].([]any)[:1]
		delete(m["fourExaminations"].(map[string]any), "tongue")
	}))
	less := h.state()
	for typ, want := range map[string]int{"MedicationRequest": -1, "Medication": -1, "ChargeItem": -1, "Observation": -1, "Condition": 0, "Encounter": 0} {
		if got := count(less, typ) - count(full, typ); got != want {
			t.Errorf("%s: %+d, want %+d", typ, got, want)
		}
	}
	h.send(KindVisit, doc) // the first document again: it is old
	if again := versions(h.state()); fmt.Sprint(again) != fmt.Sprint(versions(less)) {
		t.Errorf("an old document undid a newer one: %v", again)
	}
}

func TestOldMessagesNeverUndoNewerData(t *testing.T) {
	h, doc := newHub(t), visits(t)[0]
	set := func(visitNo, when, phone string) []byte {
		return change(t, doc, func(m map[string]any) {
			m["visitNo"], m["visitTime"], m["herbalPrescriptions"], m["westernPrescriptions"], m["charges"] = visitNo, when, nil, nil, nil
			m["patient"].(map[string]any)["phone"] = phone
		})
	}
	phone := func() string { return tcm.ReadPatient(h.node("Patient", tcm.PatientID(org, "100001"))).Phone }
	stale := h.message(KindVisit, set("1", "2026-10-10 08:00:00", "111")) // received first, handled last
	h.send(KindVisit, set("1", "2026-10-10 08:00:00", "112"))
	h.send(KindVisit, set("2", "2026-10-11 08:00:00", "222"))
	h.send(KindVisit, set("0", "2026-10-01 08:00:00", "000")) // an older visit told late
	if got := phone(); got != "222" {
		t.Errorf("phone = %s after an older visit", got)
	}
	if count(h.state(), "Encounter") != 3 {
		t.Error("the older visit itself must be kept")
	}
	h.handle(stale)
	h.send(KindVisit, set("2", "2026-10-11 08:00:00", "223")) // a correction of the newest visit
	if got := phone(); got != "223" {
		t.Errorf("phone = %s after a correction", got)
	}
	future := h.message(KindVisit, set("9", "2029-01-01 08:00:00", "999")) // a clock three years off
	h.handle(future)
	h.at = h.at.Add(time.Hour)
	h.send(KindVisit, set("2", h.at.Format(time.DateTime), "224"))
	if got := phone(); got != "224" {
		t.Errorf("phone = %s: a wrong clock blocks what comes after", got)
	}
}

func TestPush02IsFoundByCode(t *testing.T) {
	h := newHub(t)
	for _, f := range []string{"TCM_HIS_02_1.xml", "TCM_HIS_02_2.xml", "TCM_HIS_02_3.xml"} {
		h.send(Kind02, sample(t, f)) // all three carry the same msgID
	}
	if n := count(h.state(), "Medication"); n != 3 {
		t.Fatalf("%d medications", n)
	}
	if d := tcm.ReadDrug(h.node("Medication", tcm.DrugID(org, "5084"))); d.Name != "白芍" {
		t.Errorf("%+v", d)
	}
}

func TestHandle_bad(t *testing.T) {
	h := newHub(t)
	for kind, body := range map[string]string{KindVisit: `{"orgCode":`, Kind01: "<Request/>", Kind02: "hello"} {
		if err := h.sink.Handle(context.Background(), h.message(kind, []byte(body))); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := h.sink.Handle(context.Background(), h.message("else", nil)); !fault.Is(err, fault.Unsupported) {
		t.Errorf("%v", err)
	}
}

func TestPullsAnswerLiterally(t *testing.T) {
	r4, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	engine := search.NewEngine(r4, fhirpath.NewEngine(r4))
	h := newHubOn(t, engine)
	for _, v := range visits(t) {
		h.send(KindVisit, v)
	}
	q, server := serve(t, h.st, engine)
	ask := func(name, visitNo string) string {
		body := bytes.ReplaceAll(sample(t, name+"_request.xml"), []byte("443001"), []byte(visitNo))
		w := post(server, "/services/"+name, "text/xml", envelope("<![CDATA["+string(body)+"]]>"))
		reply, err := soap.ParseXML(w.Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return reply.Child("Body").Child("acceptMessageResponse").Value("acceptMessageReturn")
	}
	for name, words := range map[string][]string{
		"TCM_HIS_07": {"<Request><Record><recordId>", "<serialNo>443001</serialNo><patiId>100001</patiId><name>张三</name><age>70岁</age><gender>男</gender>",
			"<clinicDate>2026-10-12 08:31:05.0</clinicDate>", "<priDepict>恶寒发热1天</priDepict>", "<inspection>神清；舌淡红，苔薄白</inspection>",
			"<palpation>脉浮紧</palpation>", "<syndrome>风寒束表证</syndrome>", "</Record><Header><sender>EMR</sender>"},
		"TCM_HIS_08": {"<Prescription><createTime>2026-10-12 08:31:05</createTime><serialNo>443001</serialNo><preName>桂枝汤</preName>",
			"<DrugData><drugCode>5045</drugCode><drugName>桂枝</drugName><drugQuantity>9</drugQuantity><drugUnit>g</drugUnit><note></note></DrugData>"},
		"TCM_HIS_09": {"<diagnosislist><Diagnosis><level>1</level><cate>1</cate>", "<name>感冒|风寒束表证</name><code>A01.01.01|B02.02.04.01.01.02</code>",
			"<level>1</level><cate>0</cate><description></description><name>急性上呼吸道感染</name><code>J00.x00</code>"},
	} {
		got := ask(name, "443001")
		for _, w := range words {
			if !strings.Contains(got, w) {
				t.Errorf("%s lacks %s in\n%s", name, w, got)
			}
		}
	}
	if got := ask("TCM_HIS_09", "443011"); !strings.Contains(got, "<name>内伤咳嗽病|热毒上攻证</name><code>BNF012|ZBRDC00</code>") {
		t.Errorf("1995 codes: %s", got)
	}
	w := post(server, "/services/TCM_HIS_07", "text/xml", envelope("<Request><Header/><orgCode>1</orgCode><serialNo>none</serialNo></Request>"))
	if !strings.Contains(w.Body.String(), "soapenv:Client") || !strings.Contains(w.Body.String(), "没有这次就诊") {
		t.Errorf("unknown visit: %s", w.Body)
	}
	if len(q.messages) != 0 {
		t.Error("a pull is no message")
	}
}
