package source

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/inbound"
)

// hands is a clock the test moves.
type hands struct {
	mu sync.Mutex
	t  time.Time
}

func (h *hands) Now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.t }
func (h *hands) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.t = h.t.Add(d)
}

type sink struct{ pipeline.DeadLetters }

func (sink) Append(context.Context, *pipeline.Message) (pipeline.Position, error) {
	return pipeline.Position{}, nil
}
func (sink) Put(context.Context, *pipeline.DeadLetter) error { return nil }

func desk(t *testing.T, file string) (*Desk, *hands, *int) {
	t.Helper()
	clock, woken := &hands{t: time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)}, new(int)
	d, err := New(Config{File: file, Zone: time.FixedZone("CST", 8*3600)}, Parts{Inbound: sink{}, Letters: sink{}, IDs: pipeline.NewIDs(clock), Clock: clock, Log: slog.New(slog.DiscardHandler)}, func() { *woken++ })
	if err != nil {
		t.Fatal(err)
	}
	return d, clock, woken
}

func TestPauseSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.json")
	first, _, _ := desk(t, file)
	first.Register("his", "http", "", DefaultRules())
	if err := first.Pause("his"); err != nil || !first.Held("his") || first.Held("other") {
		t.Errorf("%v", err)
	}
	d, _, woken := desk(t, file)
	d.Register("his", "http", "", DefaultRules())
	if !d.Held("his") {
		t.Error("forgotten")
	}
	if err := d.Resume("his"); err != nil || d.Held("his") || *woken != 1 {
		t.Errorf("%v, woken %d", err, *woken)
	}
	if err := d.Pause("nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// hasty settles a message before its sender knows that it is kept.
type hasty struct{ desk *Desk }

func (h *hasty) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	h.desk.Settled(m, inbound.Done, "")
	return pipeline.Position{}, nil
}

func TestNothingWaitsThatIsSettled(t *testing.T) {
	d, _, _ := desk(t, filepath.Join(t.TempDir(), "s.json"))
	d.Register("his", "http", "", DefaultRules())
	d.parts.Inbound = &hasty{d}
	m := &pipeline.Message{Source: "his"}
	if _, err := d.Append(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	d.parts.Inbound = sink{}
	if _, err := d.Append(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	if err := d.Letters().Put(context.Background(), &pipeline.DeadLetter{Message: m}); err != nil {
		t.Fatal(err)
	}
	if s := d.List()[0]; s.Waiting != 1 || s.Total.Received != 3 || s.Total.Done != 1 || s.Total.Dead != 1 {
		t.Errorf("%+v", s)
	}
}

func TestHours(t *testing.T) {
	night := Rules{Hours: []string{"22:00-06:00", "12:00-13:00"}}
	for at, open := range map[string]bool{"21:59": false, "22:00": true, "05:59": true, "06:00": false, "12:30": true, "13:00": false} {
		now, _ := time.Parse("15:04", at)
		if night.open(now) != open {
			t.Errorf("%s: open %v", at, !open)
		}
	}
	for _, bad := range []string{"night", "25:00-26:00", "8-9"} {
		if (Rules{Hours: []string{bad}}).Validate() == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	d, clock, _ := desk(t, filepath.Join(t.TempDir(), "s.json"))
	d.Register("his", "files", "", Rules{Hours: []string{"12:00-13:00"}}) // it is noon in China
	if d.Held("his") {
		t.Error("held at noon")
	}
	clock.add(2 * time.Hour)
	if !d.Held("his") {
		t.Error("open in the afternoon")
	}
}

func TestAlerts(t *testing.T) {
	d, clock, _ := desk(t, filepath.Join(t.TempDir(), "s.json"))
	d.Register("his", "http", "", Rules{Silence: time.Hour, Failing: 20})
	m := &pipeline.Message{Source: "his"}
	open := func() string {
		d.Check()
		var kinds []string
		for _, a := range d.Alerts() {
			if a.Closed == nil {
				kinds = append(kinds, a.Kind)
			}
		}
		return strings.Join(kinds, " ")
	}
	if got := open(); got != "" {
		t.Errorf("at the start: %s", got)
	}
	clock.add(61 * time.Minute)
	if got := open(); got != Silent {
		t.Errorf("after an hour: %s", got)
	}
	for range 9 {
		if _, err := d.Append(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		d.Settled(m, inbound.Done, "")
	}
	d.Settled(m, inbound.Dead, "坏消息")
	if got := open(); got != "" {
		t.Errorf("one of ten refused: %s", got)
	}
	for range 3 {
		if err := d.Letters().Put(t.Context(), &pipeline.DeadLetter{Message: m, Reason: "坏消息"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := open(); got != Failing {
		t.Errorf("four of thirteen refused: %s", got)
	}
	s, err := d.Get("his")
	if err != nil || s.Hour.Received != 12 || s.Hour.Dead != 4 || s.ErrorText != "坏消息" || s.Alerts != 1 {
		t.Errorf("%+v %v", s, err)
	}
	clock.add(16 * time.Minute)
	if got := open(); got != "" {
		t.Errorf("a quarter of an hour later: %s", got)
	}
	in := d.Intake("his")
	in.Trouble(Unreachable, "连不上")
	in.Trouble("file", "坏文件")
	if got := open(); got != "file "+Unreachable {
		t.Errorf("%s", got)
	}
	in.Fine(Unreachable)
	for _, a := range d.Alerts() {
		if a.Kind == "file" && !d.Acknowledge(a.ID) {
			t.Error("not acknowledged")
		}
	}
	if got := open(); got != "" || d.Acknowledge("none") {
		t.Errorf("at the end: %s", got)
	}
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _, _ := desk(t, filepath.Join(t.TempDir(), "s.json"))
		d.Register("fast", "http", "", Rules{Limit: 10})
		begin := time.Now()
		for range 30 { // ten at once, then ten a second
			if _, err := d.Append(t.Context(), &pipeline.Message{Source: "fast"}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("thirty took %v", took)
		}
		var wg sync.WaitGroup
		refused := 0
		var mu sync.Mutex
		for range 100 { // more than the longest wait can serve
			wg.Go(func() {
				if _, err := d.Append(t.Context(), &pipeline.Message{Source: "fast"}); fault.Is(err, fault.Busy) {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if refused == 0 || refused == 100 {
			t.Errorf("%d of 100 refused", refused)
		}
	})
}

func TestState(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenState(dir, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"columns:T": "A,B", "columns:U": "C", "mark:T": "1"} {
		if err := s.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Forget("columns:"); err != nil {
		t.Fatal(err)
	}
	s, err = OpenState(dir, "a/b")
	if err != nil || s.Get("columns:T") != "" || s.Get("mark:T") != "1" {
		t.Errorf("%v %v", s.values, err)
	}
}

func TestKindOf(t *testing.T) {
	for body, want := range map[string]string{
		"MSH|^~\\&|":                             KindV2,
		"\ufeff{\"resourceType\":\"Patient\"}":   KindFHIR,
		`{"table":"T","rows":[]}`:                KindRows,
		`{"orgCode":"1","visitNo":"2"}`:          KindVisit,
		`{"a":1}`:                                KindJSON,
		`<ClinicalDocument/>`:                    KindCDA,
		`<Patient xmlns="http://hl7.org/fhir"/>`: KindFHIR,
		`<a/>`:                                   KindXML,
		"a,b":                                    "",
		"":                                       "",
	} {
		if got, _ := KindOf([]byte(body)); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
}
