package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/xuri/excelize/v2"
)

const november = "from=2026-11-01&to=2026-11-30"

// supervised opens every page of supervision over a simulated county: each is
// there, says what it shows, stays small, and exports the numbers it shows.
func (h *program) supervised() {
	h.t.Helper()
	for _, c := range []struct{ path, want string }{
		{"/supervision?" + november, "超剂量处方率最高的中医馆"},
		{"/supervision/indicators?" + november, "用药安全"},
		{"/supervision/indicator/overdose-prescription-rate?" + november, "去年同期"},
		{"/supervision/indicator/outpatient-visits?by=disease&" + november, "中医病名"},
		{"/supervision/records?measure=overdose-prescription-rate&" + november, "看全过程"},
		{"/supervision/map?" + november, "示意图"},
		{"/supervision/halls?" + november, "县（区）"},
		{"/supervision/hall?org=379901000001&" + november, "与同级机构比较"},
		{"/supervision/workload?" + november, "一周中的负荷"},
		{"/supervision/spectrum?kind=herb&" + november, "中位剂量"},
		{"/supervision/spectrum?kind=formula&" + november, "全部"},
		{"/supervision/alerts?" + november, "规则与阈值"},
		{"/supervision/rules?" + november, "出现十八反处方"},
		{"/supervision/backtest?from=2026-11-20&to=2026-11-21", "超剂量处方率偏高"},
		{"/supervision/quality?" + november, "要求整改"},
		{"/supervision/review?" + november, "新的抽样"},
		{"/supervision/appraisal?" + november, "不高于"},
		{"/supervision/reports?" + november, "建立草稿"},
		{"/supervision/pivot?d=org&d=day&m=outpatient-visits&m=cost-per-visit&" + november, "把浏览器地址发给同事"},
	} {
		code, body := h.request("GET", c.path, "", nil)
		if code != 200 || !strings.Contains(string(body), c.want) {
			h.t.Errorf("%s: %d without %q", c.path, code, c.want)
		}
		if len(body) > 350_000 {
			h.t.Errorf("%s: %d bytes", c.path, len(body))
		}
	}
	for path, want := range map[string]int{"/supervision/indicator/nothing": 404, "/supervision/indicator/outpatient-visits?by=nothing": 400, "/supervision/pivot?d=nothing&m=outpatient-visits": 400,
		"/supervision/pivot?d=category&m=outpatient-visits": 400, "/supervision?city=nowhere": 404, "/supervision/visit/none": 404, "/supervision/halls?format=exe": 400, "/supervision/hall": 400} {
		if code, body := h.request("GET", path, "", nil); code != want || !strings.Contains(string(body), "回到驾驶舱") {
			h.t.Errorf("%s: %d, wanted %d", path, code, want)
		}
	}
	h.exported("/supervision/indicator/overdose-prescription-rate?" + november)
}

// exported holds the exports of a page equal: the same numbers as CSV and Excel,
// and a PDF.
func (h *program) exported(path string) {
	h.t.Helper()
	_, body := h.request("GET", path+"&format=csv", "", nil)
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 4 || rows[2][1] == "" {
		h.t.Fatalf("csv: %v, %d rows", err, len(rows))
	}
	_, body = h.request("GET", path+"&format=xlsx", "", nil)
	f, err := excelize.OpenReader(bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	cells, err := f.GetRows(f.GetSheetName(0))
	if err != nil || len(cells) < 3 || strings.Join(cells[2], "|") != strings.Join(rows[2], "|") {
		h.t.Errorf("excel says %q, csv %q (%v)", cells, rows[2], err)
	}
	if _, body = h.request("GET", path+"&format=pdf", "", nil); !bytes.HasPrefix(body, []byte("%PDF-1.4")) || !bytes.Contains(body, []byte("%%EOF")) {
		h.t.Error("no PDF")
	}
}

// walked goes the way of a supervisor in a browser: from the cockpit to the
// visits of the hall that doses too high, in five clicks or fewer; the address
// to come back to keeps the filter. QIHUANG_SCREENSHOTS names a folder for pictures of the way.
func (h *program) walked() {
	h.t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		h.t.Log("没有 chromium，页面测试跳过")
		return
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.Flag("disable-background-networking", true), chromedp.WindowSize(1366, 768))
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	defer cancel()
	ctx, cancel := chromedp.NewContext(alloc)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	shots, clicks := os.Getenv("QIHUANG_SCREENSHOTS"), 0
	do := func(what string, err error) {
		if err != nil {
			h.t.Fatalf("%s: %v", what, err)
		}
	}
	shot := func(name string) {
		if shots == "" {
			return
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		do(name, err)
		do(name, os.WriteFile(filepath.Join(shots, name+".png"), png, 0o644))
	}
	// click follows the first link that matches and waits for the page it opens
	click := func(link, then string) {
		clicks++
		do(link, chromedp.Do(ctx, chromedp.Click(link), chromedp.WaitVisible(then)))
	}
	do("cockpit", chromedp.Do(ctx, chromedp.Navigate(h.url("/supervision?"+november)), chromedp.WaitVisible("h1")))
	shot("1-cockpit")
	click(`a.tile[href*="overdose-prescription-rate"]`, "#definition")
	shot("2-indicator")
	click(`.card.s12 tbody tr:first-child a`, `p.crumbs a[href*="/supervision/hall"]`)
	shot("3-hall")
	click(`a.button[href*="/supervision/records"]`, `td a[href*="/supervision/visit/"]`)
	shot("4-records")
	back, err := chromedp.Run(ctx, chromedp.Location())
	do("address", err)
	click(`td a[href*="/supervision/visit/"]`, "ol.chain")
	shot("5-visit")
	visit, err := chromedp.Run(ctx, chromedp.Text("ol.chain"))
	do("visit", err)
	if !strings.Contains(visit, "DOSE-") {
		h.t.Errorf("the visit behind the number shows no overdose: %s", visit)
	}
	if u, err := url.Parse(back); err != nil || u.Query().Get("org") != "379901000001" || u.Query().Get("from") != "2026-11-01" {
		h.t.Errorf("back leads to %s (%v)", back, err)
	}
	if clicks > 5 {
		h.t.Errorf("%d clicks from the cockpit to a visit", clicks)
	}
	h.t.Logf("%d clicks from the cockpit to a visit of the hall that doses too high", clicks)
}
