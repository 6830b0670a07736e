// Package enginetest starts the ClickHouse engine for tests of packages that
// use it, as a child process like in the product.
package enginetest

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fetch"
	"github.com/qihuang-health/qihuang/warehouse/engine"
)

// Main is TestMain's body: the test binary is also the child process.
func Main(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		os.Exit(child(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func child(args []string) int {
	cfg := engine.Default()
	fs := flag.NewFlagSet("engine", flag.ExitOnError)
	fs.StringVar(&cfg.Data, "data", "", "")
	fs.StringVar(&cfg.Listen, "listen", "", "")
	fs.StringVar(&cfg.Library, "lib", "", "")
	fs.Int64Var(&cfg.Memory, "memory-limit", cfg.Memory, "")
	_ = fs.Parse(args)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	engine.ExitWithParent(os.Stdin, cancel)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := engine.Run(ctx, cfg, log); err != nil {
		log.Error("engine", "error", err)
		return 1
	}
	return 0
}

// Start runs a supervised engine over an empty folder until the test ends, and
// returns it with its host:port. The test is skipped where the library has not
// been fetched.
func Start(t testing.TB) (*engine.Supervisor, string) {
	t.Helper()
	lib, ok := fetch.LibraryPath("")
	if !ok {
		t.Skip("libchdb.so absent: run `make setup`")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := engine.Default()
	cfg.Library, cfg.Data, cfg.Listen, cfg.Memory = lib, t.TempDir(), ln.Addr().String(), 2<<30
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	s := engine.NewSupervisor([]string{self, "engine"}, cfg, slog.New(slog.DiscardHandler))
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
	return s, cfg.Listen
}
