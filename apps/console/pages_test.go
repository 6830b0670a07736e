package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/jobs"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/subscribe"
	"github.com/qihuang-health/qihuang/fhir/xml"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// mended is Subscriptions with one failing subscription.
type mended struct{ retried, resent string }

func (m *mended) List() []subscribe.Info {
	return []subscribe.Info{{ID: "s1", Topic: "http://x/t", Channel: "rest-hook", Endpoint: "http://hall.example/hook", Status: subscribe.Failing, Error: "接收方答复 500", Events: 7, Delivered: 4, Failures: 9, LastEvent: time.Unix(1_790_000_000, 0), NextTry: time.Unix(1_790_000_060, 0)},
		{ID: "s2", Criteria: "Patient?name=li", Channel: "websocket", Status: subscribe.Active, Listeners: 2}}
}
func (m *mended) Topics() []subscribe.Topic {
	return []subscribe.Topic{{URL: "http://x/t", Title: "就诊完成", Triggers: []subscribe.Trigger{{Type: "Encounter"}}}}
}
func (m *mended) Retry(id string) error { m.retried = id; return nil }
func (m *mended) Resend(_ context.Context, id string, from int64) error {
	if from > 7 {
		return fault.New(fault.Invalid, "事件 %d 还没有发生，最后一个是 7", from)
	}
	m.resent = id
	return nil
}

// operated is a console over a repository with some resources and histories.
func operated(t *testing.T) (http.Handler, *mended, *jobs.Manager) {
	t.Helper()
	m, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	se := search.NewEngine(m, fhirpath.NewEngine(m))
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: se})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- st.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	at := time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
	put := func(n int, body string) {
		tree := strings.Split(body, `"`)
		op := store.Op{Method: store.Update, Type: tree[3], ID: tree[7], Resource: []byte(body)}
		if _, err := st.Commit(ctx, &store.Transaction{ID: string(rune('a' + n)), Time: at.Add(time.Duration(n) * time.Minute), Ops: []store.Op{op}}); err != nil {
			t.Fatal(err)
		}
	}
	put(0, `{"resourceType":"Patient","id":"p1","name":[{"text":"李小明"}],"gender":"male","birthDate":"1970-01-01"}`)
	put(1, `{"resourceType":"Patient","id":"p1","name":[{"text":"李晓明"}],"gender":"male","birthDate":"1970-01-01"}`)
	put(2, `{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1","display":"李晓明"}}`)
	for i := range 21 {
		put(3+i, `{"resourceType":"Patient","id":"q`+string(rune('a'+i))+`","name":[{"text":"<b>王"}]}`)
	}
	jm := jobs.New(jobs.Default(), clock.System{}, func() string { return "job1" })
	t.Cleanup(jm.Close)
	subs := &mended{}
	c, err := New(Config{Version: "test", Zone: time.FixedZone("Asia/Shanghai", 8*3600), Local: true}, Parts{Hub: &running{}, SQL: answers, Letters: letters{}, Log: slog.New(slog.DiscardHandler),
		Jobs: jm, Subscriptions: subs, Repository: &Repository{Store: st, Search: se, Model: m, XML: func(b []byte) ([]byte, error) { return xml.FromJSON(m, b) }}})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.TestMode)
	r := gin.New()
	c.Mount(r)
	return r, subs, jm
}

