package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestViewsAreRebuilt throws the warehouse away, then the repository with its
// snapshots: the log brings both back.
func TestViewsAreRebuilt(t *testing.T) {
	needEngine(t)
	h := startHub(t)
	const visits = 20
	for n := range visits {
		if code, body := h.request("POST", "/ingest/his", "application/json", visit(n)); code/100 != 2 {
			t.Fatalf("push: %d %s", code, body)
		}
	}
	counted := func() bool {
		return h.sql("SELECT (SELECT count() FROM qihuang.encounter FINAL), (SELECT count() FROM qihuang.prescription_item FINAL), (SELECT sum(amount) FROM qihuang.charge FINAL)") ==
			fmt.Sprintf("%d\t%d\t%d", visits, 2*visits, 10*visits)
	}
	h.eventually(20*time.Second, "every visit in SQL", counted)
	for _, lost := range [][]string{{"clickhouse"}, {"fhir", "s3"}} {
		h.stop()
		for _, dir := range lost {
			if err := os.RemoveAll(filepath.Join(h.dir, "data", dir)); err != nil {
				t.Fatal(err)
			}
		}
		h.start()
		h.eventually(20*time.Second, fmt.Sprintf("every visit in SQL without %v", lost), counted)
		h.eventually(20*time.Second, fmt.Sprintf("every visit in FHIR without %v", lost), func() bool {
			_, body := h.request("GET", "/fhir/Encounter?_summary=count", "", nil)
			return strings.Contains(string(body), fmt.Sprintf(`"total":%d`, visits))
		})
	}
}
