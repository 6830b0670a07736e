package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
	"github.com/qihuang-health/qihuang/pipeline/journal"
	"github.com/qihuang-health/qihuang/pipeline/replay"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// pipes is a desk, a journal and a replayer in memory.
type pipes struct {
	paused  string
	query   journal.Query
	request replay.Request
	mended  string
}

func (p *pipes) List() []source.Status {
	return []source.Status{{Name: "his", Kind: "http", Paused: p.paused == "his", Hour: source.Counts{Received: 1234, Dead: 3}, ErrorText: "缺少病人编号"}}
}
func (p *pipes) Get(name string) (source.Status, error) {
	if name != "his" {
		return source.Status{}, fault.New(fault.NotFound, "没有这个来源")
	}
	return p.List()[0], nil
}
func (p *pipes) Pause(name string) error {
	_, err := p.Get(name)
	p.paused = name
	return err
}
func (p *pipes) Resume(name string) error { p.paused = ""; return nil }
func (p *pipes) Alerts() []source.Alert {
	return []source.Alert{{ID: "a1", Source: "his", Kind: "silent", Text: "超过 24h 没有收到消息", Opened: time.Now()}}
}
func (p *pipes) Acknowledge(id string) bool { return id == "a1" }

type book struct{ *pipes }

var kept = &journal.Entry{ID: "01", Source: "his", Kind: "his-visit", Received: time.Now(), Topic: "inbound", Keys: []journal.Key{{Type: 'n', Value: "张<三"}},
	Fate: journal.Fate{State: inbound.Done, Refs: []string{"Patient/p1/3"}}}

func (b book) Search(_ context.Context, q journal.Query) (*journal.Page, error) {
	b.query = q
	b.pipes.query = q
	return &journal.Page{Items: []*journal.Entry{kept}, Next: "00"}, nil
}
func (b book) Get(id string) (*journal.Entry, error) {
	if id != kept.ID {
		return nil, fault.New(fault.NotFound, "没有这条消息")
	}
	return kept, nil
}
func (b book) Copies(string) ([]string, error) { return []string{"02"}, nil }
func (b book) Message(context.Context, string) (*pipeline.Message, error) {
	return &pipeline.Message{ID: "01", Source: "his", Kind: "his-visit", Body: []byte(`{"orgCode":"37","patient":{"name":"张<三","birthDate":"19560312"},"extra":"x"}`)}, nil
}

type again struct{ *pipes }

func (a again) Run(_ context.Context, r replay.Request) (*replay.Report, error) {
	a.request = r
	a.pipes.request = r
	return &replay.Report{Selected: 2, Good: 1, Bad: 1, DryRun: r.DryRun, Failures: []replay.Failure{{ID: "01", Reason: "没有"}}}, nil
}
func (a again) Mend(_ context.Context, id string, body []byte) (string, error) {
	a.pipes.mended = id + " " + string(body)
	return "03", nil
}

func flowing(t *testing.T) (http.Handler, *pipes) {
	t.Helper()
	p := &pipes{}
	try := func(_ context.Context, m *pipeline.Message) ([]store.Op, error) {
		if strings.Contains(string(m.Body), "nobody") {
			return nil, fault.New(fault.Invalid, "x").With(fault.Issue{Severity: "error", Text: "缺少病人编号", Expression: "patient.id", Hint: "请补上"})
		}
		return []store.Op{{Method: store.Update, Type: "Patient", ID: "p1", Resource: []byte(`{"resourceType":"Patient","name":[{"text":"张<三"}],"birthDate":"1956-03-12"}`)}}, nil
	}
	flow := &Flow{Desk: p, Journal: book{p}, Replay: again{p}, Try: try, AcceptColumns: func(string) error { return nil },
		Sample: func(name, _ string, body []byte) (*pipeline.Message, error) {
			return &pipeline.Message{ID: "t", Source: name, Kind: "his-visit", Body: body}, nil
		}}
	letters := letters{{ID: "01", Message: &pipeline.Message{ID: "01", Source: "his", Kind: "his-visit", Body: []byte(`{"nobody":1}`)}, Reason: "缺少病人编号", Location: "patient.id"}}
	c, err := New(Config{Zone: time.UTC, Base: "http://hub"}, Parts{Hub: &running{}, SQL: scripted{"qihuang.patient": {{`{"id":"p1","name":"张三"}`}}}, Letters: letters, Log: slog.New(slog.DiscardHandler), Flow: flow})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.TestMode)
	r := gin.New()
	c.Mount(r)
	return r, p
}

