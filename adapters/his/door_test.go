package his

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shared"
	"github.com/qihuang-health/qihuang/pipeline"
)

// queue records what the door appends and keeps; err is what Append answers.
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

var now = time.Date(2026, 10, 12, 9, 0, 0, 0, china)

func serve(t testing.TB, st store.Reader, find Searcher) (*queue, http.Handler) {
	t.Helper()
	gin.SetMode(gin.TestMode)
	q, cfg, c := &queue{}, Default(), clock.Fixed(now)
	cfg.MaxBody, cfg.KeptBody = 200_000, 1000
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	r := gin.New()
	New(cfg, Parts{Inbound: q, Letters: q, Store: st, Search: find, IDs: pipeline.NewIDs(c), Clock: c,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Mount(r)
	return q, r
}

func post(h http.Handler, path, contentType string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	h.ServeHTTP(w, req)
	return w
}

func gbk(t testing.TB, s []byte) []byte {
	t.Helper()
	b, err := simplifiedchinese.GBK.NewEncoder().Bytes(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPostDocument_ok(t *testing.T) {
	v := visits(t)[0]
	for name, c := range map[string]struct {
		contentType string
		body        []byte
	}{
		"json":           {"application/json", v},
		"gbk declared":   {"application/json; charset=GBK", gbk(t, v)},
		"gbk undeclared": {"application/json", gbk(t, v)},
		"no type":        {"", v},
	} {
		q, h := serve(t, nil, nil)
		w := post(h, "/ingest/his", c.contentType, c.body)
		var ans struct{ ID, Status string }
		if w.Code != http.StatusAccepted || json.Unmarshal(w.Body.Bytes(), &ans) != nil || ans.Status != "accepted" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
			continue
		}
		m := q.messages[0]
		if m.ID != ans.ID || !bytes.Equal(m.Body, c.body) || m.Key != "his|370000000001|100001" || m.Kind != KindVisit {
			t.Errorf("%s: message %+v", name, m)
		}
	}
}

func TestPostDocument_bad(t *testing.T) {
	ok := `{"orgCode":"1","visitNo":"2","visitTime":"2026-10-12 08:00:00","patient":{"id":"3"}`
	for name, c := range map[string]struct {
		body   string
		status int
		place  string
	}{
		"not json":         {`{"orgCode":"1",`, 400, ""},
		"empty":            {``, 400, ""},
		"charset":          {"{\"orgCode\":\"\xff\xff\x80\"}", 400, ""},
		"no patient id":    {`{"orgCode":"1","visitNo":"2","visitTime":"2026-10-12 08:00:00","patient":{"name":"x"}}`, 400, "patient.id"},
		"null patient id":  {`{"orgCode":"1","visitNo":"2","visitTime":"2026-10-12 08:00:00","patient":{"id":"null"}}`, 400, "patient.id"},
		"no visit":         {`{"orgCode":"1","visitTime":"2026-10-12 08:00:00","patient":{"id":"3"}}`, 400, "visitNo"},
		"bad time":         {`{"orgCode":"1","visitNo":"2","visitTime":"soon","patient":{"id":"3"}}`, 400, "visitTime"},
		"unknown gender":   {`{"orgCode":"1","visitNo":"2","visitTime":"2026-10-12 08:00:00","patient":{"id":"3","gender":"火星"}}`, 422, "patient.gender"},
		"unknown disease":  {ok + `,"diagnoses":[{"diseaseCode":"A01.01.01"},{"diseaseCode":"XX99"}]}`, 422, "diagnoses[1].diseaseCode"},
		"unknown type":     {ok + `,"westernPrescriptions":[{"no":"1","type":"magic"}]}`, 422, "westernPrescriptions[0].type"},
		"twice the number": {ok + `,"herbalPrescriptions":[{"no":"1"},{"no":"1"}]}`, 400, "herbalPrescriptions[1].no"},
		"nameless herb":    {ok + `,"herbalPrescriptions":[{"no":"1","items":[{"dose":9}]}]}`, 400, "herbalPrescriptions[0].items[0]"},
		"no doses":         {ok + `,"herbalPrescriptions":[{"no":"1","doses":0}]}`, 400, "herbalPrescriptions[0].doses"},
		"negative dose":    {ok + `,"herbalPrescriptions":[{"no":"1","items":[{"name":"x","dose":-9}]}]}`, 400, "herbalPrescriptions[0].items[0].dose"},
		"bad decimal":      {ok + `,"charges":[{"no":"1","amount":"free"}]}`, 400, "charges[0].amount"},
		"not a list":       {ok + `,"charges":{"no":"1"}}`, 400, "charges"},
		"a list":           {`[]`, 400, ""},
		"oversize":         {ok + `,"x":"` + strings.Repeat("x", 300_000) + `"}`, 413, ""},
	} {
		q, h := serve(t, nil, nil)
		w := post(h, "/ingest/his", "application/json", []byte(c.body))
		tree, err := fhir.Parse(w.Body.Bytes())
		if err != nil {
			t.Errorf("%s: %v in %s", name, err, w.Body)
			continue
		}
		is := tree.Root().Get("issue").At(0)
		if w.Code != c.status || tree.Root().ResourceType() != "OperationOutcome" || is.Get("expression").At(0).Str() != c.place {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if len(q.messages) != 0 || len(q.letters) != 1 || q.letters[0].Reason == "" {
			t.Errorf("%s: %d messages, %d letters", name, len(q.messages), len(q.letters))
			continue
		}
		if kept := q.letters[0].Message.Body; !bytes.HasPrefix([]byte(c.body), kept) || c.status != 413 && len(kept) != len(c.body) {
			t.Errorf("%s: kept %d bytes of %d", name, len(kept), len(c.body))
		}
	}
}

func TestPostDocumentTellsLineColumnAndHint(t *testing.T) {
	_, h := serve(t, nil, nil)
	w := post(h, "/ingest/his", "application/json", []byte("{\"orgCode\":\"1\",\"visitNo\":\"2\",\n \"visitTime\":\"soon\",\"patient\":{\"id\":\"3\"}}"))
	if s := w.Body.String(); !strings.Contains(s, "line 2, column 14") || !strings.Contains(s, "2026-10-12") {
		t.Errorf("%s", s)
	}
	w = post(h, "/ingest/his", "application/json", []byte(`{"orgcode":"1"}`))
	if s := w.Body.String(); !strings.Contains(s, "请补上 orgCode") {
		t.Errorf("%s", s)
	}
}

func TestPostDocumentWarnsOfUnknownMembers(t *testing.T) {
	_, h := serve(t, nil, nil)
	w := post(h, "/ingest/his", "", []byte(`{"orgCode":"1","visitNo":"2","visitTime":"2026-10-12 08:00:00","patient":{"id":"3","NAME":"x"}}`))
	if w.Code != 202 || !strings.Contains(w.Body.String(), `"warning"`) || !strings.Contains(w.Body.String(), "是否应为 name？") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPostAnswersBusyWithRetryAfter(t *testing.T) {
	q, h := serve(t, nil, nil)
	q.err = fault.New(fault.Busy, "队列已满")
	w := post(h, "/ingest/his", "", visits(t)[0])
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || len(q.letters) != 0 {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	w = post(h, "/services/TCM_HIS_01", "text/xml", sample(t, "TCM_HIS_01_soap_request.xml"))
	if !strings.Contains(w.Body.String(), "soapenv:Server") {
		t.Errorf("%s", w.Body)
	}
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(shared.Dir(t), "data/tcm/samples/platform", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func envelope(message string) []byte {
	return []byte(`<soapenv:Envelope xmlns:soapenv="` + soap.NS11 + `"><soapenv:Body><ns1:acceptMessage xmlns:ns1="http://DefaultNamespace"><in0>` +
		message + `</in0></ns1:acceptMessage></soapenv:Body></soapenv:Envelope>`)
}

func TestPushIsAcknowledgedInItsOwnWords(t *testing.T) {
	raw := sample(t, "TCM_HIS_01_unescaped.xml")
	for name, body := range map[string][]byte{
		"soap":      sample(t, "TCM_HIS_01_soap_request.xml"),
		"unescaped": raw,
		"raw":       envelope(string(raw)),
		"cdata":     envelope("<![CDATA[" + string(raw) + "]]>"),
		"escaped":   envelope(soap.Escape(string(raw))),
		"gbk":       gbk(t, envelope(string(raw))),
	} {
		q, h := serve(t, nil, nil)
		w := post(h, "/services/TCM_HIS_01", "text/xml; charset=utf-8", body)
		if w.Code != 200 || !strings.Contains(w.Body.String(), "<acceptMessageReturn>Message has been successfully received</acceptMessageReturn>") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
			continue
		}
		if m := q.messages[0]; m.Kind != Kind01 || !strings.HasPrefix(m.Key, "his|370000000001|10000") || !bytes.Equal(m.Body, body) {
			t.Errorf("%s: %s %s", name, m.Kind, m.Key)
		}
	}
	q, h := serve(t, nil, nil)
	if w := post(h, "/services/TCM_HIS_02", "text/xml", envelope(string(sample(t, "TCM_HIS_02_1.xml")))); w.Code != 200 || q.messages[0].Kind != Kind02 {
		t.Errorf("02: %d %s", w.Code, w.Body)
	}
}

func TestPush_bad(t *testing.T) {
	for name, c := range map[string]struct{ path, body, word string }{
		"not xml":       {"TCM_HIS_01", "hello", "没有 XML 元素"},
		"truncated":     {"TCM_HIS_01", "<Request><Patient><id>1", "没有结束标记"},
		"dtd":           {"TCM_HIS_01", `<!DOCTYPE a><Request/>`, "DTD"},
		"no patient":    {"TCM_HIS_01", "<Request><Header/></Request>", "Request/Patient"},
		"no patient id": {"TCM_HIS_01", "<Request><Patient><id>null</id><orgCode>1</orgCode></Patient></Request>", "Request/Patient/id"},
		"no visit":      {"TCM_HIS_01", "<Request><Patient><id>1</id><orgCode>1</orgCode></Patient></Request>", "outpatientNo"},
		"gender": {"TCM_HIS_01", "<Request><Patient><id>1</id><orgCode>1</orgCode><outpatientNo>2</outpatientNo><genderCode>7</genderCode></Patient></Request>",
			"genderCode"},
		"birthday": {"TCM_HIS_01", "<Request><Patient><id>1</id><orgCode>1</orgCode><outpatientNo>2</outpatientNo><birthday>x</birthday></Patient></Request>",
			"birthday"},
		"no code":  {"TCM_HIS_02", "<Request><Medicine><orgCode>1</orgCode></Medicine></Request>", "Request/Medicine/id"},
		"unknown":  {"TCM_HIS_03", "<Request/>", "没有定义"},
		"oversize": {"TCM_HIS_01", "<Request>" + strings.Repeat("x", 300_000) + "</Request>", "超过"},
		"charset":  {"TCM_HIS_01", "<Request>\xff\xff\x80</Request>", "UTF-8"},
	} {
		q, h := serve(t, nil, nil)
		w := post(h, "/services/"+c.path, "text/xml", []byte(c.body))
		if w.Code != 500 || !strings.Contains(w.Body.String(), "<faultcode>soapenv:Client</faultcode>") || !strings.Contains(w.Body.String(), c.word) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if len(q.messages) != 0 || len(q.letters) != 1 || !bytes.HasPrefix([]byte(c.body), q.letters[0].Message.Body) {
			t.Errorf("%s: %d messages, %d letters", name, len(q.messages), len(q.letters))
		}
	}
}

func TestServicesDescribeThemselves(t *testing.T) {
	_, h := serve(t, nil, nil)
	for _, c := range []struct{ url, word string }{
		{"/services/TCM_HIS_01?wsdl", `<wsdl:operation name="acceptMessage"`}, {"/services/TCM_HIS_07?WSDL", "http://proxy.sun.com"},
		{"/services/TCM_HIS_09", "诊断"}, {"/ingest/his/schema", `"orgCode"`},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.url, nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), c.word) {
			t.Errorf("%s: %d %s", c.url, w.Code, w.Body)
		}
	}
}
