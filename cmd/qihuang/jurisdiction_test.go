package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/warehouse/measures"
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
  patience: 1ns
  users:
    - {name: province, passwordSHA256: %[1]s, records: true}
    - {name: reader, passwordSHA256: %[1]s}
    - {name: county, passwordSHA256: %[1]s, city: 滨州市, area: 惠民县, records: true}
    - {name: elsewhere, passwordSHA256: %[1]s, city: 别处}
    - {name: hall, passwordSHA256: %[1]s, org: "`+own+`", records: true}
    - {name: neighbour, passwordSHA256: %[1]s, org: "`+other+`", records: true}
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
		{"hall", "GET", "/supervision/reports", 200, false}, {"hall", "GET", "/supervision/quality", 200, false}, {"hall", "GET", "/supervision/review", 200, false},
		{"hall", "GET", "/supervision/appraisal", 200, false}, {"hall", "GET", "/supervision/rules", 200, false}, {"hall", "GET", "/supervision/reports?org=" + other, 403, false},
		{"hall", "POST", "/supervision/alerts", 403, false}, {"hall", "GET", "/supervision/backtest", 403, false}, {"hall", "GET", "/api/supervision/tasks", 403, false},
	} {
		status, body, _ := h.as(c.user, c.method, c.path, nil)
		if c.user == "hall" && strings.Contains(body, other) {
			h.t.Errorf("%s: %s names another hall", c.user, c.path)
		}
		if status != c.status {
			h.t.Errorf("%s: %s %s: %d, want %d", c.user, c.method, c.path, status, c.status)
		}
		if c.look {
			looks++
		}
	}
	looks += h.papers(own, other)
	h.queued()
	h.eventually(10*time.Second, "every look at records is audited", func() bool {
		_, body := h.request("GET", "/fhir/AuditEvent?_summary=count&action=R", "", nil)
		return strings.Contains(string(body), fmt.Sprintf(`"total":%d,`, looks))
	})
}

// papers leads reports, follow-ups, reviews and saved tables through the hands of
// users with a place: each does what is his level's, for his halls only. It
// returns how many records were looked at.
func (h *program) papers(own, other string) (looks int) {
	h.t.Helper()
	do := func(user, path string, status int, fields ...string) string {
		h.t.Helper()
		form := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		got, body, to := h.as(user, http.MethodPost, path, form)
		if got != status {
			h.t.Errorf("%s: POST %s %v: %d, want %d: %.300s", user, path, fields, got, status, body)
		}
		return to
	}
	get := func(user, path string, status int) string {
		h.t.Helper()
		got, body, _ := h.as(user, http.MethodGet, path, nil)
		if got != status {
			h.t.Errorf("%s: GET %s: %d, want %d", user, path, got, status)
		}
		return body
	}
	const done = http.StatusSeeOther

	do("hall", "/supervision/reports", 403, "org", other, "period", "2026-11")
	do("county", "/supervision/reports", 403, "city", "滨州市", "period", "2026-11")
	report := do("hall", "/supervision/reports", done, "org", own, "period", "2026-Q4", "by", "someone else")
	do("hall", report, done, "version", "1", "action", "submit")
	do("hall", report, 403, "version", "2", "action", "approve")
	get("neighbour", report, 403)
	do("neighbour", report, 403, "version", "2", "action", "return", "note", "x")
	do("county", report, done, "version", "2", "action", "approve")
	do("county", report, 403, "version", "3", "action", "approve")
	if page := get("county", report, 200); !strings.Contains(page, "<b>hall</b>") || strings.Contains(page, "someone else") || !strings.Contains(page, "等待上级机构审核") {
		h.t.Errorf("the report does not tell who did what: %s", page)
	}

	do("hall", "/supervision/quality", 403, "org", own, "text", "补传", "due", "2099-01-01")
	do("county", "/supervision/quality", 403, "org", other, "text", "补传", "due", "2099-01-01")
	task := do("county", "/supervision/quality", done, "org", own, "text", "补传", "due", "2099-01-01")
	get("neighbour", task, 403)
	do("county", task, 403, "action", "assign", "owner", other)
	do("county", task, done, "action", "assign", "owner", own)
	do("hall", task, 403, "action", "close", "note", "x")
	do("hall", task, done, "action", "handle")
	do("hall", task, done, "action", "submit")
	do("county", task, done, "action", "close", "note", "已补传")

	sample := do("county", "/supervision/review", done, "name", "抽查", "from", "2026-11-01", "to", "2026-11-30", "method", "random", "seed", "1", "amount", "2", "unit", "count")
	everywhere := do("province", "/supervision/review", done, "name", "全省抽查", "from", "2026-11-01", "to", "2026-11-30", "method", "random", "seed", "1", "amount", "2", "unit", "count")
	get("neighbour", sample, 403)
	get("county", everywhere, 403)
	item := regexp.MustCompile(`href="(` + sample + `/[^"]+)"`).FindStringSubmatch(get("hall", sample, 200))
	if item == nil {
		h.t.Fatal("the sample has no prescription")
	}
	get("neighbour", item[1], 403)
	get("hall", item[1], 200)
	looks++
	do("neighbour", item[1], 403, "version", "1")
	do("county", item[1], done, "version", "1")

	saved := do("county", "/supervision/saved", done, "name", "月度", "query", "m=outpatient-visits&d=org")
	do("hall", saved+"/delete", 403)
	do("county", saved+"/delete", done)
	return looks
}

