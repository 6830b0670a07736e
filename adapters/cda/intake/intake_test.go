package intake

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/cda"
	"github.com/qihuang-health/qihuang/adapters/cda/bundle"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

var china = time.FixedZone("CST", 8*3600)

// queue records what the door appends and keeps.
type queue struct {
	messages []*pipeline.Message
	letters  []*pipeline.DeadLetter
	err      error
}

func (q *queue) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	if q.err == nil {
		q.messages = append(q.messages, m)
	}
	return pipeline.Position{}, q.err
}

func (q *queue) Put(_ context.Context, d *pipeline.DeadLetter) error {
	q.letters = append(q.letters, d)
	return nil
}

func (q *queue) List(context.Context, int) ([]*pipeline.DeadLetter, int, error) {
	return q.letters, len(q.letters), nil
}
func (q *queue) Get(context.Context, string) (*pipeline.DeadLetter, error) { return q.letters[0], nil }
func (q *queue) Resolve(context.Context, string) error                     { return nil }

// hub is a repository in memory with door and sink.
type hub struct {
	t     *testing.T
	cat   *cda.Catalogue
	st    *memory.Store
	sink  *Sink
	queue *queue
	door  http.Handler
	seq   int
}

func newHub(t *testing.T) *hub {
	t.Helper()
	cat, err := cda.Load()
	if err != nil {
		t.Fatal(err)
	}
	checker, err := cda.NewChecker(cat)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.New(cat, checker, china)
	if err != nil {
		t.Fatal(err)
	}
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	find := search.NewEngine(model, fhirpath.NewEngine(model))
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: find})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- st.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	gin.SetMode(gin.TestMode)
	r, q, c := gin.New(), &queue{}, clock.Fixed(time.Date(2026, 10, 12, 9, 0, 0, 0, china))
	cfg := Default()
	cfg.MaxBody, cfg.KeptBody = 100_000, 100
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	New(cfg, Parts{Mapper: m, Inbound: q, Letters: q, IDs: pipeline.NewIDs(c), Clock: c, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Mount(r)
	return &hub{t: t, cat: cat, st: st, sink: NewSink(m, st, find), queue: q, door: r}
}

// document is the full specimen of a template, of a later version if version is not "".
func (h *hub) document(code, version string) []byte {
	tp := h.cat.Template(code)
	d := cda.Specimen(h.cat, tp)
	if version != "" {
		d.Version = version
	}
	return cda.Append(nil, d, tp)
}

func (h *hub) post(body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/ingest/cda", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/xml")
	h.door.ServeHTTP(w, req)
	return w
}

// handle gives a document its effect.
func (h *hub) handle(body []byte) {
	h.t.Helper()
	h.seq++
	m := &pipeline.Message{ID: "m" + string(rune('0'+h.seq)), Source: "cda", Kind: Kind, Received: time.Date(2026, 10, 12, 9, h.seq, 0, 0, china), Body: body}
	if err := h.sink.Handle(context.Background(), m); err != nil {
		h.t.Fatalf("%v %+v", err, fault.IssuesOf(err))
	}
}

// state is every current resource with its version.
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

func count(state map[string]*store.Version, typ string) int {
	n := 0
	for k := range state {
		if strings.HasPrefix(k, typ+"/") {
			n++
		}
	}
	return n
}