// TestPages asks each page for what must stand on it, and holds it to 100 KB.
func TestPages(t *testing.T) {
	h, _, jm := operated(t)
	stop := make(chan struct{})
	if _, err := jm.Start("export", "", func(ctx context.Context, progress func(string)) (any, error) {
		progress("Patient 12000")
		close(stop)
		<-ctx.Done()
		return nil, ctx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	<-stop
	for path, c := range map[string]struct {
		code int
		want []string
	}{
		"/console/resources":                                      {200, []string{"患者", ">22<", "Encounter", "演示/本机模式"}},
		"/console/resources/Patient":                              {200, []string{"22 个结果", "下一页", "&lt;b&gt;王", "加入条件", `value="birthdate"`}},
		"/console/resources/Patient?name=lixiaoming":              {200, []string{"1 个结果", "李晓明", "GET /fhir/Patient?name=lixiaoming", "$explain?Patient?name=lixiaoming"}},
		"/console/resources/Patient?nam=x":                        {400, []string{"没有检索参数", "did you mean"}},
		"/console/resources/Patient?_id=%zz":                      {400, []string{"百分号编码不正确"}},
		"/console/resources/Encounter?_include=Encounter:subject": {200, []string{"1 个结果", "Patient/</code>", "李晓明"}},
		"/console/resources/Nonsense":                             {404, []string{"没有资源类型 Nonsense"}},
		"/console/resources/Patient/p1":                           {200, []string{"李晓明", "版本 2", "birthDate", "1970-01-01"}},
		"/console/resources/Patient/p1?version=1&as=json":         {200, []string{"历史版本", "李小明"}},
		"/console/resources/Patient/p1?as=xml":                    {200, []string{"&lt;Patient"}},
		"/console/resources/Patient/p1?version=9":                 {404, []string{"没有 Patient/p1"}},
		"/console/resources/Patient/p1?version=x":                 {400, []string{"版本应为数字"}},
		"/console/resources/Encounter/e1":                         {200, []string{`href="/console/resources/Patient/p1"`}},
		"/console/resources/Patient/p1/history":                   {200, []string{"版本 1 → 2", "+3", "李小明", "李晓明"}},
		"/console/resources/Patient/none/history":                 {404, []string{"没有 Patient/none"}},
		"/console/search/Patient/input?p=birthdate":               {200, []string{"不早于", "2026-11"}},
		"/console/search/Encounter/input?p=subject":               {200, []string{`value="Patient/"`, "按标识"}},
		"/console/jobs":                                           {200, []string{"批量导出", "进行中", "Patient 12000", "取消"}},
		"/console/subscriptions":                                  {200, []string{"就诊完成", "接收方答复 500", "已失败 9 次", "Patient?name=li", "2 个连接", "重发"}},
	} {
		w := get(t, h, "GET", path)
		body := strings.ReplaceAll(w.Body.String(), "Patient/p1</code>", "Patient/</code>")
		if w.Code != c.code {
			t.Errorf("%s: %d", path, w.Code)
		}
		for _, s := range c.want {
			if !strings.Contains(body, s) {
				t.Errorf("%s lacks %q", path, s)
			}
		}
		if strings.Contains(body, "<b>王") || strings.Contains(body, "onclick") {
			t.Errorf("%s: unescaped content or inline script", path)
		}
		var z bytes.Buffer
		g := gzip.NewWriter(&z)
		_, _ = g.Write(w.Body.Bytes())
		_ = g.Close()
		if z.Len() > 40<<10 {
			t.Errorf("%s is %d bytes gzipped", path, z.Len())
		}
	}
}

// TestPaging: a page link shows the state it was made on.
func TestPaging(t *testing.T) {
	h, _, _ := operated(t)
	body := get(t, h, "GET", "/console/resources/Patient").Body.String()
	_, link, _ := strings.Cut(body, `<a class="button" href="`)
	link, _, _ = strings.Cut(link, `"`)
	w := get(t, h, "GET", "/console/resources/Patient"+strings.ReplaceAll(link, "&amp;", "&"))
	if n := strings.Count(w.Body.String(), "/history"); w.Code != 200 || n != 2 {
		t.Errorf("second page: %d, %d rows", w.Code, n)
	}
	if w := get(t, h, "GET", "/console/resources/Patient?console-at=99999&console-cursor=x"); w.Code == 200 || w.Code == 500 {
		t.Errorf("a made-up page: %d", w.Code)
	}
}

// TestBuilder puts conditions together as a person does.
func TestBuilder(t *testing.T) {
	h, _, _ := operated(t)
	for in, want := range map[string]string{
		"q=&p=name&m=exact&v=李":                         "?name:exact=%E6%9D%8E",
		"q=name%3Dli&p=birthdate&m=&op=ge&v=1970-01-01": "?name=li&birthdate=ge1970-01-01",
		"q=&p=gender&m=not&v=male":                      "?gender:not=male",
		"q=name%3Dli&p=gender&v=":                       "?name=li",
		"q=&p=identifier&v=http%3A%2F%2Fx%7C1%262":      "?identifier=http://x|1%262",
		"q=&p=birthdate&m=missing&op=eq&v=true":         "?birthdate:missing=true",
	} {
		w := get(t, h, "GET", "/console/search/Patient/add?"+in)
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/console/resources/Patient"+want {
			t.Errorf("%s: %d %s", in, w.Code, got)
		}
	}
}

// TestForms: buttons work from our own pages only.
func TestForms(t *testing.T) {
	h, subs, jm := operated(t)
	post := func(path, origin string, form url.Values) int {
		req := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Code
	}
	if code := post("/console/subscriptions/s1/retry", "http://example.com", nil); code != 303 || subs.retried != "s1" {
		t.Errorf("retry: %d %q", code, subs.retried)
	}
	if code := post("/console/subscriptions/s1/resend", "http://evil.example", url.Values{"from": {"1"}}); code != 403 || subs.resent != "" {
		t.Errorf("foreign form: %d %q", code, subs.resent)
	}
	if code := post("/console/subscriptions/s1/resend", "", url.Values{"from": {"2"}}); code != 303 || subs.resent != "s1" {
		t.Errorf("resend: %d %q", code, subs.resent)
	}
	for _, from := range []string{"0", "x", "8"} {
		if code := post("/console/subscriptions/s1/resend", "", url.Values{"from": {from}}); code != 400 {
			t.Errorf("resend from %s: %d", from, code)
		}
	}
	if _, err := jm.Start("reindex", "", func(ctx context.Context, _ func(string)) (any, error) { <-ctx.Done(); return nil, ctx.Err() }); err != nil {
		t.Fatal(err)
	}
	if code := post("/console/jobs/job1/cancel", "", nil); code != 303 {
		t.Errorf("cancel: %d", code)
	}
	if s, _ := jm.Get("job1"); s.State != jobs.Cancelled {
		t.Errorf("job %+v", s)
	}
	if code := post("/console/jobs/none/cancel", "", nil); code != 404 {
		t.Errorf("cancel of none: %d", code)
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"1\n2\n3", "1\n2\n3", "skip"}, {"1\n2\n3", "1\nx\n3", " -2 +x "}, {"", "1", "+1"}, {"1", "", "-1"}, {"a\nb\nc\nd", "b\nc\nx\nd", "-a  +x "},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\n3\n4\n5\n6\n7\n8\nx", "skip   -9+x"},
	} {
		var b strings.Builder
		for _, l := range compare(c.a, c.b) {
			switch l.Kind {
			case "add":
				b.WriteString("+" + l.Text)
			case "del":
				b.WriteString("-" + l.Text)
			case "skip":
				b.WriteString("skip")
			default:
				b.WriteString(" ")
			}
		}
		if strings.ReplaceAll(b.String(), " ", "") != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%q to %q: %q", c.a, c.b, b.String())
		}
	}
	long := strings.Repeat("a\n", 3000)
	if n := len(compare(long+"x", strings.Repeat("b\n", 3000)+"x")); n < 6000 {
		t.Errorf("too large to compare: %d lines", n)
	}
}
