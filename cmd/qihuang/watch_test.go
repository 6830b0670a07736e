package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// form posts a form of the pages and returns the page it leads to.
func (h *program) form(path string, fields ...string) (int, string) {
	h.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	code, body := h.request("POST", path, "application/x-www-form-urlencoded", []byte(v.Encode()))
	return code, string(body)
}

// found returns the first match of a pattern in a page.
func (h *program) found(path, pattern string) string {
	h.t.Helper()
	code, body := h.request("GET", path, "", nil)
	m := regexp.MustCompile(pattern).FindString(string(body))
	if code != 200 || m == "" {
		h.t.Fatalf("%s: %d without %s", path, code, pattern)
	}
	return m
}

var versionField = regexp.MustCompile(`name="version" value="(\d+)"`)

// version is what the form of a page says it shows.
func (h *program) version(path string) string {
	h.t.Helper()
	m := versionField.FindStringSubmatch(h.found(path, versionField.String()))
	return m[1]
}

// workflows goes through the forms of supervision: a request to mend data, a
// sample judged, a report approved and locked, a table saved.
func (h *program) workflows() {
	h.t.Helper()
	const org = "379901000001"
	if code, page := h.form("/supervision/quality", "org", org, "text", "补传证候", "by", "王科长", "due", "2099-01-01"); code != 200 || !strings.Contains(page, "补传证候") {
		h.t.Errorf("request to mend: %d", code)
	}
	if code, page := h.form("/supervision/review?"+november, "name", "十一月", "from", "2026-11-01", "to", "2026-11-30", "method", "hall", "amount", "6", "unit", "count", "seed", "7", "by", "李药师", "category", "decoction"); code != 200 || !strings.Contains(page, "随机种子 7") {
		h.t.Errorf("sample: %d %s", code, page)
	}
	sample := h.found("/supervision/review", `/supervision/review/sample-[0-9a-f-]+`)
	item := h.found(sample, sample+`/review-[0-9a-f-]+`)
	if code, _ := h.form(item, "version", h.version(item), "reason", "2-5", "note", "超量", "by", "李药师", "feedback", "1"); code != 200 {
		h.t.Errorf("judgement: %d", code)
	}
	h.found(sample, "2-5 用法、用量不适宜")
	h.found("/supervision/review", "处方点评反馈")
	h.reported(org)
	if code, page := h.form("/supervision/saved", "query", "d=org&m=outpatient-visits&"+november, "name", "各馆人次", "by", "王"); code != 200 || !strings.Contains(page, "各馆人次") {
		h.t.Errorf("saved table: %d", code)
	}
	saved := h.found("/supervision/pivot", `/supervision/saved/analysis-[0-9a-f-]+`)
	if code, page := h.form(saved + "/delete"); code != 200 || strings.Contains(page, "各馆人次") {
		h.t.Errorf("delete a saved table: %d", code)
	}
	for path, want := range map[string]int{"/supervision/task/none": 404, "/supervision/review/sample-none": 404, "/supervision/report/report-none-v1": 404, "/supervision/saved/none": 404, "/supervision/alerts?state=x": 400, "/supervision/alerts?level=x": 400} {
		if code, body := h.request("GET", path, "", nil); code != want || !strings.Contains(string(body), "回到驾驶舱") {
			h.t.Errorf("%s: %d, wanted %d", path, code, want)
		}
	}
}

// reported leads a report of a hall to its lock: later visits do not change it,
// and its exports have the numbers of the page.
func (h *program) reported(org string) {
	h.t.Helper()
	if code, _ := h.form("/supervision/reports", "period", "2026-11", "org", org, "by", "张馆长"); code != 200 {
		h.t.Fatalf("report: %d", code)
	}
	report := h.found("/supervision/reports", `/supervision/report/report-[a-z0-9-]+`)
	for _, action := range []string{"submit", "approve", "approve", "approve"} {
		if code, page := h.form(report, "version", h.version(report), "action", action, "by", "审核人"); code != 200 {
			h.t.Fatalf("%s: %d %s", action, code, page)
		}
	}
	h.found(report, "已批准，锁定")
	_, before := h.request("GET", report+"?format=csv", "", nil)
	for _, action := range []string{"refresh", "return", "approve"} {
		if code, _ := h.form(report, "version", h.version(report), "action", action, "by", "某人", "note", "理由"); code != 409 {
			h.t.Errorf("%s of a locked report: %d", action, code)
		}
	}
	if _, after := h.request("GET", report+"?format=csv", "", nil); !bytes.Equal(before, after) || !bytes.Contains(after, []byte("门诊人次")) {
		h.t.Errorf("the locked report reads %s, was %s", after, before)
	}
	h.exported(report + "?x=1")
	var c struct{ Status string }
	_, body := h.request("GET", "/fhir/Composition/"+filepath.Base(report), "", nil)
	if err := json.Unmarshal(body, &c); err != nil || c.Status != "final" {
		h.t.Errorf("the Composition is %q (%v)", c.Status, err)
	}
}

// worked lets a supervisor work an alert off in a browser, from the cockpit to
// its closure.
func (h *program) worked() {
	h.t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		h.t.Log("没有 chromium，页面测试跳过")
		return
	}
	if code, page := h.form("/supervision/alerts", "day", "2026-11-21"); code != 200 || !strings.Contains(page, "超剂量处方率偏高") {
		h.t.Fatalf("the planted hall raises no alert: %d", code)
	}
	if code, page := h.form("/supervision/appraisal", "org", "379901000001", "period", "2026-11", "text", "四张处方为医嘱加量", "by", "馆长"); code != 200 || !strings.Contains(page, "绩效评分申诉") {
		h.t.Errorf("an appeal: %d", code)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.Flag("disable-background-networking", true), chromedp.WindowSize(1366, 768))
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(alloc)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		h.t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			h.t.Fatalf("%s: %v", what, err)
		}
	}
	shot := func(name string) {
		shots := os.Getenv("QIHUANG_SCREENSHOTS")
		if shots == "" {
			return
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err == nil {
			err = os.WriteFile(filepath.Join(shots, name+".png"), png, 0o644)
		}
		if err != nil {
			h.t.Error(err)
		}
	}
	do("cockpit", chromedp.Navigate(h.url("/supervision?"+november)), chromedp.WaitVisible("#open-alerts.on"))
	do("alerts", chromedp.Click("#open-alerts"), chromedp.WaitVisible(`td a[href^="/supervision/task/alert-"]`))
	shot("6-alerts")
	do("task", chromedp.Click(`td a[href^="/supervision/task/alert-"]`), chromedp.WaitVisible("#state"))
	for _, step := range []struct{ action, note, state string }{{"assign", "", "已分派"}, {"handle", "约谈医生", "处理中"}, {"submit", "已改", "待复核"}, {"close", "复核合格", "已办结"}} {
		if step.action != "assign" {
			shot("7-task-" + step.action)
		}
		do(step.action, chromedp.SetValue(`select[name=action]`, step.action), chromedp.SendKeys(`input[name=by]`, "王科长"), chromedp.SendKeys(`textarea[name=note]`, step.note),
			chromedp.Click(`form.fields button`), chromedp.WaitVisible(`#state[title="`+step.state+`"]`))
	}
	shot("8-closed")
	history, err := chromedp.Run(ctx, chromedp.Text("ol.chain"))
	for _, want := range []string{"分派", "约谈医生", "已改", "复核合格", "王科长"} {
		if err != nil || !strings.Contains(history, want) {
			h.t.Errorf("the history lacks %q: %s (%v)", want, history, err)
		}
	}
}
