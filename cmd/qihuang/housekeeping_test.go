package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The repository's snapshot goes to S3, the log forgets what it stands for, and
// a hub that lost its repository has every resource back.
func TestSnapshotRestoresALostRepository(t *testing.T) {
	needEngine(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "hub.yaml")
	if err := os.WriteFile(file, []byte("housekeeping: {snapshot: '@every 1s', keep: 1, optimize: '@every 1s'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := startHub(t, "--config", file)
	put := func(id string) {
		t.Helper()
		body := fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"text":"王五"}]}`, id)
		if code, b := h.request(http.MethodPut, "/fhir/Patient/"+id, "application/fhir+json", []byte(body)); code != http.StatusCreated {
			t.Fatalf("PUT %s: %d %s", id, code, b)
		}
	}
	for i := range 20 {
		put(fmt.Sprint("before-", i))
	}
	taken := regexp.MustCompile(`repository snapshot" part=backup offset=(19|[2-9]\d)\b`) // the hub has records of its own
	h.eventually(20*time.Second, "a snapshot and an optimize", func() bool {
		b, _ := os.ReadFile(filepath.Join(h.dir, "hub.log"))
		return taken.Match(b) && strings.Contains(string(b), "job=optimize")
	})
	put("after-kill")
	h.kill()
	h.start("--config", file)
	put("after-restart")
	h.stop()
	if err := os.RemoveAll(filepath.Join(h.dir, "data", "fhir")); err != nil {
		t.Fatal(err)
	}
	h.start("--config", file)
	_, b := h.request(http.MethodGet, "/fhir/Patient?_summary=count", "", nil)
	var bundle struct{ Total int }
	if err := json.Unmarshal(b, &bundle); err != nil || bundle.Total != 22 {
		t.Fatalf("after the restore: %d patients, want 22\n%s", bundle.Total, b)
	}
}
