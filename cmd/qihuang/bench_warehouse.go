package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/sim"
	"github.com/qihuang-health/qihuang/warehouse/measures"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// runWarehouse measures the warehouse alone.
func (b *bench) runWarehouse(visits int) error {
	if _, err := b.start(); err != nil {
		return err
	}
	defer func() { b.stop() }()
	for _, step := range []func() error{b.viewRunner, b.bundles, b.settle, b.refill, b.freshness, b.interference} {
		if err := step(); err != nil {
			return err
		}
	}
	if visits == 0 {
		return nil
	}
	return b.provinceYear(visits)
}

// viewRunner measures the view runner on one core: ten columns of a Patient.
func (b *bench) viewRunner() error {
	eng, err := newEngine()
	if err != nil {
		return err
	}
	var view *views.View
	for _, def := range conformance.Views() {
		if v, err := views.Compile(def, eng); err == nil && v.Name == "patient" {
			view = v
		}
	}
	line := []byte(`{"resourceType":"Patient","id":"p1","identifier":[{"system":"https://qihuang.health/fhir/sid/patient/H1","value":"100001"},{"system":"urn:oid:2.16.156.10011.1.3","value":"370102198001010011"}],"active":true,"name":[{"text":"测试"}],"telecom":[{"system":"phone","value":"053100000"}],"gender":"female","birthDate":"1980-01-01","address":[{"text":"示例路1号"}],"managingOrganization":{"identifier":{"value":"H1"}}}` + "\n")
	w, err := views.NewWriter(io.Discard, "ndjson", view.Columns(), false)
	if err != nil {
		return err
	}
	input := bytes.Repeat(line, 10_000)
	n, begin := 0, time.Now()
	for time.Since(begin) < b.span {
		if err := views.Resources(bytes.NewReader(input), func(res fhir.Node) error { n++; return view.Rows(res, w.Write) }); err != nil {
			return err
		}
	}
	b.print(figure{"view-resources-per-second", float64(n) / time.Since(begin).Seconds(), "resources/s", "≥ 100000", fmt.Sprintf("一个核，%d 列，解析到 NDJSON", len(view.Columns()))})
	return nil
}

// metric returns a figure of the hub's own, -1 while it has none.
func (b *bench) metric(name string) float64 {
	_, body, err := b.do("GET", "/metrics", "", nil)
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(body)) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			if f, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
				return f
			}
		}
	}
	return -1
}

// settle waits until what was loaded is in SQL.
func (b *bench) settle() error {
	for begin := time.Now(); b.metric("qihuang_warehouse_waiting") != 0; time.Sleep(100 * time.Millisecond) {
		if b.ctx.Err() != nil {
			return b.ctx.Err()
		}
		if time.Since(begin) > time.Hour {
			return fault.New(fault.Unavailable, "数据仓库一小时内没有追上")
		}
	}
	return nil
}

// refill empties the warehouse and measures how fast the sink fills it again
// from the topic: what was loaded before, landing table and views.
func (b *bench) refill() error {
	b.stop()
	if err := os.RemoveAll(filepath.Join(b.dir, "data", "clickhouse")); err != nil {
		return err
	}
	if _, err := b.start(); err != nil {
		return err
	}
	const rows = "qihuang_warehouse_rows_total"
	for b.metric(rows) <= 0 && b.ctx.Err() == nil { // the engine starts and tables are made
		time.Sleep(20 * time.Millisecond)
	}
	first, begin := b.metric(rows), time.Now()
	if err := b.settle(); err != nil {
		return err
	}
	n := b.metric(rows)
	b.print(figure{"sink-rows-per-second", (n - first) / time.Since(begin).Seconds(), "rows/s", "≥ 50000", fmt.Sprintf("清空数据仓库后重新写入：落地表与各视图共 %.0f 行，与数据中心同机", n)})
	return nil
}

