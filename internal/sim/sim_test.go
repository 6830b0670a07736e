package sim

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

var monday = time.Date(2026, 10, 12, 0, 0, 0, 0, China())

func small() Config {
	cfg := Default(monday.AddDate(0, 0, 2))
	cfg.Days, cfg.VisitsPerDay, cfg.Patience = 2, 10, time.Second
	return cfg
}

// hub acknowledges what arrives and keeps it; refuse may answer instead.
type hub struct {
	mu     sync.Mutex
	bodies map[string][]string
	refuse func(n int, w http.ResponseWriter) bool
	n      int
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	if h.refuse != nil && h.refuse(h.n, w) {
		return
	}
	h.bodies[r.URL.Path] = append(h.bodies[r.URL.Path], string(b))
	if r.URL.Path == "/ingest/his" {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	_, _ = io.WriteString(w, "Message has been successfully received")
}

func start(t *testing.T) (*hub, Config) {
	t.Helper()
	h := &hub{bodies: map[string][]string{}}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg := small()
	cfg.BaseURL = srv.URL
	return h, cfg
}

func TestRunSendsWhatTheTruthSays(t *testing.T) {
	h, cfg := start(t)
	calls := 0
	rep, err := Run(context.Background(), cfg, func(done, total int) { calls = total })
	if err != nil {
		t.Fatal(err)
	}
	if rep.Sent != rep.Acknowledged || calls != rep.Truth.Visits {
		t.Errorf("sent %d, acknowledged %d, progress to %d", rep.Sent, rep.Acknowledged, calls)
	}
	docs := h.bodies["/ingest/his"]
	if len(docs) != rep.Truth.Visits || len(h.bodies["/services/TCM_HIS_01"]) != rep.Truth.Visits {
		t.Errorf("%d documents, %d pushes, %d visits", len(docs), len(h.bodies["/services/TCM_HIS_01"]), rep.Truth.Visits)
	}
	lines := 0
	for _, d := range docs {
		lines += strings.Count(d, `"dose":`)
	}
	if lines != rep.Truth.HerbLines {
		t.Errorf("%d herb lines, want %d", lines, rep.Truth.HerbLines)
	}
}

func TestSameSeedSameCounty(t *testing.T) {
	c, err := newCounty(7)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := newCounty(7)
	e, _ := newCounty(8)
	a, _ := c.day(1, monday, 12)
	b, _ := d.day(1, monday, 12)
	other, _ := e.day(1, monday, 12)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, other) {
		t.Error("a day follows from the seed, the hall and the date")
	}
}

func TestPlantedPeculiaritiesAreCounted(t *testing.T) {
	cfg := small()
	cfg.Days, cfg.VisitsPerDay = 10, 30
	truth, err := Plan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if truth.Overdose == 0 || truth.Eighteen == 0 || truth.NoSyndrome == 0 {
		t.Errorf("%+v", truth)
	}
	if truth.Overdose > truth.Visits/10 || truth.NoSyndrome > truth.Visits/10 {
		t.Errorf("more than planted: %+v", truth)
	}
}

func TestRunTriesAgainAndTellsFailure(t *testing.T) {
	h, cfg := start(t)
	h.refuse = func(n int, w http.ResponseWriter) bool {
		if n%50 == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	rep, err := Run(context.Background(), cfg, nil)
	if err != nil || rep.Retried == 0 || rep.Sent != rep.Acknowledged {
		t.Errorf("%+v %v", rep, err)
	}
	h.refuse = func(n int, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	if rep, err := Run(context.Background(), cfg, nil); err == nil || rep.Acknowledged != 0 {
		t.Errorf("%+v %v", rep, err)
	}
}

func TestTrickleEndsWithItsContext(t *testing.T) {
	h, cfg := start(t)
	ctx, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer stop()
	if err := Trickle(ctx, cfg, 6000, func() time.Time { return monday }); err != nil {
		t.Fatal(err)
	}
	if len(h.bodies["/ingest/his"]) == 0 {
		t.Error("nothing came")
	}
}

func TestValidate_bad(t *testing.T) {
	for name, edit := range map[string]func(*Config){
		"halls": func(c *Config) { c.Halls = 0 }, "days": func(c *Config) { c.Days = 0 }, "visits": func(c *Config) { c.VisitsPerDay = 0 },
		"url": func(c *Config) { c.BaseURL = "localhost" }, "rate": func(c *Config) { c.Rate = -1 }, "start": func(c *Config) { c.Start = time.Time{} },
	} {
		c := small()
		edit(&c)
		if c.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestIdentityHasATrueCheckDigit(t *testing.T) {
	// 379901195603120010 is a number of the shared scenario.
	if id := identity(time.Date(1956, 3, 12, 0, 0, 0, 0, time.UTC), 1, false); id != "379901195603120010" {
		t.Errorf("%s", id)
	}
}

func TestYuan(t *testing.T) {
	for y, want := range map[yuan]string{0: "0.00", 5: "0.05", 1250: "12.50", 123456: "1234.56"} {
		if y.String() != want {
			t.Errorf("%d = %s", y, y)
		}
	}
}