func send(h http.Handler, path, contentType, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest("POST", path, strings.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

const form = "application/x-www-form-urlencoded"

func TestPagesOfSourcesAndMessages(t *testing.T) {
	h, p := flowing(t)
	for path, wants := range map[string][]string{
		"/console/sources": {"1,234", "缺少病人编号", "暂停", "/onboarding/his"},
		"/console/messages?q=%E5%BC%A0&state=done&since=2026-11-01": {"张&lt;三", "已入库", "before=00", "/console/messages/01"},
		"/console/messages/01":          {"张&lt;三", "Patient.name[0].text", "Patient.birthDate", "没有用到", "Patient/p1/_history/3", "修改后的副本", `p1`},
		"/console/dead-letters/01/edit": {"缺少病人编号", "nobody", "试算"},
		"/console/alerts":               {"超过 24h", "知悉"},
		"/onboarding/his":               {"http://hub/api/onboarding/his"},
	} {
		w := get(t, h, "GET", path)
		for _, want := range wants {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s (%d) lacks %q", path, w.Code, want)
			}
		}
	}
	if p.query.Key != "张" || p.query.State != inbound.Done || p.query.Since.IsZero() {
		t.Errorf("query %+v", p.query)
	}
	if w := get(t, h, "GET", "/console/messages/99"); w.Code != 404 {
		t.Errorf("unknown message: %d", w.Code)
	}
	if w := get(t, h, "GET", "/api/messages?limit=0"); w.Code != 400 {
		t.Errorf("limit: %d", w.Code)
	}
}

func TestFormsAndCalls(t *testing.T) {
	h, p := flowing(t)
	if w := send(h, "/console/sources/his/pause", form, ""); w.Code != 303 || p.paused != "his" {
		t.Errorf("pause: %d", w.Code)
	}
	if w := send(h, "/api/sources/his/resume", "", ""); w.Code != 200 || p.paused != "" {
		t.Errorf("resume: %d", w.Code)
	}
	if w := send(h, "/api/sources/none/pause", "", ""); w.Code != 404 {
		t.Errorf("pause of nobody: %d", w.Code)
	}
	text := url.Values{"text": {`{"nobody":2}`}, "act": {"try"}}
	if w := send(h, "/console/dead-letters/01/edit", form, text.Encode()); !strings.Contains(w.Body.String(), "仍会被拒收") || p.mended != "" {
		t.Errorf("try: %d", w.Code)
	}
	text.Set("act", "send")
	if w := send(h, "/console/dead-letters/01/edit", form, text.Encode()); w.Code != 303 || w.Header().Get("Location") != "/console/messages/03" || p.mended != `01 {"nobody":2}` {
		t.Errorf("send: %d %q", w.Code, p.mended)
	}
	if w := send(h, "/api/dead-letters/01/edit", "", "mended"); w.Code != 202 || p.mended != "01 mended" {
		t.Errorf("edit call: %d", w.Code)
	}
	if w := send(h, "/api/replay", "application/json", `{"source":"his","dryRun":true}`); w.Code != 200 || !p.request.DryRun || p.request.Source != "his" || !strings.Contains(w.Body.String(), `"bad":1`) {
		t.Errorf("replay: %d %s", w.Code, w.Body)
	}
	if w := send(h, "/api/replay", "application/json", `{"sauce":"his"}`); w.Code != 400 {
		t.Errorf("unknown condition: %d", w.Code)
	}
	if w := send(h, "/api/alerts/a1/acknowledge", "", ""); w.Code != 200 {
		t.Errorf("acknowledge: %d", w.Code)
	}
}

func TestOnboarding(t *testing.T) {
	h, _ := flowing(t)
	var s Selftest
	if err := json.Unmarshal(send(h, "/api/onboarding/his", "", `{"patient":{"name":"张<三"},"odd":1}`).Body.Bytes(), &s); err != nil || !s.OK || s.Unused != 1 || len(s.Lines) != 2 || s.Lines[0].To[0] != "Patient.name[0].text" {
		t.Errorf("%+v %v", s, err)
	}
	s = Selftest{}
	if err := json.Unmarshal(send(h, "/api/onboarding/his", "", `{"nobody":1}`).Body.Bytes(), &s); err != nil || s.OK || len(s.Missing) != 1 || s.Missing[0] != (Finding{"patient.id", "缺少病人编号", "请补上"}) {
		t.Errorf("%+v %v", s, err)
	}
	if w := send(h, "/onboarding/his", form, url.Values{"text": {`{"nobody":1}`}}.Encode()); !strings.Contains(w.Body.String(), "还不能入库") {
		t.Errorf("page: %d", w.Code)
	}
	if w := send(h, "/api/onboarding/none", "", "{}"); w.Code != 404 {
		t.Errorf("unknown source: %d", w.Code)
	}
}

func TestOutline(t *testing.T) {
	for body, want := range map[string]string{
		"MSH|^~\\&|A\rPID|1||7^^^H\rOBX|1\rOBX|2||x": "MSH-3 PID-1 PID-3 OBX-1 OBX(2)-1 OBX(2)-3",
		`<a b="1"><c>&lt;d&gt;2&lt;/d&gt;</c></a>`:   "/a/@b /a/c/d",
		`{"a":[{"b":1},2],"c":null}`:                 "a[0].b a[1]",
	} {
		var got []string
		for _, l := range outline(&pipeline.Message{Body: []byte(body)}) {
			got = append(got, l.Place)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", body, s, want)
		}
	}
}
