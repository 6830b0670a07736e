package workbench

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/configs/maps"
	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/fhir/terminology"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/pipeline"
)

// bench is a workbench over a store in memory.
type bench struct {
	t        *testing.T
	server   *gin.Engine
	tally    *mapping.Tally
	store    *memory.Store
	replayed []string
}

// letters has one refused message.
type letters struct{ pipeline.DeadLetters }

func (letters) Get(context.Context, string) (*pipeline.DeadLetter, error) {
	return &pipeline.DeadLetter{Message: &pipeline.Message{Kind: mapping.KindV2, Body: []byte("MSH|^~\\&|LIS|9|||||ADT^A04|1|P|2.5\rPID|1||77^^^9^PI||李^四")}}, nil
}

func newBench(t *testing.T) *bench {
	t.Helper()
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	terms := terminology.New(model)
	for _, r := range conformance.Terminology() {
		if err := terms.Include(r); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	st, err := memory.New(machine.Config{Indexer: storetest.Indexer{}, Clock: clock.System{}, Logger: log}.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- st.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	zone := time.FixedZone("CST", 8*3600)
	book, err := mapping.OpenBook(mapping.BookConfig{Shipped: maps.Files, Versions: t.TempDir()},
		mapping.NewCompiler(model, nil, zone, "Visit"), clock.System{}, log)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: st}
	if b.tally, err = mapping.OpenTally(t.TempDir()+"/codes.json", clock.System{}); err != nil {
		t.Fatal(err)
	}
	w, err := New(Config{Zone: zone, Local: true}, Parts{Book: book, Tally: b.tally, Terms: terms, Store: st, Letters: letters{},
		Replay: func(_ context.Context, id string) error { b.replayed = append(b.replayed, id); return nil }, Clock: clock.System{}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.TestMode)
	b.server = gin.New()
	w.Mount(b.server)
	return b
}

func (b *bench) do(method, path string, body any) (int, string) {
	b.t.Helper()
	var r io.Reader
	contentType := ""
	switch x := body.(type) {
	case url.Values:
		r, contentType = strings.NewReader(x.Encode()), "application/x-www-form-urlencoded"
	case nil:
	default:
		data, err := json.Marshal(x)
		if err != nil {
			b.t.Fatal(err)
		}
		r, contentType = bytes.NewReader(data), "application/json"
	}
	req := httptest.NewRequest(method, path, r)
	req.Header.Set("Content-Type", contentType)
	rec := httptest.NewRecorder()
	b.server.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

const canonical = "https://qihuang.health/fhir/ConceptMap/local-diagnosis"

func TestApproveMakesAConceptMapAndReplays(t *testing.T) {
	b := newBench(t)
	b.tally.Add("his", "m1", []mapping.Unmapped{{Table: "diagnosis", ConceptMap: canonical, System: "urn:org:1", Code: "GM01", Display: "感冒"}})
	b.tally.Add("his", "m2", []mapping.Unmapped{{Table: "diagnosis", ConceptMap: canonical, System: "urn:org:1", Code: "GM01", Display: "感冒"}})
	b.tally.Add("his", "m2", []mapping.Unmapped{{Table: "diagnosis", ConceptMap: canonical, System: "urn:org:1", Code: "GM01", Display: "感冒"}})
	_, text := b.do("GET", "/api/codes", nil)
	var list struct {
		Total int
		Items []missed
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	if list.Total != 1 || list.Items[0].Count != 2 || len(list.Items[0].Suggestions) == 0 || list.Items[0].Suggestions[0].Display != "感冒" {
		t.Fatalf("%s", text)
	}
	if status, page := b.do("GET", "/console/codes", nil); status != http.StatusOK || !strings.Contains(page, "GM01") || !strings.Contains(page, "确认并重放") {
		t.Errorf("page: %d %s", status, page)
	}
	status, text := b.do("POST", "/api/codes/approve", Approval{Table: "diagnosis", System: "urn:org:1", Code: "GM01", Display: "感冒", Target: list.Items[0].Suggestions[0]})
	if status != http.StatusOK || !strings.Contains(text, `"replayed":2`) || len(b.replayed) != 2 {
		t.Errorf("%d %s %v", status, text, b.replayed)
	}
	// A second decision is the next version of the same ConceptMap.
	b.tally.Add("his", "m3", []mapping.Unmapped{{Table: "diagnosis", ConceptMap: canonical, System: "urn:org:1", Code: "KS", Display: "咳嗽"}})
	form := url.Values{"table": {"diagnosis"}, "system": {"urn:org:1"}, "code": {"KS"}, "target": {"urn:t|A01|咳嗽病"}}
	if status, text := b.do("POST", "/console/codes/approve", form); status != http.StatusSeeOther {
		t.Errorf("%d %s", status, text)
	}
	snap, err := b.store.Snapshot(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	v, err := snap.Read("ConceptMap", "local-diagnosis")
	if err != nil {
		t.Fatal(err)
	}
	if v.Version != 2 || !bytes.Contains(v.Resource, []byte(`"GM01"`)) || !bytes.Contains(v.Resource, []byte(`"KS"`)) {
		t.Errorf("version %d %s", v.Version, v.Resource)
	}
	if len(b.tally.List()) != 0 {
		t.Error("decided codes stay listed")
	}
}

func TestSuggestions(t *testing.T) {
	b := newBench(t)
	for q, want := range map[string]string{"感冒": "感冒", "ganmao": "感冒", "gm": "感冒", "感冒（风寒）": "感冒"} {
		if _, text := b.do("GET", "/api/codes/suggest?table=diagnosis&q="+url.QueryEscape(q), nil); !strings.Contains(text, want) {
			t.Errorf("%s: %s", q, text)
		}
	}
}

func TestApprove_bad(t *testing.T) {
	b := newBench(t)
	b.tally.Add("his", "m", []mapping.Unmapped{{Table: "inline", System: "s", Code: "x"}})
	target := Suggestion{"urn:t", "A", "a"}
	for name, c := range map[string]struct {
		a      Approval
		status int
	}{
		"unknown": {Approval{Table: "diagnosis", System: "s", Code: "none", Target: target}, http.StatusNotFound},
		"empty":   {Approval{Table: "inline", System: "s", Code: "x"}, http.StatusUnprocessableEntity},
		"in map":  {Approval{Table: "inline", System: "s", Code: "x", Target: target}, http.StatusNotImplemented},
	} {
		if status, text := b.do("POST", "/api/codes/approve", c.a); status != c.status {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

func TestMapEditor(t *testing.T) {
	b := newBench(t)
	_, text := b.do("GET", "/api/maps/hl7v2-adt", nil)
	var m struct{ Text, Version, Origin string }
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if status, page := b.do("GET", "/console/maps/hl7v2-adt?message=any", nil); status != http.StatusOK || !strings.Contains(page, "李^四") || !strings.Contains(page, "Patient.name[0].text") {
		t.Errorf("editor with a refused message: %d", status)
	}
	_, text = b.do("POST", "/api/maps/hl7v2-adt/preview", Draft{Text: strings.Replace(m.Text, "time: =MSH-7", "tiem: =MSH-7", 1)})
	var p Preview
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Problems) != 1 || p.Problems[0].Line != 8 || p.Problems[0].Col != 1 {
		t.Errorf("%+v", p.Problems)
	}
	if status, _ := b.do("PUT", "/api/maps/hl7v2-adt", Draft{Text: "map: x\nnope: 1"}); status != http.StatusUnprocessableEntity {
		t.Errorf("a map that does not compile was saved: %d", status)
	}
	changed := strings.Replace(m.Text, "title: HL7 v2 ADT", "title: 改过的 ADT", 1)
	if status, text := b.do("PUT", "/api/maps/hl7v2-adt", Draft{Text: changed, Comment: "改标题"}); status != http.StatusOK || !strings.Contains(text, `"number":1`) {
		t.Errorf("%d %s", status, text)
	}
	if _, text := b.do("GET", "/api/maps/hl7v2-adt/diff?from=0", nil); !strings.Contains(text, "改过的 ADT") {
		t.Errorf("diff: %s", text)
	}
	if status, page := b.do("GET", "/console/maps/hl7v2-adt/diff?from=0", nil); status != http.StatusOK || !strings.Contains(page, `class="add"`) {
		t.Errorf("diff page: %d", status)
	}
	if status, text := b.do("POST", "/api/maps/hl7v2-adt/rollback", map[string]int{"version": 0}); status != http.StatusOK || !strings.Contains(text, `"number":2`) {
		t.Errorf("%d %s", status, text)
	}
	if _, text := b.do("GET", "/api/maps/hl7v2-adt", nil); !strings.Contains(text, m.Version) || !strings.Contains(text, `"origin":"saved"`) {
		t.Errorf("after the rollback: %.200s", text)
	}
	if status, page := b.do("GET", "/console/maps", nil); status != http.StatusOK || !strings.Contains(page, "hl7v2-orders") {
		t.Errorf("list: %d", status)
	}
}
