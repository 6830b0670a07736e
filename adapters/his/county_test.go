package his

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/shopspring/decimal"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/sim"
	"github.com/qihuang-health/qihuang/pipeline"
)

// direct hands messages to the sink at once, one at a time.
type direct struct {
	queue
	mu   sync.Mutex
	sink *Sink
}

func (d *direct) Append(ctx context.Context, m *pipeline.Message) (pipeline.Position, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pipeline.Position{}, d.sink.Handle(ctx, m)
}

// TestSimulatedCountyEqualsItsTruth sends a county through the real doors and
// counts what the repository holds.
func TestSimulatedCountyEqualsItsTruth(t *testing.T) {
	h := newHub(t)
	gin.SetMode(gin.TestMode)
	in := &direct{sink: h.sink}
	r := gin.New()
	New(Default(), Parts{Inbound: in, Letters: in, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Mount(r)
	srv := httptest.NewServer(r)
	defer srv.Close()
	cfg := sim.Default(time.Date(2026, 10, 17, 0, 0, 0, 0, china))
	cfg.BaseURL, cfg.Days, cfg.VisitsPerDay = srv.URL, 2, 12
	rep, err := sim.Run(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, got, money := rep.Truth, map[string]int{}, decimal.Zero
	for _, v := range h.state() {
		tree, err := fhir.Parse(v.Resource)
		if err != nil {
			t.Fatal(err)
		}
		n := tree.Root()
		got[v.Type]++
		switch v.Type {
		case "MedicationRequest":
			got[n.Path("category", "coding", "code").Str()]++
		case "Medication":
			got["lines"] += n.Get("ingredient").Len()
		case "ChargeItem":
			amount, err := decimal.NewFromString(tcm.ReadCharge(n).Amount)
			if err != nil {
				t.Fatal(err)
			}
			money = money.Add(amount)
		}
	}
	for what, pair := range map[string][2]int{"patients": {got["Patient"], want.Patients}, "visits": {got["Encounter"], want.Visits},
		"records": {got["Composition"], want.Visits}, "halls": {got["Organization"], want.Halls}, "herb lines": {got["lines"], want.HerbLines},
		"charges": {got["ChargeItem"], want.Charges}, "decoction": {got["decoction"], want.Prescriptions["decoction"]},
		"granule": {got["granule"], want.Prescriptions["granule"]}, "patent": {got["patent"], want.Prescriptions["patent"]},
		"western": {got["western"], want.Prescriptions["western"]}} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d, want %d", what, pair[0], pair[1])
		}
	}
	if truth, _ := decimal.NewFromString(want.ChargeTotal); !money.Equal(truth) {
		t.Errorf("charges sum to %s, want %s", money, truth)
	}
	before := versions(h.state())
	if _, err := sim.Run(context.Background(), cfg, nil); err != nil {
		t.Fatal(err)
	}
	for k, v := range versions(h.state()) {
		if before[k] != v && !strings.HasPrefix(k, "Provenance/") {
			t.Errorf("%s went from %d to %d when all was sent again", k, before[k], v)
		}
	}
}
