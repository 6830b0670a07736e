package main

import (
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/conformance/fuzz"
)

// TestSchemaFuzz sends requests made from /openapi.json to every door of a
// running hub, good and spoiled; it must answer them all in the right form.
func TestSchemaFuzz(t *testing.T) {
	h := startHub(t)
	report, err := fuzz.Run(t.Context(), fuzz.Config{URL: strings.TrimSuffix(h.url(""), "/"), Seed: 5, Requests: 1200, Workers: 4, Longest: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Failures {
		t.Error(f)
	}
	t.Logf("statuses %v, slowest %s", report.Statuses, report.Slowest)
}
