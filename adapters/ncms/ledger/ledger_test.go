package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
	"github.com/qihuang-health/qihuang/pipeline"
)

var engine = sync.OnceValues(func() (*search.Engine, error) {
	model, err := definitions.Load()
	if err != nil {
		return nil, err
	}
	return search.NewEngine(model, fhirpath.NewEngine(model)), nil
})

// list is a centre that only has a list.
type list struct {
	entries []ncms.Entry
	err     error
}

func (l list) Day(context.Context, ncms.Days) ([]ncms.Entry, error) { return l.entries, l.err }

var zone = time.FixedZone("CST", 8*3600)

func newLedger(t testing.TB, centre ncms.Ledger) (*Ledger, *memory.Store) {
	t.Helper()
	ix, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	st, err := memory.New(machine.Config{Indexer: ix, Clock: clock.System{}}.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, st)
	return New(Config{Source: "ncms", Zone: zone}, Parts{Centre: centre, Store: st, Search: ix, Clock: clock.System{}}), st
}

// all returns the current resources of a type by the first identifier's value.
func all(t testing.TB, st store.Reader, typ string) map[string]fhir.Node {
	t.Helper()
	snap, err := st.Snapshot(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	out, seen := map[string]fhir.Node{}, map[string]bool{}
	for c, err := range snap.History(store.HistoryQuery{Type: typ, Limit: 100_000}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[c.ID] || c.Deleted() {
			continue
		}
		seen[c.ID] = true
		tree, err := fhir.Parse(c.Resource)
		if err != nil {
			t.Fatal(err)
		}
		key := tree.Root().Path("identifier", "value").Str()
		for out[key].Exists() {
			key += "+"
		}
		out[key] = tree.Root()
	}
	return out
}

func message(id, body string) *pipeline.Message {
	return &pipeline.Message{ID: id, Source: "ncms", Kind: Kind, Received: time.Date(2026, 10, 13, 1, 0, 0, 0, time.UTC), Headers: map[string]string{}, Body: []byte(body)}
}

// hallRows has one row for each case of the reconciliation below.
const hallRows = `{"table":"NH_BSOFT_JSJL_MZ_DZ","rows":[
{"BXID":"B1","FPHM":"F1","DJID":"D1","JGID":"370000000001","JSRQ":"2026-10-12 08:50:11","SUM31":31.26,"SUM01":"15.63","SUM21":15.63,"SUM08":4,"ZFPB":0,"ICKH":"NH100001"},
{"BXID":"B2","FPHM":"F2","DJID":"D2","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":33.10,"SUM01":16.55,"SUM21":16.55,"ZFPB":0,"ICKH":"NH100002"},
{"BXID":"B4","FPHM":"F4","DJID":"D4","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":10,"SUM01":5,"SUM21":5,"ZFPB":1,"ICKH":"NH100004"},
{"BXID":"B4","FPHM":"F4","DJID":"D4","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":10,"SUM01":5,"SUM21":5,"ZFPB":1,"ICKH":"NH100004"},
{"BXID":"B5","FPHM":"F5","DJID":"D5","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":10,"SUM01":5,"SUM21":5,"ZFPB":0,"ICKH":"NH100005"},
{"BXID":"B5x","FPHM":"F5","DJID":"D5","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":10,"SUM01":5,"SUM21":5,"ZFPB":0,"ICKH":"NH100005"},
{"BXID":"B6","FPHM":"F6","DJID":"D6","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":20,"SUM01":10,"SUM21":10,"ZFPB":0,"ICKH":"NH100006"},
{"BXID":"B7","FPHM":"F7","DJID":"D7","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":20.00,"SUM01":10.0,"SUM21":10,"ZFPB":null,"ICKH":"NH100007"},
{"BXID":"B9","FPHM":"F9","DJID":"D9","JGID":"370000000001","JSRQ":"2026-10-12","SUM31":1,"SUM01":0,"SUM21":1,"ZFPB":0,"ICKH":"NH100009"}]}`

func entry(n, total, paid string, void bool) ncms.Entry {
	a, _ := ncms.ParseMoney("", total)
	b, _ := ncms.ParseMoney("", paid)
	return ncms.Entry{ID: "B" + n, Invoice: "F" + n, Visit: "D" + n, Card: "NH10000" + n, Total: a, Paid: b, Time: "2026-10-12 08:50:11", Void: void}
}

func TestSixMismatches(t *testing.T) {
	centre := list{entries: []ncms.Entry{
		entry("1", "31.26", "15.63", false), // agrees
		entry("2", "33.10", "16.55", true),  // 1
		entry("3", "8.00", "4.00", false),   // 2
		entry("4", "10.00", "5.00", true),   // 3
		entry("5", "10.00", "5.00", false),  // 4
		entry("6", "20.00", "10.01", false), // 5
		entry("7", "20.01", "10.00", false), // 6
		entry("8", "5.00", "2.50", true),    // reversed, never saved by the hall: nothing
	}}
	l, st := newLedger(t, centre)
	if err := l.Handle(context.Background(), message("m1", hallRows)); err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	r, err := l.Reconcile(context.Background(), ncms.Days{Caller: ncms.Caller{Hospital: "370000000001"}, From: "2026-10-12", To: "2026-10-12"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Findings {
		got = append(got, string(f.Kind)+":"+f.Entry.ID)
	}
	if want := "1:B2 2:B3 3:B4 4:B5 5:B6 6:B7"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if strings.Join(r.Orphans, " ") != "B9" || ncms.FormatMoney(r.Paid) != "44.64" {
		t.Errorf("orphans %v, paid %s", r.Orphans, r.Paid)
	}
	n := all(t, st, "PaymentReconciliation")["370000000001|2026-10-12|2026-10-12"]
	i := 0
	for d := range n.Get("detail").Each() {
		if kind, id := d.Path("type", "coding", "code").Str(), d.Path("identifier", "value").Str(); kind+":"+id != got[i] {
			t.Errorf("detail %d is %s:%s", i, kind, id)
		}
		i++
	}
	if i != 6 {
		t.Errorf("%s", n.Raw())
	}
	eobs := all(t, st, "ExplanationOfBenefit")
	if e := record.ReadBenefit(eobs["B2"], "ncms"); !e.Cancelled {
		t.Error("what the centre reversed is not cancelled")
	}
	if e := record.ReadBenefit(eobs["B3"], "ncms"); e.Sums[ncms.SumTotal] != "8.00" || e.Teller != record.ByCentre || e.PatientID == "" {
		t.Errorf("what only the centre knew: %+v", e)
	}
}

func TestRowsBecomeBenefits(t *testing.T) {
	l, st := newLedger(t, nil)
	for range 2 { // the same rows again change nothing
		if err := l.Handle(context.Background(), message("m1", hallRows)); err != nil {
			t.Fatal(err)
		}
	}
	eobs, bills := all(t, st, "ExplanationOfBenefit"), all(t, st, "Invoice")
	if len(eobs) != 8 || len(bills) != 9 {
		t.Fatalf("%d settlements, %d rows", len(eobs), len(bills))
	}
	e := eobs["B1"]
	for key, want := range map[string]string{"sum31": "31.26", "sum01": "15.63", "sum21": "15.63", "sum08": "4"} {
		if got := record.ReadSums(e)[key]; got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	if e.Get("status").Str() != "active" || eobs["B4"].Get("status").Str() != "cancelled" || e.Get("created").Str() != "2026-10-12T08:50:11+08:00" {
		t.Errorf("%s", e.Raw())
	}
	if b := bills["B1"]; b.Path("totalGross", "value").Str() != "31.26" || b.Get("status").Str() != "issued" {
		t.Errorf("%s", b.Raw())
	}
	later := strings.Replace(hallRows, `"ZFPB":0,"ICKH":"NH100001"`, `"ZFPB":1,"ICKH":"NH100001"`, 1)
	if err := l.Handle(context.Background(), message("m2", later)); err != nil {
		t.Fatal(err)
	}
	if all(t, st, "ExplanationOfBenefit")["B1"].Get("status").Str() != "cancelled" || len(all(t, st, "Invoice")) != 9 {
		t.Error("the later row did not take the place of the earlier one")
	}
}

// TestMonthFile reads the monthly file of an old county system.
func TestMonthFile(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/xnh/bcmx201610.dbf"))
	if err != nil {
		t.Fatal(err)
	}
	l, st := newLedger(t, nil)
	m := message("m1", "")
	m.Body, m.Headers[HeaderFile] = body, "bcmx201610.dbf"
	if err := l.Handle(context.Background(), m); err != nil {
		t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
	eobs := all(t, st, "ExplanationOfBenefit")
	if len(eobs) != 8 {
		t.Errorf("%d settlements", len(eobs))
	}
	e := record.ReadBenefit(eobs["D20161010000"], "ncms")
	if e.Sums[ncms.SumTotal] != "30.00" || e.Sums[ncms.SumScheme] != "14.00" || e.Sums["sum04"] != "28.00" || e.Sums[ncms.SumPatient] != "16.00" || e.Hospital != "370000000001" ||
		!strings.HasPrefix(e.At, "2016-10-10") || e.Inpatient {
		t.Errorf("%+v", e)
	}
	if d := eobs["D20161010000"].Get("diagnosis"); d.At(0).Path("diagnosisCodeableConcept", "coding", "code").Str() != "J06.900" ||
		d.At(1).Path("diagnosisCodeableConcept", "coding", "code").Str() != "BNF012" {
		t.Errorf("%s", d.Raw())
	}
	found := false
	for _, p := range all(t, st, "Patient") {
		found = found || p.Path("name", "text").Str() == "张三"
	}
	if !found {
		t.Error("GBK names are lost")
	}
}

// TestMessages takes settlements that a billing system tells.
func TestMessages(t *testing.T) {
	l, st := newLedger(t, nil)
	for i, body := range []string{
		`{"infno":"2207","fixmedins_code":"H1","input":{"data":{"mdtrt_id":"MD1","psn_no":"P1","invono":"F1","mdtrt_cert_no":"C1"}},"output":{"setlinfo":{"setl_id":"SL1","setl_time":"2026-10-12 08:50:11","medfee_sumamt":21.26,"fund_pay_sumamt":"10.63","psn_part_amt":10.63}}}`,
		`{"serviceId":"FybxJs","request":{"yybh":"370000000001","djid":"D1","fphm":"F9","jzlx":"1","fprq":"2026-10-12"},"reply":{"code":"1","bxid":"B9","sum31":"31.26","sum01":"15.63","sum21":"15.63"}}`,
		`{"serviceId":"ReSaveFybx","request":{"yybh":"370000000001","invoiceId":"F9","bxid":"B9"},"reply":{"code":"1"}}`,
	} {
		if err := l.Handle(context.Background(), message(fmt.Sprint("m", i), body)); err != nil {
			t.Fatalf("%s: %v %+v", body, err, fault.IssuesOf(err))
		}
	}
	eobs := all(t, st, "ExplanationOfBenefit")
	if e := record.ReadBenefit(eobs["SL1"], "ncms"); e.Sums[ncms.SumScheme] != "10.63" || e.Number != "MD1" || e.Invoice != "F1" || e.Cancelled {
		t.Errorf("%+v", e)
	}
	if e := record.ReadBenefit(eobs["B9"], "ncms"); !e.Cancelled || e.Sums[ncms.SumTotal] != "31.26" {
		t.Errorf("%+v", e)
	}
}

func TestHandle_bad(t *testing.T) {
	l, st := newLedger(t, nil)
	for body, place := range map[string]string{
		`{`:                       "",
		`{}`:                      "table",
		`{"table":"X","rows":[]}`: "table",
		`{"table":"NH_BSOFT_JSJL_MZ_DZ","rows":[{"BXID":"B1"},{"BXID":""},{"BXID":"B2","SUM31":"1e9"},{"BXID":"B3","JSRQ":"gestern"}]}`: "rows[1].BXID",
		`{"serviceId":"FybxJs","request":{},"reply":{"code":"-1"}}`:                                                                     "",
		`{"infno":"1101","input":{},"output":{}}`:                                                                                       "",
	} {
		err := l.Handle(context.Background(), message("m", body))
		if kind := fault.KindOf(err); err == nil || kind != fault.Invalid && kind != fault.Unsupported {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if is := fault.IssuesOf(err); place != "" && (len(is) == 0 || is[0].Expression != place) {
			t.Errorf("%s: %+v", body, is)
		}
	}
	if len(all(t, st, "ExplanationOfBenefit")) != 1 {
		t.Error("the row that could be read should have taken effect")
	}
}

// queue hands messages to the ledger a moment later, as the log does.
type queue struct {
	l       *Ledger
	letters []*pipeline.DeadLetter
	wg      sync.WaitGroup
}

func (q *queue) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	q.wg.Go(func() { _ = q.l.Handle(context.Background(), m) })
	return pipeline.Position{}, nil
}
func (q *queue) Put(_ context.Context, d *pipeline.DeadLetter) error {
	q.letters = append(q.letters, d)
	return nil
}
func (q *queue) List(context.Context, int) ([]*pipeline.DeadLetter, int, error) { return nil, 0, nil }
func (q *queue) Get(context.Context, string) (*pipeline.DeadLetter, error)      { return nil, nil }
func (q *queue) Resolve(context.Context, string) error                          { return nil }

func TestDoor(t *testing.T) {
	gin.SetMode(gin.TestMode)
	centre := &list{entries: []ncms.Entry{entry("1", "31.26", "15.63", false), entry("3", "8.00", "4.00", false)}}
	l, _ := newLedger(t, centre)
	q := &queue{l: l}
	defer q.wg.Wait()
	r := gin.New()
	NewDoor("ncms", DoorParts{Ledger: l, Inbound: q, Letters: q, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}).Mount(r)
	post := func(path, contentType string, body []byte) *httptest.ResponseRecorder {
		req := httptest.NewRequest("POST", path, bytes.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		return w
	}
	if w := post("/ingest/ncms", "application/json", []byte(hallRows)); w.Code != 202 || !strings.Contains(w.Body.String(), `"rows":9`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := post("/api/sources/ncms/reconcile", "application/json", []byte(`{"from":"2026-10-12","to":"2026-10-12","hospital":"370000000001"}`))
	var out struct {
		ResourceType string
		Detail       []struct {
			Identifier struct{ Value string }
			Type       struct{ Coding []struct{ Code string } }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 || out.ResourceType != "PaymentReconciliation" || len(out.Detail) != 1 ||
		out.Detail[0].Type.Coding[0].Code != "2" || out.Detail[0].Identifier.Value != "B3" {
		t.Fatalf("%d %v %s", w.Code, err, w.Body)
	}
	if w := post("/ingest/ncms", "application/json", []byte(`{"table":"NH_BSOFT_JSJL_MZ_DZ","rows":[{"BXID":"B1","SUM31":"x"}]}`)); w.Code != 400 && w.Code != 422 || len(q.letters) != 1 || !strings.Contains(w.Body.String(), "rows[0].SUM31") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := post("/ingest/ncms?file=x.csv", "text/csv", []byte("BXID,SUM31,SUM01\nB7,3.00,1.00\n")); w.Code != 202 || !strings.Contains(w.Body.String(), `"rows":1`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, body := range []string{``, `{"from":"x","to":"y","hospital":"1"}`, `{"from":"2026-10-12","to":"2026-10-11","hospital":"1"}`, `{"from":"2026-10-12"}`} {
		if w := post("/api/sources/ncms/reconcile", "application/json", []byte(body)); w.Code != 400 && w.Code != 422 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	centre.err = fault.New(fault.Unavailable, "away")
	if w := post("/api/sources/ncms/reconcile", "application/json", []byte(`{"from":"2026-10-12","hospital":"1"}`)); w.Code != 503 {
		t.Errorf("centre away: %d %s", w.Code, w.Body)
	}
}

func FuzzCheck(f *testing.F) {
	l, _ := newLedger(f, nil)
	f.Add([]byte(hallRows), "")
	f.Add([]byte("BXID,SUM31\nB,1\n"), "x.csv")
	f.Add([]byte(`{"infno":"2207","input":{},"output":{}}`), "")
	f.Fuzz(func(t *testing.T, body []byte, file string) {
		m := message("m", "")
		m.Body = body
		if file != "" {
			m.Headers[HeaderFile] = file
		}
		_, _ = l.Check(m)
	})
}

func BenchmarkRows(b *testing.B) {
	l, _ := newLedger(b, nil)
	var rows strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&rows, `,{"BXID":"B%d","FPHM":"F%d","DJID":"D%d","JGID":"1","JSRQ":"2026-10-12","SUM31":31.26,"SUM01":15.63,"SUM21":15.63,"ZFPB":0}`, i, i, i)
	}
	m := message("m", `{"table":"NH_BSOFT_JSJL_MZ_DZ","rows":[`+rows.String()[1:]+`]}`)
	b.SetBytes(int64(len(m.Body)))
	for b.Loop() {
		if n, err := l.Check(m); n != 1000 || err != nil {
			b.Fatal(n, err)
		}
	}
}
