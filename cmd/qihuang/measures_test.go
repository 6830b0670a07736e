package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/sim"
)

// TestIndicators simulates a county through the real doors and holds the
// tables and the indicators equal to the truth the simulator knows.
func TestIndicators(t *testing.T) {
	needEngine(t)
	file := filepath.Join(t.TempDir(), "hub.yaml")
	if err := os.WriteFile(file, []byte("supervision: {thresholds: [{measure: overdose-prescription-rate, atMost: 0.01, source: 测试用的要求}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := startHub(t, "--config", file)
	cfg := sim.Default(time.Date(2026, 11, 20, 0, 0, 0, 0, sim.China()))
	cfg.Seed, cfg.Days, cfg.BaseURL = 7, 2, h.url("")
	report, err := sim.Run(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	truth := report.Truth
	rx := 0
	for _, n := range truth.Prescriptions {
		rx += n
	}
	h.eventually(30*time.Second, "every visit and prescription in SQL", func() bool {
		return h.sql("SELECT (SELECT count() FROM qihuang.encounter FINAL WHERE status = 'finished'), (SELECT count() FROM qihuang.prescription FINAL), (SELECT count() FROM qihuang.charge FINAL)") ==
			fmt.Sprintf("%d\t%d\t%d", truth.Visits, rx, truth.Charges)
	})
	if got := h.sql("SELECT sum(amount) FROM qihuang.charge FINAL"); !sameMoney(got, truth.ChargeTotal) {
		t.Errorf("charges sum to %s, sent %s", got, truth.ChargeTotal)
	}
	for name, want := range map[string]int{
		"outpatient-visits": truth.Visits, "patients-seen": truth.Patients, "prescriptions": rx, "decoction-prescription-share": truth.Prescriptions["decoction"],
		"granule-prescription-share": truth.Prescriptions["granule"], "patent-prescription-share": truth.Prescriptions["patent"], "overdose-prescription-rate": truth.Overdose,
		"eighteen-incompatibles-rate": truth.Eighteen, "syndrome-recorded-rate": truth.Visits - truth.NoSyndrome, "ncms-visit-share": truth.NCMSVisits,
		"non-drug-therapy-visit-share": truth.NonDrugVisits, "dual-diagnosis-rate": truth.DualDiagnosis,
	} {
		if got := h.evaluate(name); got != want {
			t.Errorf("%s counts %d, the truth is %d", name, got, want)
		}
	}
	h.analysed(fmt.Sprint(truth.Visits), fmt.Sprint(rx))
	h.supervised()
	h.walked()
	h.workflows()
	h.worked()
	if code, _ := h.request("GET", "/supervision?from=yesterday", "", nil); code != 400 {
		t.Errorf("bad date: %d", code)
	}
	code, body := h.request("GET", "/fhir/Measure/outpatient-visits/$evaluate-measure?periodStart=2026-11-01&periodEnd=2026-11-30&subject=Organization/none", "", nil)
	if code != 404 {
		t.Errorf("unknown organisation: %d %s", code, body)
	}
	h.published()
	h.jurisdictions()
}

// published files the indicators of November as MeasureReports: once, and again
// only what changed. The signed feed carries them.
func (h *program) published() {
	h.t.Helper()
	for _, want := range []string{`"reports":71,"published":71}`, `"reports":71,"published":0}`} {
		if code, body := h.request("POST", "/api/supervision/publish?from=2026-11-01&to=2026-11-30", "", nil); code != 200 || !strings.HasSuffix(strings.TrimSpace(string(body)), want) {
			h.t.Errorf("publish: %d %s, want %s", code, body, want)
		}
	}
	code, body := h.request("GET", "/fhir/MeasureReport?measure=https://qihuang.health/fhir/Measure/outpatient-visits&period=2026-11", "", nil)
	if n := fmt.Sprintf(`"count":%d`, h.evaluate("outpatient-visits")); code != 200 || !strings.Contains(string(body), n) || !strings.Contains(string(body), `"total":1`) {
		h.t.Errorf("the report of the visits: %d %s, want %s", code, body, n)
	}
	for after, found := 0, false; !found; {
		code, body := h.request("GET", fmt.Sprintf("/region/feed?after=%d", after), "", nil)
		var page struct {
			Next    int
			More    bool
			Payload []byte
		}
		if err := json.Unmarshal(body, &page); err != nil || code != 200 {
			h.t.Fatalf("feed: %d %s", code, body)
		}
		z, err := gzip.NewReader(bytes.NewReader(page.Payload))
		if err != nil {
			h.t.Fatal(err)
		}
		entries, err := io.ReadAll(z)
		if err != nil {
			h.t.Fatal(err)
		}
		after, found = page.Next, bytes.Contains(entries, []byte(`"MeasureReport"`))
		if !found && !page.More {
			h.t.Error("the feed carries no MeasureReport")
			return
		}
	}
}

// evaluate returns the first population of an indicator for November 2026.
func (h *program) evaluate(name string) int {
	h.t.Helper()
	code, body := h.request("GET", "/fhir/Measure/"+name+"/$evaluate-measure?periodStart=2026-11-01&periodEnd=2026-11-30", "", nil)
	var r struct {
		Group []struct{ Population []struct{ Count int } }
	}
	if err := json.Unmarshal(body, &r); err != nil || code != 200 || len(r.Group) != 1 {
		h.t.Fatalf("%s: %d %s", name, code, body)
	}
	return r.Group[0].Population[0].Count
}

// sameMoney compares decimals to the cent.
func sameMoney(a, b string) bool {
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	return errA == nil && errB == nil && x-y < 0.005 && y-x < 0.005
}
