package measures

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// contract are the indicators that outside parties rely on by name.
var contract = []string{"outpatient-visits", "patients-seen", "prescriptions", "therapy-kinds", "tcm-prescription-share", "decoction-prescription-share",
	"patent-prescription-share", "granule-prescription-share", "decoction-visit-share", "non-drug-therapy-visit-share", "ncms-visit-share", "cost-per-visit",
	"drug-cost-per-visit", "drug-cost-share", "decoction-share-of-drug-cost", "dual-diagnosis-rate", "syndrome-recorded-rate", "tongue-pulse-rate",
	"herbs-per-prescription", "doses-per-prescription", "overdose-prescription-rate", "eighteen-incompatibles-rate", "nineteen-antagonisms-rate", "visits-per-doctor-day"}

func catalogue(t testing.TB) *Catalogue {
	t.Helper()
	k, err := rational.Load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(k)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatalogue(t *testing.T) {
	c := catalogue(t)
	if n := len(c.All()); n < 60 {
		t.Errorf("%d indicators, at least 60 are promised", n)
	}
	for _, name := range contract {
		if _, err := c.Get(name); err != nil {
			t.Errorf("contract indicator %s: %v", name, err)
		}
	}
	if _, err := c.Get("no-such"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown indicator: %v", err)
	}
	for _, m := range c.All() {
		if m.Title == "" || m.Definition == "" || m.Source == "" || m.Numerator == "" || m.Fact == "" {
			t.Errorf("%s: incomplete", m.Name)
		}
		if (m.Denominator == "") != (m.Scoring == "cohort") {
			t.Errorf("%s: scoring %s does not fit its populations", m.Name, m.Scoring)
		}
	}
}

func TestDay(t *testing.T) {
	for s, want := range map[string]string{
		"2026-11-22": "2026-11-21T16:00:00Z 2026-11-22T16:00:00Z",
		"2026-02":    "2026-01-31T16:00:00Z 2026-02-28T16:00:00Z",
		"2026":       "2025-12-31T16:00:00Z 2026-12-31T16:00:00Z",
	} {
		b, e, err := Day(s)
		if got := b.UTC().Format(time.RFC3339) + " " + e.UTC().Format(time.RFC3339); err != nil || got != want {
			t.Errorf("Day(%s) = %s, %v", s, got, err)
		}
	}
	if _, _, err := Day("22.11.2026"); !fault.Is(err, fault.Invalid) {
		t.Errorf("bad day: %v", err)
	}
}

// days answers every query with a visit on each of a number of days.
type days int

func (n days) Query(_ context.Context, _ string, _ map[string]string, fn func(func(...any) error) error) error {
	for i := range int(n) {
		err := fn(func(dest ...any) error {
			*dest[0].(*string), *dest[1].(*float64) = strconv.Itoa(i), 1
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestTooManyGroups: a breakdown is whole or refused, never cut short.
func TestTooManyGroups(t *testing.T) {
	c := catalogue(t)
	m, err := c.Get("outpatient-visits")
	if err != nil {
		t.Fatal(err)
	}
	scope := Scope{Source: Live, Rows: 3}
	if rows, err := c.Table(context.Background(), days(3), scope, []string{"day"}, m); err != nil || len(rows) != 3 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if _, err := c.Table(context.Background(), days(4), scope, []string{"day"}, m); !fault.Is(err, fault.TooCostly) {
		t.Errorf("four of three rows: %v", err)
	}
}

func TestRest(t *testing.T) {
	m := &Marts{pause: 15 * time.Second}
	for took, want := range map[time.Duration]time.Duration{time.Second: 15 * time.Second, 20 * time.Second: 80 * time.Second, 90 * time.Second: 210 * time.Second, 400 * time.Second: 15 * time.Second} {
		if got := m.rest(took); got != want {
			t.Errorf("after %v: %v, want %v", took, got, want)
		}
	}
}
