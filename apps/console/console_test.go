package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// scripted answers SQL from a table: part of the query → rows.
type scripted map[string][][]any

func (s scripted) Query(_ context.Context, sql string, _ map[string]string, fn func(func(...any) error) error) error {
	for part, rows := range s {
		if !strings.Contains(sql, part) {
			continue
		}
		for _, row := range rows {
			err := fn(func(dest ...any) error {
				for i, d := range dest {
					reflect.ValueOf(d).Elem().Set(reflect.ValueOf(row[i]))
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	return fault.New(fault.Unavailable, "engine is away")
}

type running struct{ replayed []string }

func (r *running) Stats(context.Context) Stats {
	now := time.Date(2026, 11, 22, 2, 3, 4, 0, time.UTC)
	return Stats{Messages: 12345, Lag: 2, DeadLetters: 1, Applied: 4321,
		Parts:  []Part{{Name: "Kafka", Address: "127.0.0.1:9092", Note: "内置", OK: true}, {Name: "ClickHouse", Address: "127.0.0.1:8123", Note: "正在重启"}},
		Recent: []Fate{{Time: now, Source: "his", Kind: "his-visit", State: Done}, {Time: now, Source: "his", Kind: "tcm-his-01", State: Dead, Reason: "缺少患者 id"}}}
}

func (r *running) Replay(_ context.Context, id string) error {
	if id != "01" {
		return fault.New(fault.NotFound, "没有这条消息")
	}
	r.replayed = append(r.replayed, id)
	return nil
}

// letters keeps dead letters in memory.
type letters []*pipeline.DeadLetter

func (l letters) Put(context.Context, *pipeline.DeadLetter) error { return nil }
func (l letters) List(_ context.Context, limit int) ([]*pipeline.DeadLetter, int, error) {
	return l[:min(limit, len(l))], len(l), nil
}
func (l letters) Get(_ context.Context, id string) (*pipeline.DeadLetter, error) {
	for _, d := range l {
		if d.ID == id {
			return d, nil
		}
	}
	return nil, fault.New(fault.NotFound, "没有这条消息")
}
func (l letters) Resolve(context.Context, string) error { return nil }

func serve(t *testing.T, sql Querier) (http.Handler, *running) {
	t.Helper()
	hub := &running{}
	at := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	kept := letters{{ID: "01", Message: &pipeline.Message{Source: "his", Kind: "his-visit", Body: []byte("\xd6\xd0<b>")}, Time: at, Reason: "第 3 行不是有效的 JSON", Location: "3:7"}}
	c, err := New(Config{Version: "test", Zone: time.FixedZone("Asia/Shanghai", 8*3600), Local: true, Base: "http://127.0.0.1:8080", SQLBase: "http://127.0.0.1:8123"},
		Parts{Hub: hub, SQL: sql, Letters: kept, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.TestMode)
	r := gin.New()
	c.Mount(r)
	return r, hub
}

var answers = scripted{
	"system.tables":                {{int64(5000), int64(300), int64(3), int64(120), int64(98765)}},
	"AS label, if(ifNull(org_name": {{"2026-11-21", "370000001", int64(40)}, {"2026-11-21", "370000002", int64(20)}, {"2026-11-22", "370000001", int64(44)}},
	"transform(category":           {{"中药饮片", "处方数", int64(60)}, {"中成药", "处方数", int64(30)}},
	"tcm-disease":                  {{"感冒", "人次", int64(30)}, {"咳嗽", "人次", int64(20)}},
	"tcm-syndrome":                 {{"风寒束表证", "人次", int64(25)}},
}

func get(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestHome(t *testing.T) {
	h, _ := serve(t, answers)
	w := get(t, h, "GET", "/")
	body := w.Body.String()
	for _, want := range []string{"演示/本机模式", "12,345", "98,765", "5,000", "待修复 1 条", "缺少患者 id", "11-22 10:03:04", "各馆每日就诊人次"} {
		if !strings.Contains(body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if w.Code != 200 || !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'self'") {
		t.Errorf("status %d, policy %q", w.Code, w.Header().Get("Content-Security-Policy"))
	}
	if strings.Contains(body, "onclick") || strings.Contains(body, "<script>") {
		t.Error("inline script: the policy forbids it")
	}
}

// TestBudget holds the first load, without the chart library, to 100 KB.
func TestBudget(t *testing.T) {
	h, _ := serve(t, answers)
	total := 0
	for _, path := range []string{"/", "/static/style.css", "/static/charts.js", "/static/icon.svg", "/static/vendor/htmx.min.js"} {
		w := get(t, h, "GET", path)
		if w.Code != 200 {
			continue // scripts are fetched by set-up
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(w.Body.Bytes())
		_ = z.Close()
		total += b.Len()
	}
	if total > 100<<10 {
		t.Errorf("first load is %d bytes", total)
	}
	t.Logf("first load %d bytes gzipped", total)
}

func TestHomeSurvivesEngine(t *testing.T) {
	h, _ := serve(t, scripted{})
	if w := get(t, h, "GET", "/"); w.Code != 200 || !strings.Contains(w.Body.String(), "12,345") {
		t.Errorf("without the warehouse the page must still come: %d", w.Code)
	}
	if w := get(t, h, "GET", "/api/charts/visits"); w.Code != 503 {
		t.Errorf("chart without warehouse: %d", w.Code)
	}
}

func TestChartData(t *testing.T) {
	h, _ := serve(t, answers)
	var a Answer
	if err := json.Unmarshal(get(t, h, "GET", "/api/charts/visits").Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	want := Answer{Labels: []string{"2026-11-21", "2026-11-22"}, Series: []Series{{"370000001", []int64{40, 44}}, {"370000002", []int64{20, 0}}}}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got %+v", a)
	}
	if w := get(t, h, "GET", "/console/charts/visits"); !strings.Contains(w.Body.String(), "<td class=\"n\">44</td>") {
		t.Errorf("table lacks the numbers: %s", w.Body)
	}
	if w := get(t, h, "GET", "/api/charts/none"); w.Code != 404 {
		t.Errorf("unknown chart: %d", w.Code)
	}
}

func TestDeadLetters(t *testing.T) {
	h, hub := serve(t, answers)
	if w := get(t, h, "GET", "/api/dead-letters?limit=5"); w.Code != 200 || !strings.Contains(w.Body.String(), `"total":1`) || !strings.Contains(w.Body.String(), `"location":"3:7"`) {
		t.Errorf("list: %d %s", w.Code, w.Body)
	}
	if w := get(t, h, "GET", "/api/dead-letters?limit=x"); w.Code != 400 {
		t.Errorf("bad limit: %d", w.Code)
	}
	if w := get(t, h, "GET", "/api/dead-letters/01/raw"); w.Body.String() != "\xd6\xd0<b>" || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("raw: %q %q", w.Body, w.Header().Get("Content-Type"))
	}
	if w := get(t, h, "GET", "/api/dead-letters/99/raw"); w.Code != 404 {
		t.Errorf("raw of an unknown id: %d", w.Code)
	}
	if w := get(t, h, "POST", "/api/dead-letters/01/replay"); w.Code != 202 || fmt.Sprint(hub.replayed) != "[01]" {
		t.Errorf("replay: %d %v", w.Code, hub.replayed)
	}
	if w := get(t, h, "GET", "/console/dead-letters"); !strings.Contains(w.Body.String(), "第 3 行不是有效的 JSON") {
		t.Errorf("page: %s", w.Body)
	}
}