// freshness commits resources at a steady rate and watches for them in SQL.
func (b *bench) freshness() error {
	const perBundle, rate = 100, 10 // 1,000 resources a second
	var mu sync.Mutex
	sent := map[string]time.Time{}
	var lat []time.Duration
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			rows, err := b.sql("SELECT identifier FROM qihuang.patient FINAL WHERE identifier LIKE 'fresh%' ORDER BY identifier DESC LIMIT 200")
			if err != nil {
				continue
			}
			now := time.Now()
			mu.Lock()
			for _, r := range rows {
				if t, ok := sent[r]; ok {
					lat = append(lat, now.Sub(t))
					delete(sent, r)
				}
			}
			mu.Unlock()
		}
	})
	_, err := b.steady(rate, func(i int) error {
		id := fmt.Sprintf("fresh%06d", i)
		body := bytes.Replace(bundle(i+50_000_000, perBundle-1), []byte(`"value":"`+strconv.Itoa(i+50_000_000)+`"`), []byte(`"value":"`+id+`"`), 1)
		code, reply, err := b.do("POST", "/fhir", fhirJSON, body)
		mu.Lock()
		sent[id] = time.Now()
		mu.Unlock()
		return want(http.StatusOK, code, reply, err)
	})
	deadline := time.Now().Add(15 * time.Second)
	for waiting := 1; err == nil && waiting > 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		mu.Lock()
		waiting = len(sent)
		mu.Unlock()
	}
	close(stop)
	watch.Wait()
	if err != nil {
		return fmt.Errorf("freshness: %w", err)
	}
	slices.Sort(lat)
	b.print(figure{"commit-to-sql-p99", at(lat, 99) / 1000, "s", "≤ 2", "每秒 1000 个资源，从提交应答到 SQL 可见"})
	return nil
}

// interference measures clinic requests alone and beside ten heavy queries.
func (b *bench) interference() error {
	clinic := func() (float64, error) {
		lat, err := b.steady(50, func(i int) error {
			code, body, err := b.do("GET", "/fhir/Observation?_count=10&code=http://loinc.org|"+strconv.Itoa(8000+i%200)+"-4", "", nil)
			return want(http.StatusOK, code, body, err)
		})
		return at(lat, 50), err
	}
	alone, err := clinic()
	if err != nil {
		return fmt.Errorf("interference: %w", err)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	var heavy sync.WaitGroup
	for i := range 10 {
		heavy.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:"+strconv.Itoa(8123+b.offset)+"/", strings.NewReader(fmt.Sprintf("SELECT uniqExact(sipHash64(number, %d)) FROM numbers(30000000)", i)))
				if err != nil {
					return
				}
				if res, err := b.client.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body) // only the load counts
					_ = res.Body.Close()
				}
			}
		})
	}
	beside, err := clinic()
	cancel()
	heavy.Wait()
	if err != nil {
		return fmt.Errorf("interference: %w", err)
	}
	b.print(figure{"clinic-slowdown-under-queries", 100 * (beside - alone) / max(alone, 0.001), "%", "≤ 10", fmt.Sprintf("诊间查询中位数 %.2f ms → %.2f ms，同时 10 个重查询", alone, beside)})
	return nil
}

// provinceYear writes a province-year and measures what supervisors wait for.
func (b *bench) provinceYear(visits int) error {
	db, err := openDatabase(ClickHouseConfig{User: "default"}, "127.0.0.1:"+strconv.Itoa(8123+b.offset))
	if err != nil {
		return err
	}
	defer db.conn.Close()
	start := time.Now().In(sim.China()).AddDate(0, -14, 0)
	cfg := sim.DefaultProvince(time.Date(start.Year(), start.Month(), 1, 0, 0, 0, 0, sim.China()))
	cfg.Visits = visits
	if visits < 1_000_000 {
		cfg.Halls = 100
	}
	begin := time.Now()
	if err := writeProvince(b.ctx, db, cfg, func(line string) { _, _ = fmt.Fprintln(b.errs, line) }); err != nil {
		return err
	}
	b.print(figure{"province-visits-per-second", float64(visits) / time.Since(begin).Seconds(), "visits/s", "", fmt.Sprintf("%d 次就诊直接写入并算好集市", visits)})
	var bytesPerItem float64
	if err := db.Query(b.ctx, "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE database = 'qihuang' AND table = 'prescription_item' AND active", nil, func(scan func(...any) error) error { return scan(&bytesPerItem) }); err != nil {
		return err
	}
	b.print(figure{"bytes-per-prescription-item", bytesPerItem, "B", "≤ 150", ""})
	year := measures.Scope{From: cfg.Start, To: cfg.Start.AddDate(0, 0, cfg.Days)}
	if err := b.panels(db, year); err != nil {
		return err
	}
	return b.pages(db, year)
}

