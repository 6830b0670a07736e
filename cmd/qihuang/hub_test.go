package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fetch"
)

// binary builds the program once for all black-box tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "qihuang-test-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "qihuang")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

// program is a started binary with all ports shifted.
type program struct {
	t        *testing.T
	dir      string
	offset   int
	cmd      *exec.Cmd
	log      *os.File
	started  time.Duration // until ready
	waitDone chan struct{}
}

func (h *program) port(p int) int { return p + h.offset }
func (h *program) url(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", h.port(8080), path)
}

// startHub starts the program on an own data folder; extra are more arguments.
func startHub(t *testing.T, extra ...string) *program {
	t.Helper()
	if testing.Short() {
		t.Skip("black-box test")
	}
	h := &program{t: t, dir: t.TempDir(), offset: freeOffset(t)}
	h.start(extra...)
	t.Cleanup(h.stop)
	return h
}

// freeOffset finds a shift at which every port of the hub is free.
func freeOffset(t *testing.T) int {
	for off := 11000 + os.Getpid()%200*100; off < 50000; off += 100 {
		if allFree(off) {
			return off
		}
	}
	t.Fatal("no free ports")
	return 0
}

func allFree(off int) bool {
	for _, p := range []int{8080, 2575, 8123, 9092, 9000} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p+off))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

func (h *program) start(extra ...string) {
	h.t.Helper()
	bin, err := binary()
	if err != nil {
		h.t.Fatal(err)
	}
	h.log, err = os.OpenFile(filepath.Join(h.dir, "hub.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		h.t.Fatal(err)
	}
	h.cmd = exec.Command(bin, append([]string{"serve", "--data", filepath.Join(h.dir, "data"), "--port-offset", fmt.Sprint(h.offset)}, extra...)...)
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	begin := time.Now()
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.waitDone = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) { _ = cmd.Wait(); close(done) }(h.cmd, h.waitDone)
	h.eventually(90*time.Second, "ready", func() bool {
		select {
		case <-h.waitDone:
			h.fatalLog("the program ended during start")
		default:
		}
		res, err := http.Get(h.url("/readyz"))
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	h.started = time.Since(begin)
}

// kill ends the program as kill -9 does.
func (h *program) kill() {
	_ = h.cmd.Process.Signal(syscall.SIGKILL)
	<-h.waitDone
}

// secrets fails the test if one of the words stands in the hub's log: health
// data never does.
func (h *program) secrets(words ...string) {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, "hub.log"))
	if err != nil || len(b) == 0 {
		h.t.Fatalf("no log to look at: %v", err)
	}
	for _, w := range words {
		if bytes.Contains(b, []byte(w)) {
			h.t.Errorf("health data in the log: %q", w)
		}
	}
}

// stop asks the program to end and checks that it does within 10 s.
func (h *program) stop() {
	select {
	case <-h.waitDone:
		return
	default:
	}
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-h.waitDone:
	case <-time.After(15 * time.Second):
		_ = h.cmd.Process.Kill()
		<-h.waitDone
		h.t.Errorf("the program did not end within 15 s of SIGTERM")
	}
	h.log.Close()
}

func (h *program) fatalLog(msg string) {
	h.t.Helper()
	b, _ := os.ReadFile(filepath.Join(h.dir, "hub.log"))
	if len(b) > 6000 {
		b = b[len(b)-6000:]
	}
	h.t.Fatalf("%s\n%s", msg, b)
}

// eventually polls until ok or fails the test.
func (h *program) eventually(limit time.Duration, what string, ok func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			h.fatalLog("not within " + limit.String() + ": " + what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// sql runs a query on the ClickHouse port and returns its TSV text trimmed.
func (h *program) sql(query string) string {
	h.t.Helper()
	res, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/?default_format=TSV", h.port(8123)), "text/plain", strings.NewReader(query))
	if err != nil {
		return "error: " + err.Error()
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		return "error: " + strings.TrimSpace(string(b))
	}
	return strings.TrimSpace(string(b))
}

// request does one HTTP call and returns status and body.
func (h *program) request(method, path, contentType string, body []byte) (int, []byte) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, h.url(path), bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, b
}

// needEngine skips where the ClickHouse library has not been set up.
func needEngine(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the embedded ClickHouse engine is for linux/amd64")
	}
	if _, ok := fetch.LibraryPath(""); !ok {
		t.Skip("the ClickHouse engine library is absent: run `make setup`")
	}
}
