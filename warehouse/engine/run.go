package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Run serves the ClickHouse HTTP interface until ctx ends. It is the body of
// the child process (`qihuang engine`): only one may run in a process, and
// nothing of the hub should.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Secret == "" {
		cfg.Secret = os.Getenv(secretVariable)
	}
	signal.Ignore(syscall.SIGPIPE) // a result pipe whose reader has gone
	if err := os.MkdirAll(cfg.temp(), 0o700); err != nil {
		return err
	}
	unlock, err := claim(ctx, cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	begun := time.Now()
	e, err := start(cfg)
	if err != nil {
		return err
	}
	defer e.close()
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fault.New(fault.Unavailable, "engine: listen on %s: %w", cfg.Listen, err)
	}
	log.Info("engine ready", "addr", ln.Addr().String(), "version", e.version, "took", time.Since(begun).Round(time.Millisecond))
	return serve(ctx, newServer(cfg, e, log), ln)
}

// serve answers until ctx ends, then lets running requests finish for a while.
func serve(ctx context.Context, s *server, ln net.Listener) error {
	hs := &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 10 * time.Minute, MaxHeaderBytes: 2 << 20,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := hs.Shutdown(grace); err != nil {
		_ = hs.Close() // cancels what still runs
	}
	<-failed
	s.sessions.close()
	return nil
}

// ExitWithParent cancels when in ends: the hub holds the other end, so it ends
// with the hub however that dies. It kills the process if it does not end by
// itself soon after.
func ExitWithParent(in io.Reader, cancel context.CancelFunc) {
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
		time.Sleep(5 * time.Second)
		os.Exit(3)
	}()
}

// claim takes the data folder for this process. An engine left over from a hub
// that was killed is given a moment to end, then ended: it must not block the
// restart.
func claim(ctx context.Context, dir string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(dir, "engine.pid"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || try > 100 || ctx.Err() != nil {
			return nil, errors.Join(fault.New(fault.Conflict, "the data folder %s is in use: %w", dir, err), f.Close())
		}
		if try == 20 {
			endStale(f)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid()))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// endStale kills the process named in the lock file if it is an engine whose
// hub has gone: its parent is another program.
func endStale(f *os.File) {
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil || pid <= 1 {
		return
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(line), "engine") || program(parent(pid)) == program(pid) {
		return
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// parent returns the parent's pid, 0 if it cannot be told.
func parent(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	var state string
	var ppid int
	if _, err := fmt.Sscan(rest, &state, &ppid); err != nil {
		return 0
	}
	return ppid
}

// program returns the path of a process's executable, "" if it cannot be told.
func program(pid int) string {
	name, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return name
}
