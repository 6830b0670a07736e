package operation_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/conformance/fuzz"
)

// TestSchemaFuzz sends thousands of requests made from the server's own OpenAPI
// description, good and spoiled. QIHUANG_FUZZ_REQUESTS and QIHUANG_FUZZ_SEED ask
// for more or others.
func TestSchemaFuzz(t *testing.T) {
	number := func(name string, def int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return def
	}
	cfg := fuzz.Config{URL: strings.TrimSuffix(start(t), "/fhir"), Seed: uint64(number("QIHUANG_FUZZ_SEED", 1)), Requests: number("QIHUANG_FUZZ_REQUESTS", 4000), Workers: 4, Longest: 10 * time.Second}
	report, err := fuzz.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Failures {
		t.Error(f)
	}
	t.Logf("statuses %v, slowest %s", report.Statuses, report.Slowest)
	if report.Statuses[200] < cfg.Requests/20 || report.Statuses[201] < 50 {
		t.Error("hardly any request was good: the generator has gone blind")
	}
}
