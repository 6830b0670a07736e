package alerts

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/qihuang-health/qihuang/fhir/definitions"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// warehouse answers the directory of halls, and one busy doctor.
type warehouse struct{ visits float64 }

func (w *warehouse) Query(_ context.Context, sql string, _ map[string]string, fn func(func(...any) error) error) error {
	row := func(values ...any) error {
		return fn(func(dest ...any) error {
			for i, v := range values {
				switch d := dest[i].(type) {
				case *string:
					*d = v.(string)
				case *float64:
					*d = v.(float64)
				}
			}
			return nil
		})
	}
	switch {
	case strings.Contains(sql, "LEFT JOIN qihuang.hall AS p"):
		for _, h := range [][]any{{"h", "馆", "township", "x"}, {"x", "县局", "county", "c"}, {"c", "市局", "city", ""}} {
			if err := row(h...); err != nil {
				return err
			}
		}
	case strings.Contains(sql, "GROUP BY k0, k1, k2"):
		return row("h", "2026-09-30", "d1", w.visits, 0.)
	case strings.Contains(sql, "ORDER BY day DESC, id"):
		return row("e1", "e1", "h", "d1", "2026-09-30")
	}
	return nil
}

func desk(t *testing.T, now time.Time) (*Desk, *warehouse) {
	t.Helper()
	model, err := definitions.Load()
	if err != nil {
		t.Fatal(err)
	}
	engine := search.NewEngine(model, fhirpath.NewEngine(model))
	st, err := memory.New(machine.Config{Log: &memory.Log{}, Indexer: engine})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, st)
	w := &warehouse{visits: 200}
	return &Desk{Detector: Detector{Catalogue: catalogue(t), SQL: w, Rules: []*Rule{shipped(t)["doctor-overload"]}}, Store: st, Search: engine, Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler)}, w
}

// TestDesk opens a task from a finding, once, and works it off over HTTP.
func TestDesk(t *testing.T) {
	now := time.Date(2026, 10, 1, 6, 30, 0, 0, time.UTC)
	d, w := desk(t, now)
	opened, err := d.Run(t.Context(), day)
	if err != nil || len(opened) != 1 {
		t.Fatalf("opened %v, %v", opened, err)
	}
	task := opened[0]
	if task.Owner != "x" || task.Value != 200 || task.Doctor != "d1" || len(task.Evidence) != 1 || task.Evidence[0] != "Encounter/e1" {
		t.Errorf("%+v", task)
	}
	if again, err := d.Run(t.Context(), day); err != nil || len(again) != 0 {
		t.Errorf("a second task for the same: %v, %v", again, err)
	}
	w.visits = 10
	if none, err := d.Run(t.Context(), day); err != nil || len(none) != 0 {
		t.Errorf("nothing is wrong: %v, %v", none, err)
	}
	late := *d
	late.Clock = clock.Fixed(now.AddDate(0, 0, 30))
	if n, err := late.Escalate(t.Context()); err != nil || n != 1 {
		t.Errorf("escalated %d, %v", n, err)
	}
	if got, err := d.Task(t.Context(), task.ID); err != nil || got.Owner != "c" || got.Level != "serious" || got.State != Waiting {
		t.Errorf("after the term: %+v, %v", got, err)
	}
	if n, err := late.Escalate(t.Context()); err != nil || n != 0 {
		t.Errorf("the city has nobody above, and time: %d, %v", n, err)
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	d.Mount(r)
	for _, c := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"GET", "/api/supervision/tasks?open=true", "", 200, `"total":1`},
		{"GET", "/api/supervision/tasks?org=other", "", 200, `"total":0`},
		{"GET", "/api/supervision/tasks?limit=x", "", 400, "limit"},
		{"POST", "/api/supervision/tasks/" + task.ID + "/assign", `{"by":"张","owner":"h"}`, 200, `"state":"assigned"`},
		{"POST", "/api/supervision/tasks/" + task.ID + "/close", `{"by":"张"}`, 400, "note"},
		{"POST", "/api/supervision/tasks/" + task.ID + "/close", `{"by":"张","note":"复核通过"}`, 200, `"state":"closed"`},
		{"POST", "/api/supervision/tasks/" + task.ID + "/handle", `{"by":"张"}`, 409, "已办结"},
		{"POST", "/api/supervision/tasks/none/handle", `{"by":"张"}`, 404, "error"},
		{"POST", "/api/supervision/tasks/" + task.ID + "/assign", `not JSON`, 400, "JSON"},
		{"POST", "/api/supervision/tasks", `{"kind":"data-quality","org":"h","title":"缺报","text":"缺 3 天","by":"李"}`, 200, `"state":"assigned"`},
		{"POST", "/api/supervision/tasks", `{"kind":"data-quality","org":"nowhere","title":"缺报","by":"李"}`, 404, "nowhere"},
		{"POST", "/api/supervision/tasks", `{"kind":"appeal","org":"h","title":"申诉","text":"数据已补","by":"馆"}`, 200, `"owner":"x"`},
		{"POST", "/api/supervision/tasks", `{"kind":"other","org":"h","title":"申诉","by":"馆"}`, 400, "appeal"},
		{"GET", "/api/supervision/tasks?kind=data-quality", "", 200, `"total":1`},
		{"GET", "/api/supervision/alerts/backtest?from=2026-09-30&to=2026-09-01", "", 400, "两年"},
		{"GET", "/api/supervision/alerts/rules", "", 200, "doctor-overload"},
	} {
		out := httptest.NewRecorder()
		r.ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body)))
		if out.Code != c.status || !strings.Contains(out.Body.String(), c.has) {
			t.Errorf("%s %s: %d %s", c.method, c.path, out.Code, out.Body)
		}
	}
	if _, err := d.Act(t.Context(), "none", "close", Step{By: "x", Note: "y"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("no such task: %v", err)
	}
}
