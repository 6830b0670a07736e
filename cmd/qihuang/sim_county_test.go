package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms/centre"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/sim"
)

// TestCountyMonth simulates a county of twenty halls with five kinds of systems
// and a settlement centre, all misbehaving, and kills the hub with kill -9 in
// between: every message is accounted for, and money agrees to the cent at
// hall, hub and centre. The whole month is `qihuang sim county`.
func TestCountyMonth(t *testing.T) {
	needEngine(t)
	if testing.Short() {
		t.Skip("black-box test")
	}
	cfg := centre.Default()
	cfg.People = 3000
	c := centre.New(cfg, clock.System{})
	faulty := centre.NewFaulty(c.Handler(clock.System{}, slog.New(slog.DiscardHandler)), centre.Faults{Seed: 7, Drop: 0.03, Lost: 0.06, Busy: 0.02, Slow: 0.004, Delay: 1500 * time.Millisecond})
	srv := httptest.NewServer(faulty)
	defer srv.Close()
	folder := filepath.Join(t.TempDir(), "drop")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "county.yaml")
	text := fmt.Sprintf(countyConfig, folder, srv.URL)
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	h := startHub(t, "--config", file)
	month := sim.MonthConfig{Config: sim.Default(time.Now()), HTTP: "halls-http", Source: ncmsName, People: cfg.People, Faults: 0.08}
	month.Seed, month.Halls, month.Days, month.VisitsPerDay, month.Parallel, month.Patience = 3, 20, 2, 2, 6, 60*time.Second
	month.BaseURL, month.SQL, month.MLLP, month.Folder = fmt.Sprintf("http://127.0.0.1:%d", h.port(8080)), fmt.Sprintf("http://127.0.0.1:%d", h.port(8123)), fmt.Sprintf("127.0.0.1:%d", h.port(2575)), folder
	type result struct {
		*sim.Month
		error
	}
	half, ended := make(chan struct{}), make(chan result, 1)
	var once sync.Once
	go func() {
		r, err := sim.RunMonth(context.Background(), month, func(n, total int) {
			if n >= total/2 {
				once.Do(func() { close(half) })
			}
		})
		once.Do(func() { close(half) }) // it failed before
		ended <- result{r, err}
	}()
	<-half
	h.kill()
	h.start("--config", file)
	end := <-ended
	report, err := end.Month, end.error
	if err != nil {
		if report != nil {
			for _, p := range report.Problems {
				t.Error(p)
			}
		}
		t.Fatal(err)
	}
	var sent, repeated, refused, settled, reversed int
	for _, x := range report.Halls {
		sent, repeated, refused, settled, reversed = sent+x.Sent, repeated+x.Repeated, refused+x.Refused, settled+x.Settled.Hall, reversed+x.Reversed
	}
	if len(faulty.Count()) < 3 || repeated == 0 || refused == 0 || settled == 0 || reversed == 0 {
		t.Errorf("the faults were not exercised: %v, %d repeated, %d refused, %d settled, %d reversed", faulty.Count(), repeated, refused, settled, reversed)
	}
	t.Logf("%d halls, %d messages (%d repeated, %d planted errors told), %d settlements stand, %d reversed; the centre's faults %v; %.0f s", len(report.Halls), sent, repeated, refused, settled, reversed, faulty.Count(), report.Seconds)
}