// pages times what a browser asks of supervision, for the province, a city and a
// hall, over the last 30 days; the first look at each page does not count.
func (b *bench) pages(db *database, year measures.Scope) error {
	var city, org, encounter string
	err := db.Query(b.ctx, "SELECT any(h.city), any(e.org_code), any(e.id) FROM (SELECT id, org_code FROM qihuang.encounter WHERE status = 'finished' LIMIT 1) AS e LEFT JOIN (SELECT assumeNotNull(code) AS code, assumeNotNull(city) AS city FROM qihuang.hall FINAL WHERE code IS NOT NULL) AS h ON h.code = e.org_code", nil,
		func(scan func(...any) error) error { return scan(&city, &org, &encounter) })
	if err != nil {
		return err
	}
	days := "from=" + year.To.AddDate(0, 0, -30).Format(time.DateOnly) + "&to=" + year.To.AddDate(0, 0, -1).Format(time.DateOnly)
	paths := []string{"/supervision/visit/" + encounter, "/supervision/hall?" + days + "&org=" + org}
	for _, place := range []string{"", "&city=" + url.QueryEscape(city), "&org=" + org} {
		for _, page := range []string{"?", "/indicator/overdose-prescription-rate?", "/records?measure=overdose-prescription-rate&", "/map?", "/halls?", "/workload?", "/spectrum?", "/quality?"} {
			paths = append(paths, "/supervision"+page+days+place)
		}
	}
	var took []time.Duration
	slowest, longest := "", time.Duration(0)
	for round := range 3 {
		for _, path := range paths {
			begin := time.Now()
			code, body, err := b.do("GET", path, "", nil)
			if err := want(http.StatusOK, code, body, err); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if d := time.Since(begin); round > 0 {
				took = append(took, d)
				if d > longest {
					slowest, longest = path, d
				}
			}
		}
	}
	slices.Sort(took)
	slowest, _, _ = strings.Cut(strings.TrimPrefix(slowest, "/supervision/"), "?")
	b.print(figure{"supervision-page-p95", at(took, 95) / 1000, "s", "≤ 2", fmt.Sprintf("%d 次打开监管页面：全省、一市、一馆，近 30 天；最慢 %.1f 秒（%s）", len(took), longest.Seconds(), slowest)})
	return nil
}

// panels times each indicator of the whole province and year, and breakdowns.
func (b *bench) panels(db *database, year measures.Scope) error {
	c, err := catalogue()
	if err != nil {
		return err
	}
	timed := func(dims []string, list ...*measures.Measure) (time.Duration, error) {
		begin := time.Now()
		_, err := c.Table(b.ctx, db, year, dims, list...)
		return time.Since(begin), err
	}
	year.Source = measures.Cube
	var panel, adhoc []time.Duration
	for _, m := range c.All() {
		for _, dims := range [][]string{nil, {"city"}, {"month"}} {
			d, err := timed(dims, m)
			if err != nil {
				return fmt.Errorf("panel %s: %w", m.Name, err)
			}
			panel = append(panel, d)
		}
	}
	cost, err := c.Get("cost-per-visit")
	if err != nil {
		return err
	}
	for _, dims := range [][]string{{"disease"}, {"insurance", "month"}, {"gender", "age-band"}, {"doctor"}, {"disease", "syndrome"}, {"org", "insurance"}} {
		d, err := timed(dims, cost)
		if err != nil {
			return fmt.Errorf("ad-hoc %v: %w", dims, err)
		}
		adhoc = append(adhoc, d)
	}
	slices.Sort(panel)
	slices.Sort(adhoc)
	b.print(figure{"cockpit-panel-p95", at(panel, 95) / 1000, "s", "≤ 1", fmt.Sprintf("%d 个面板：全省全年每项指标，合计、按市、按月", len(panel))})
	b.print(figure{"ad-hoc-max", at(adhoc, 100) / 1000, "s", "≤ 5", "全省全年按病种、付费、年龄、医生、病证组合"})
	return nil
}
