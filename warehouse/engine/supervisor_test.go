package engine

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKillNine ends the engine without warning while rows arrive: what was
// acknowledged is there afterwards, once.
func TestKillNine(t *testing.T) {
	s := launch(t, testConfig(t, t.TempDir()))
	must(t, s, "CREATE TABLE k (a UInt32) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1")
	rows := 0
	for round := range 3 {
		go func() {
			time.Sleep(time.Duration(100+50*round) * time.Millisecond) // lets some inserts through
			if pid := s.PID(); pid > 0 {                               // 0 is all of us
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}()
		for {
			req, _ := http.NewRequest(http.MethodPost, s.URL()+"/?database=qihuang&insert_deduplication_token="+fmt.Sprint(rows)+"&"+q("INSERT INTO k FORMAT CSV"), strings.NewReader(fmt.Sprintln(rows)))
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				break
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Fatal(res.Status)
			}
			rows++
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		await(t, func() bool { return s.Restarts() == round+1 })
		if err := s.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if got := must(t, s, "SELECT uniqExact(a) >= "+fmt.Sprint(rows)+", count() = uniqExact(a) FROM k"); got != "1\t1\n" {
			t.Fatalf("after kill %d of %d rows: %s", round, rows, got)
		}
	}
	if rows == 0 {
		t.Fatal("no row got through: the test proves nothing")
	}
}

// TestOrphan kills the hub: its engine ends by itself, and a new hub takes over
// the data folder at once.
func TestOrphan(t *testing.T) {
	if os.Getenv("QIHUANG_ENGINE_HUB") != "" {
		t.Skip("this process is the hub of the test")
	}
	cfg := testConfig(t, t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	hub := exec.Command(self, "-test.run", "^TestHub$", "-test.v")
	hub.Env = append(os.Environ(), "QIHUANG_ENGINE_HUB="+cfg.Data, "QIHUANG_ENGINE_LISTEN="+cfg.Listen, "QIHUANG_ENGINE_LIB="+cfg.Library)
	out, err := hub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "engine pid %d", &pid); err == nil {
			break
		}
	}
	_ = hub.Process.Kill()
	_ = hub.Wait()
	if pid == 0 {
		t.Fatal("the hub did not start its engine")
	}
	s := launch(t, cfg) // the same folder and port
	if got := must(t, s, "SELECT 1"); got != "1\n" || s.PID() == pid {
		t.Errorf("new engine: %q", got)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		await(t, func() bool { return syscall.Kill(pid, 0) != nil })
	}
}

// TestHub is the hub that TestOrphan kills.
func TestHub(t *testing.T) {
	dir := os.Getenv("QIHUANG_ENGINE_HUB")
	if dir == "" {
		t.Skip("only as a child of TestOrphan")
	}
	cfg := Default()
	cfg.Data, cfg.Listen, cfg.Library, cfg.Memory = dir, os.Getenv("QIHUANG_ENGINE_LISTEN"), os.Getenv("QIHUANG_ENGINE_LIB"), 1<<30
	s := launch(t, cfg)
	fmt.Printf("engine pid %d\n", s.PID())
	<-t.Context().Done()
}

// TestStop ends the hub's context: the engine is gone within seconds and the
// port is free.
func TestStop(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := NewSupervisor([]string{self, "engine"}, cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("stop took %s", took)
	}
	if s.ping(context.Background()) == nil {
		t.Error("the port still answers")
	}
}

// TestSecret lets in only who carries the secret, and keeps it off the command
// line.
func TestSecret(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Secret = "s3cret"
	s := launch(t, cfg)
	if r := get(t, s, q("SELECT 1")); r.status != http.StatusForbidden || r.header.Get("X-ClickHouse-Exception-Code") != "516" {
		t.Errorf("without: %d %s", r.status, r.body)
	}
	for name, set := range map[string]func(*http.Request){
		"basic":  func(r *http.Request) { r.SetBasicAuth("default", "s3cret") },
		"header": func(r *http.Request) { r.Header.Set("X-ClickHouse-Key", "s3cret") },
		"url":    func(r *http.Request) { r.URL.RawQuery += "&password=s3cret" },
	} {
		req, _ := http.NewRequest(http.MethodGet, s.URL()+"/?"+q("SELECT value FROM system.merge_tree_settings WHERE name = 'fsync_after_insert'"), nil)
		set(req)
		if r := do(t, req); r.body != "1\n" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID()))
	if err != nil || strings.Contains(string(line), "s3cret") || !strings.Contains(string(line), "engine") {
		t.Errorf("command line %q %v", line, err)
	}
}

func TestConfig_bad(t *testing.T) {
	ok := Default()
	ok.Library, ok.Data = "x", "y"
	if err := ok.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"library": func(c *Config) { c.Library = "" }, "data": func(c *Config) { c.Data = "" },
		"listen": func(c *Config) { c.Listen = "" }, "memory": func(c *Config) { c.Memory = 1 }, "queries": func(c *Config) { c.Queries = 0 },
	} {
		c := ok
		spoil(&c)
		if c.Validate() == nil {
			t.Errorf("%s accepted", name)
		}
	}
}
