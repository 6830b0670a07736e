package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestImportSurvivesKillNine kills the hub in the middle of an $import: the job
// goes on under its address and every row is there once. A job that cannot go on
// is told to have ended with the earlier process.
func TestImportSurvivesKillNine(t *testing.T) {
	needEngine(t)
	h := startHub(t)
	const rows = 20_000
	var body bytes.Buffer
	for i := range rows {
		fmt.Fprintf(&body, "{\"resourceType\":\"Basic\",\"id\":\"i%d\",\"code\":{\"text\":\"x\"}}\n", i)
	}
	started := h.async("POST", "/fhir/$import", "application/fhir+ndjson", body.String())
	lost := h.async("GET", "/fhir/Basic?_count=1", "", "")
	total := func() string {
		_, answer := h.request("GET", "/fhir/Basic?code:text=x&_summary=count", "", nil)
		_, rest, _ := strings.Cut(string(answer), `"total":`)
		n, _, _ := strings.Cut(rest, ",")
		return n
	}
	h.eventually(20*time.Second, "the import has begun", func() bool { n := total(); return n != "0" && n != "" })
	before := total()
	h.kill()
	if before == fmt.Sprint(rows) {
		t.Fatal("the import was over before the kill: the test exercised nothing")
	}
	h.start()
	if code, answer := h.request("GET", lost, "", nil); code != http.StatusGone || !bytes.Contains(answer, []byte("重启")) {
		t.Errorf("a job that ended with its process: %d %s", code, answer)
	}
	h.eventually(60*time.Second, "the import has ended", func() bool { code, _ := h.request("GET", started, "", nil); return code == http.StatusOK })
	if _, answer := h.request("GET", started, "", nil); !bytes.Contains(answer, fmt.Appendf(nil, "已导入 %d 个资源", rows)) || total() != fmt.Sprint(rows) {
		t.Errorf("%s rows, of them %s before the kill: %s", total(), before, answer)
	}
}

// async starts a job and returns its path.
func (h *program) async(method, path, media, body string) string {
	h.t.Helper()
	req, err := http.NewRequest(method, h.url(path), strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Prefer", "respond-async")
	req.Header.Set("Content-Type", media)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		h.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
	return strings.TrimPrefix(res.Header.Get("Content-Location"), h.url(""))
}