// as asks as a user of supervision, with a form where there is one; location is
// where the answer leads.
func (h *program) as(user, method, path string, form url.Values) (status int, body, location string) {
	h.t.Helper()
	req, err := http.NewRequest(method, h.url(path), strings.NewReader(form.Encode()))
	if err != nil {
		h.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if user != "" {
		req.SetBasicAuth(user, "secret")
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header.Get("Location")
}

// queued asks for ad-hoc tables where no page waits for them: the page tells how
// far they are and can end them, and shows them when they are there.
func (h *program) queued() {
	h.t.Helper()
	const table = "d=org&m=outpatient-visits&from=2026-11-01&to=2026-11-30"
	status, _, to := h.as("province", http.MethodPost, "/supervision/pivot/cancel", url.Values{"query": {table}})
	if _, page, _ := h.as("province", http.MethodGet, to, nil); status != http.StatusSeeOther || !strings.Contains(page, "选好分组") || !strings.Contains(page, "value=\"outpatient-visits\" checked") {
		h.t.Errorf("cancel: %d, leads to %s", status, to)
	}
	seen := map[int]string{}
	h.eventually(20*time.Second, "the table is there", func() bool {
		status, body, _ := h.as("province", http.MethodGet, "/supervision/pivot?"+table, nil)
		seen[status] = body
		return status == http.StatusOK
	})
	if !strings.Contains(seen[http.StatusAccepted], "取消") || !strings.Contains(seen[http.StatusOK], "共 3 行") {
		h.t.Errorf("the page in between: %q", seen[http.StatusAccepted])
	}

	db, err := openDatabase(ClickHouseConfig{User: "default"}, fmt.Sprintf("127.0.0.1:%d", h.port(8123)))
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.conn.Close()
	ctx, cancel := context.WithCancel(measures.Labelled(context.Background(), "slow"))
	ended := make(chan error, 1)
	go func() {
		ended <- db.Query(ctx, "SELECT sum(sleepEachRow(0.01)) FROM numbers(3000) SETTINGS max_block_size = 10", nil, func(func(...any) error) error { return nil })
	}()
	progress := func() measures.Progress {
		p, err := measures.Watch(context.Background(), db, "slow")
		if err != nil {
			h.t.Error(err)
		}
		return p
	}
	h.eventually(10*time.Second, "the query tells how far it is", func() bool { p := progress(); return p.Rows > 0 && p.Elapsed > 0 })
	cancel()
	if err := <-ended; err == nil {
		h.t.Error("a cancelled query ended well")
	}
	h.eventually(10*time.Second, "the engine has ended it", func() bool { return progress().Elapsed == 0 })
}
