package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// jurisdictions starts the program again with users of supervision: each sees its
// place and no more, and who looks at records leaves a trace.
func (h *program) jurisdictions() {
	h.t.Helper()
	const own, other = "379901000001", "379901000002"
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte("secret")))
	at := "/fhir/Organization/" + h.sql("SELECT id FROM qihuang.hall FINAL WHERE code = '"+own+"'")
	if code, body := h.request("PATCH", at, "application/json-patch+json", []byte(`[{"op":"add","path":"/address","value":[{"city":"滨州市","district":"惠民县"}]}]`)); code != http.StatusOK {
		h.t.Fatalf("place the hall: %d %s", code, body)
	}
	h.eventually(10*time.Second, "the hall has a place in SQL", func() bool {
		return h.sql("SELECT city, area FROM qihuang.hall FINAL WHERE code = '"+own+"'") == "滨州市\t惠民县"
	})
	file := filepath.Join(h.t.TempDir(), "users.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `supervision:
  users:
    - {name: province, passwordSHA256: %[1]s, records: true}
    - {name: reader, passwordSHA256: %[1]s}
    - {name: county, passwordSHA256: %[1]s, city: 滨州市, area: 惠民县, records: true}
    - {name: elsewhere, passwordSHA256: %[1]s, city: 别处}
    - {name: hall, passwordSHA256: %[1]s, org: "`+own+`", records: true}
`, hash), 0o600); err != nil {
		h.t.Fatal(err)
	}
	visit := func(org string) string {
		return "/supervision/visit/" + h.sql("SELECT min(id) FROM qihuang.encounter FINAL WHERE status = 'finished' AND org_code = '"+org+"'")
	}
	mine, theirs := visit(own), visit(other)
	h.stop()
	h.start("--config", file)
	records := "/supervision/records?measure=outpatient-visits&from=2026-11-20&to=2026-11-21"
	looks := 0
	for _, c := range []struct {
		user, method, path string
		status             int
		look               bool
	}{
		{"", "GET", "/supervision", 401, false}, {"", "GET", "/api/supervision/tasks", 401, false}, {"nobody", "GET", "/supervision", 401, false},
		{"province", "GET", "/supervision", 200, false}, {"province", "GET", "/supervision/reports", 200, false}, {"province", "GET", "/api/supervision/tasks", 200, false},
		{"province", "GET", records, 200, true}, {"province", "GET", theirs, 200, true}, {"reader", "GET", records, 403, false}, {"reader", "GET", mine, 403, false},
		{"reader", "GET", "/api/supervision/records?measure=outpatient-visits&from=2026-11-20&to=2026-11-21", 403, false},
		{"county", "GET", "/supervision/hall?org=" + own, 200, false}, {"county", "GET", "/supervision?city=别处", 403, false},
		{"elsewhere", "GET", "/supervision/hall?org=" + own, 403, false},
		{"hall", "GET", "/supervision", 200, false}, {"hall", "GET", "/supervision/hall?org=" + own, 200, false}, {"hall", "GET", "/supervision/hall?org=" + other, 403, false},
		{"hall", "GET", records, 200, true}, {"hall", "GET", records + "&org=" + other, 403, false}, {"hall", "GET", mine, 200, true}, {"hall", "GET", theirs, 403, false},
		{"hall", "GET", "/supervision/reports", 403, false}, {"hall", "POST", "/supervision/alerts", 403, false}, {"hall", "GET", "/api/supervision/tasks", 403, false},
	} {
		req, err := http.NewRequest(c.method, h.url(c.path), nil)
		if err != nil {
			h.t.Fatal(err)
		}
		if c.user != "" {
			req.SetBasicAuth(c.user, "secret")
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			h.t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || c.user == "hall" && bytes.Contains(body, []byte(other)) {
			h.t.Errorf("%s: %s names another hall (%v)", c.user, c.path, err)
		}
		if res.StatusCode != c.status {
			h.t.Errorf("%s: %s %s: %d, want %d", c.user, c.method, c.path, res.StatusCode, c.status)
		}
		if c.look {
			looks++
		}
	}
	h.eventually(10*time.Second, "every look at records is audited", func() bool {
		_, body := h.request("GET", "/fhir/AuditEvent?_summary=count&action=R", "", nil)
		return strings.Contains(string(body), fmt.Sprintf(`"total":%d,`, looks))
	})
}
