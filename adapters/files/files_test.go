package files

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// log keeps what is appended.
type log struct {
	mu       sync.Mutex
	messages []*pipeline.Message
	drop     bool
	rows     int
	appended func() // told of every message
}

func (l *log) Append(ctx context.Context, m *pipeline.Message) (pipeline.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return pipeline.Position{}, err
	}
	if l.drop {
		l.rows += strings.Count(string(m.Body), `{"`) - 1
		return pipeline.Position{}, nil
	}
	l.messages = append(l.messages, m)
	if l.appended != nil {
		l.appended()
	}
	return pipeline.Position{}, nil
}

type noLetters struct{ pipeline.DeadLetters }

func (noLetters) Put(context.Context, *pipeline.DeadLetter) error { return nil }

// parts is what a source needs, with the log it writes to.
func parts(t testing.TB, check Checker) (p Parts, l *log, desk *source.Desk) {
	t.Helper()
	l = &log{}
	desk, err := source.New(source.Config{File: filepath.Join(t.TempDir(), "sources.json"), Zone: time.UTC},
		source.Parts{Inbound: l, Letters: noLetters{}, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	state, err := source.OpenState(t.TempDir(), "drop")
	if err != nil {
		t.Fatal(err)
	}
	return Parts{Intake: desk.Intake("drop"), State: state, Check: check}, l, desk
}

// watched is a source of a folder whose rounds the test calls.
func watched(t testing.TB, check Checker) (s *Source, l *log, desk *source.Desk, dir string) {
	t.Helper()
	p, l, desk := parts(t, check)
	cfg := Default()
	cfg.Folder = t.TempDir()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return New(cfg, p), l, desk, cfg.Folder
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rounds lets the source look twice: a file must look the same both times.
func rounds(t testing.TB, s *Source) {
	t.Helper()
	for range 2 {
		if err := s.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func report(t *testing.T, dir, name string) (file string, errors []rowError) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "failed", name+".errors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		File   string
		Errors []rowError
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r.File, r.Errors
}

func exists(dir string, parts ...string) bool {
	_, err := os.Stat(filepath.Join(append([]string{dir}, parts...)...))
	return err == nil
}

func TestCSVInGBK(t *testing.T) {
	s, l, _, dir := watched(t, nil)
	text, _ := simplifiedchinese.GBK.NewEncoder().String("BRID,BRXM,CSNY\r\n1,张三,1956-03-12\r\n2,李四,\r\n1,张三丰,1956-03-12\r\n")
	put(t, dir, "MS_BRDA_20261012.csv", text)
	rounds(t, s)
	if !exists(dir, "done", "MS_BRDA_20261012.csv") || exists(dir, "MS_BRDA_20261012.csv") {
		t.Error("the file is not in done/")
	}
	names := []string{}
	for _, m := range l.messages {
		b, err := table.ReadBatch(m.Body)
		if err != nil || b.Table != "MS_BRDA" || m.Kind != table.Kind || !strings.HasPrefix(m.Key, "drop|") {
			t.Fatalf("%+v: %v", m, err)
		}
		for i := range b.Rows {
			names = append(names, b.Row(i).Get("BRXM")+fmt.Sprint(b.Row(i).Number))
		}
	}
	all := strings.Join(names, " ")
	if len(names) != 3 || strings.Index(all, "张三2") > strings.Index(all, "张三丰4") || !strings.Contains(all, "李四3") {
		t.Errorf("rows: %s", all)
	}
}

// TestHalfAFile: what is still growing, or named so, is left alone; a file that
// ends inside a row fails with its place, and the rows before it are taken.
func TestHalfAFile(t *testing.T) {
	s, l, desk, dir := watched(t, nil)
	put(t, dir, "A.csv.part", "X\n1\n")
	put(t, dir, "A.csv", "X,Y\n1,2\n")
	if err := s.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "A.csv", "X,Y\n1,2\n3") // grown meanwhile
	if err := s.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.messages) != 0 {
		t.Fatal("a growing file was taken")
	}
	rounds(t, s)
	if !exists(dir, "A.csv.part") || !exists(dir, "failed", "A.csv") {
		t.Error("not put away")
	}
	if file, errs := report(t, dir, "A.csv"); file != "A.csv" || len(errs) != 1 || errs[0].Row != 3 {
		t.Errorf("%s %+v", file, errs)
	}
	if len(l.messages) != 1 || len(desk.Alerts()) != 1 {
		t.Errorf("%d messages, alerts %+v", len(l.messages), desk.Alerts())
	}
}

// TestAFileThatGrowsWhileItIsRead stays until it is whole.
func TestAFileThatGrowsWhileItIsRead(t *testing.T) {
	grown, file := false, ""
	s, l, _, dir := watched(t, func(context.Context, *pipeline.Message) error {
		if grown {
			return nil
		}
		grown = true
		return os.WriteFile(file, []byte("X,Y\n1,2\n3,4\n"), 0o600)
	})
	file = filepath.Join(dir, "A.csv")
	put(t, dir, "A.csv", "X,Y\n1,2\n3")
	rounds(t, s)
	if !grown || !exists(dir, "A.csv") || exists(dir, "failed", "A.csv") {
		t.Fatal("a growing file was put away")
	}
	rounds(t, s)
	if !exists(dir, "done", "A.csv") || len(l.messages) == 0 {
		t.Error("the whole file was not taken")
	}
}

func TestRowErrorsNameRowAndColumn(t *testing.T) {
	check := func(_ context.Context, m *pipeline.Message) error {
		b, err := table.ReadBatch(m.Body)
		if err != nil {
			return err
		}
		f := fault.New(fault.Invalid, "bad rows")
		for i := range b.Rows {
			if b.Row(i).Get("JE") == "x" {
				f.With(fault.Issue{Text: "金额应为数字", Expression: fmt.Sprintf("rows[%d].JE", i)})
			}
		}
		if len(f.Issues) > 0 {
			return f
		}
		return nil
	}
	s, l, _, dir := watched(t, check)
	put(t, dir, "MS_SFMX.csv", "BRID,JE\n1,1.5\n1,x\n2,3\n1,\"4\n")
	rounds(t, s)
	_, errs := report(t, dir, "MS_SFMX.csv")
	if len(errs) == 0 || errs[0] != (rowError{3, "JE", "金额应为数字"}) {
		t.Errorf("%+v", errs)
	}
	rows := 0
	for _, m := range l.messages {
		b, _ := table.ReadBatch(m.Body)
		rows += len(b.Rows)
	}
	if rows < 2 {
		t.Errorf("%d good rows taken", rows)
	}
}

func TestAVanishedColumnStopsTheTable(t *testing.T) {
	s, l, desk, dir := watched(t, nil)
	put(t, dir, "MS_BRDA.csv", "BRID,BRXM\n1,a\n")
	rounds(t, s)
	n := len(l.messages)
	put(t, dir, "MS_BRDA-2.csv", "BRID\n2\n")
	put(t, dir, "OTHER.csv", "Z\n2\n")
	rounds(t, s)
	if _, errs := report(t, dir, "MS_BRDA-2.csv"); len(errs) != 1 || errs[0].Column != "BRXM" || errs[0].Row != 1 {
		t.Errorf("%+v", errs)
	}
	if len(l.messages) != n+1 || len(desk.Alerts()) == 0 || !exists(dir, "done", "OTHER.csv") {
		t.Errorf("%d messages, %d alerts", len(l.messages)-n, len(desk.Alerts()))
	}
}

func TestDocuments(t *testing.T) {
	s, l, _, dir := watched(t, nil)
	put(t, dir, "a.json", `{"orgCode":"1","visitNo":"2","patient":{}}`)
	put(t, dir, "b.ndjson", "{\"resourceType\":\"Patient\"}\n\n{\"resourceType\":\"Patient\",\"id\":\"2\"}\n")
	put(t, dir, "c.xml", `<ClinicalDocument xmlns="urn:hl7-org:v3"/>`)
	put(t, dir, "d.bin", "\x00\x01\x02\x03")
	put(t, dir, "e.csv", "")
	rounds(t, s)
	kinds := map[string]int{}
	for _, m := range l.messages {
		kinds[m.Kind]++
	}
	if kinds["his-visit"] != 1 || kinds["fhir"] != 2 || kinds["cda"] != 1 || !exists(dir, "failed", "d.bin") || !exists(dir, "failed", "e.csv") {
		t.Errorf("%v", kinds)
	}
}

func TestTableOf(t *testing.T) {
	for file, want := range map[string]string{
		"MS_CF01.csv": "MS_CF01", "MS_CF02.gbk.csv": "MS_CF02", "MS_CF01_20261012.csv": "MS_CF01", "VW_MZCFMXK-1.dbf": "VW_MZCFMXK",
		"NH_BSOFT_JSJL_MZ_DZ_201610_3.dbf": "NH_BSOFT_JSJL_MZ_DZ", "nh_bsoft_jsjl_mz_dz20161001.csv": "NH_BSOFT_JSJL_MZ_DZ", "MS_CF_01.csv": "MS_CF_01",
	} {
		if got := tableOf(file, []string{"NH_BSOFT_JSJL_MZ_DZ", "MS_CF"}[:1]); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

// TestAMillionRows proves constant memory and the speed of a large CSV; the log
// itself is left out (`qihuang bench --heavy` has it).
func TestAMillionRows(t *testing.T) {
	rows := 1_000_000
	if testing.Short() || os.Getenv("QIHUANG_HEAVY") == "" {
		rows = 50_000
	}
	s, l, _, dir := watched(t, nil)
	l.drop = true
	f, err := os.Create(filepath.Join(dir, "MS_SFMX.csv"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("SBXH,BRID,FYMC,JE,SFRQ\n")
	for i := range rows {
		fmt.Fprintf(&b, "%d,%d,中药饮片费,%d.50,2026-10-12 08:31:05\n", i, i%5000, i%100)
		if b.Len() > 1<<20 || i == rows-1 {
			if _, err := f.WriteString(b.String()); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	f.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	rounds(t, s)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if l.rows != rows {
		t.Errorf("%d rows of %d", l.rows, rows)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("heap grew by %d MB", grown>>20)
	}
	t.Logf("%d rows in %v", rows, time.Since(begin))
}