func TestDoorKeepsAndAnswers(t *testing.T) {
	h := newHub(t)
	if w := h.post(h.document("C0002", "")); w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"status":"accepted"`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	m := h.queue.messages[0]
	if m.Kind != Kind || !strings.HasPrefix(m.Key, "cda|370000000001|pat-") || !bytes.Equal(m.Body, h.document("C0002", "")) {
		t.Errorf("%+v", m)
	}
	missing := bytes.Replace(h.document("C0002", ""), []byte(`code="10154-3"`), []byte(`code="99999-9"`), 1)
	if w := h.post(missing); w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), "缺少章节：主诉") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestDoorRefuses_bad(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]byte) []byte
		status int
		reason string
	}{
		"wrong template": {func(b []byte) []byte { return bytes.Replace(b, []byte(`2.1.1.22"`), []byte(`2.1.1.99"`), 1) }, 422, "模板号"},
		"doctype":        {func(b []byte) []byte { return append([]byte("<!DOCTYPE x>"), b[39:]...) }, 400, "DTD"},
		"no XML":         {func([]byte) []byte { return []byte("{}") }, 400, ""},
		"empty":          {func([]byte) []byte { return nil }, 400, ""},
		"too large":      {func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 100_000)...) }, 413, "超过"},
	} {
		h := newHub(t)
		w := h.post(c.change(h.document("C0002", "")))
		if w.Code != c.status || !strings.Contains(w.Body.String(), "OperationOutcome") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if len(h.queue.letters) != 1 || len(h.queue.messages) != 0 || !strings.Contains(h.queue.letters[0].Reason, c.reason) {
			t.Errorf("%s: %d letters, %d messages", name, len(h.queue.letters), len(h.queue.messages))
		}
	}
	h := newHub(t)
	h.queue.err = fault.New(fault.Busy, "full")
	if w := h.post(h.document("C0002", "")); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d", w.Code)
	}
}

func TestSinkWritesOnce(t *testing.T) {
	h := newHub(t)
	h.handle(h.document("C0002", "2"))
	first := h.state()
	if count(first, "Composition") != 1 || count(first, "Patient") != 1 || count(first, "Condition") == 0 {
		t.Fatalf("%v", first)
	}
	h.handle(h.document("C0002", "2"))
	for k, v := range h.state() {
		if v.Version != 1 {
			t.Errorf("%s has version %d", k, v.Version)
		}
	}
	h.handle(h.document("C0002", "1")) // an older version comes late
	if again := h.state(); len(again) != len(first) {
		t.Errorf("%d resources, had %d", len(again), len(first))
	}
	shorter := bytes.Replace(h.document("C0002", "3"), []byte("辅助检查结果"), []byte("辅助检查项目"), -1)
	h.handle(shorter)
	if n := count(h.state(), "Composition"); n != 1 {
		t.Errorf("%d compositions", n)
	}
}

// TestSinkLeavesWhatOthersTold: the visit's record of the HIS stays as it is.
func TestSinkLeavesWhatOthersTold(t *testing.T) {
	h := newHub(t)
	pid := tcm.PatientID("370000000001", "100001")
	visit := tcm.Visit{OrgCode: "370000000001", EncounterID: tcm.EncounterID("370000000001", "S0001"), PatientID: pid, Time: "2026-10-12T08:00:00+08:00"}
	own := append(tcm.Patient{OrgCode: "370000000001", No: "100001", Name: "张三", Phone: "1"}.Resources(),
		tcm.Encounter{OrgCode: "370000000001", VisitNo: "S0001", Status: "finished", PatientID: pid, Start: visit.Time}.Resources()...)
	own = append(own, tcm.Record{Visit: visit, VisitNo: "S0001", ChiefComplaint: "恶寒"}.Resources()...)
	tx := &store.Transaction{ID: "his", Time: time.Unix(0, 0).UTC()}
	for _, r := range own {
		body, err := h.sink.encoder.Marshal(r.Model)
		if err != nil {
			t.Fatal(err)
		}
		tx.Ops = append(tx.Ops, store.Op{Method: store.Update, Type: r.Type, ID: r.ID, Resource: body})
	}
	if _, err := h.st.Commit(context.Background(), tx); err != nil {
		t.Fatal(err)
	}
	h.handle(h.document("C0002", ""))
	state := h.state()
	for _, r := range own {
		if v := state[r.Type+"/"+r.ID]; v == nil || v.Version != 1 {
			t.Errorf("%s/%s was changed", r.Type, r.ID)
		}
	}
	if count(state, "Patient") != 1 || count(state, "Composition") != 2 {
		t.Errorf("%d patients, %d compositions", count(state, "Patient"), count(state, "Composition"))
	}
	tree, err := fhir.Parse(state["Composition/"+bundle.CompositionID("370000000001", "SPECIMEN-C0002")].Resource)
	if err != nil {
		t.Fatal(err)
	}
	if got := tree.Root().Path("subject", "reference").Str(); got != "Patient/"+pid {
		t.Errorf("the document is of %s", got)
	}
}

func TestConfig_bad(t *testing.T) {
	if (Config{}).Validate() == nil {
		t.Error("an empty configuration passes")
	}
}
