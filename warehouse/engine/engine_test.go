package engine

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fetch"
)

// TestMain is also the child process, as `qihuang engine` is in the product.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		os.Exit(child(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func child(args []string) int {
	cfg := Default()
	fs := flag.NewFlagSet("engine", flag.ExitOnError)
	fs.StringVar(&cfg.Data, "data", "", "")
	fs.StringVar(&cfg.Listen, "listen", "", "")
	fs.StringVar(&cfg.Library, "lib", "", "")
	fs.Int64Var(&cfg.Memory, "memory-limit", cfg.Memory, "")
	_ = fs.Parse(args)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ExitWithParent(os.Stdin, cancel)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := Run(ctx, cfg, log); err != nil {
		log.Error("engine", "err", err)
		return 1
	}
	return 0
}

// testConfig returns a configuration with a free port, or skips where the
// library has not been fetched.
func testConfig(t testing.TB, dir string) Config {
	t.Helper()
	lib, ok := fetch.LibraryPath("")
	if !ok {
		t.Skip("libchdb.so absent: run `make setup`")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	cfg := Default()
	cfg.Library, cfg.Data, cfg.Listen, cfg.Memory = lib, dir, ln.Addr().String(), 2<<30
	return cfg
}

// launch starts a supervised engine that ends with the test.
func launch(t testing.TB, cfg Config) *Supervisor {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := NewSupervisor([]string{self, "engine"}, cfg, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	wait, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := s.Ready(wait); err != nil {
		t.Fatal(err)
	}
	return s
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

func do(t testing.TB, req *http.Request) reply {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func get(t testing.TB, s *Supervisor, params string) reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.URL()+"/?"+params, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req)
}

func post(t testing.TB, s *Supervisor, params, body string) reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL()+"/?"+params, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req)
}

func q(query string) string { return "query=" + url.QueryEscape(query) }

// must runs a statement and returns its output.
func must(t testing.TB, s *Supervisor, query string) string {
	t.Helper()
	r := post(t, s, "database=qihuang", query)
	if r.status != http.StatusOK {
		t.Fatalf("%s: %d %s", query, r.status, r.body)
	}
	return r.body
}
