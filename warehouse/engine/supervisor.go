package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Supervisor keeps the engine's child process running.
type Supervisor struct {
	command []string // program and first arguments of the child: {"bin/qihuang", "engine"}
	cfg     Config
	log     *slog.Logger
	client  *http.Client

	mu       sync.Mutex
	pid      int
	restarts int
}

// NewSupervisor makes a supervisor for a child started as command plus
// [Config.Args].
func NewSupervisor(command []string, cfg Config, log *slog.Logger) *Supervisor {
	return &Supervisor{command: command, cfg: cfg, log: log, client: &http.Client{Timeout: 5 * time.Second}}
}

// Args are the child's flags, in the form `qihuang engine` reads them.
func (c Config) Args() []string {
	return []string{"--data", c.Data, "--listen", c.Listen, "--lib", c.Library, "--memory-limit", strconv.FormatInt(c.Memory, 10)}
}

// secretVariable hands the secret to the child, where no process list shows it.
const secretVariable = "QIHUANG_ENGINE_SECRET"

// URL is the address of the HTTP interface.
func (s *Supervisor) URL() string { return "http://" + s.cfg.Listen }

// PID returns the child's process id, 0 while there is none.
func (s *Supervisor) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// Restarts counts the starts after the first.
func (s *Supervisor) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// Backoff between restarts, and how long a child must have lived for its end
// to count as a first failure again.
const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 10 * time.Second
	livedLong    = time.Minute
)

// Run starts the child, and again whenever it ends, until ctx ends; then it
// ends the child and returns nil. A configuration that cannot work is an error.
func (s *Supervisor) Run(ctx context.Context) error {
	if err := s.cfg.Validate(); err != nil {
		return err
	}
	for wait := firstBackoff; ; {
		begun := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begun) > livedLong {
			wait = firstBackoff
		}
		s.log.Error("engine ended; starting again", "err", err, "wait", wait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, lastBackoff)
		s.mu.Lock()
		s.restarts++
		s.mu.Unlock()
	}
}

// once runs the child from start to end. The thread stays locked since
// Pdeathsig follows the thread that started the child.
func (s *Supervisor) once(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		ended <- s.child(ctx)
	}()
	return <-ended
}

func (s *Supervisor) child(ctx context.Context) error {
	cmd := exec.Command(s.command[0], append(s.command[1:len(s.command):len(s.command)], s.cfg.Args()...)...)
	cmd.Env = append(os.Environ(), "TZ="+s.cfg.Zone, secretVariable+"="+s.cfg.Secret) // the library reads TZ when it is loaded
	cmd.Stderr, cmd.Stdout = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	life, err := cmd.StdinPipe() // the child ends when this closes
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fault.New(fault.Unavailable, "start the engine: %w", err)
	}
	s.mu.Lock()
	s.pid = cmd.Process.Pid
	s.mu.Unlock()
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { s.guard(ctx, stop, cmd.Process, life) })
	err = cmd.Wait()
	close(stop)
	watch.Wait()
	s.mu.Lock()
	s.pid = 0
	s.mu.Unlock()
	return err
}

// guard ends the child with ctx, and when it no longer answers.
func (s *Supervisor) guard(ctx context.Context, stop <-chan struct{}, p *os.Process, life io.Closer) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for missed := 0; ; {
		select {
		case <-stop:
			return
		case <-tick.C:
			if missed++; s.ping(ctx) == nil {
				missed = 0
			}
			if missed >= 6 {
				s.log.Error("engine does not answer; ending it")
				_ = p.Kill()
			}
		case <-ctx.Done():
			_ = life.Close()
			select {
			case <-stop:
			case <-time.After(7 * time.Second):
				_ = p.Kill()
			}
			return
		}
	}
}

func (s *Supervisor) ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/ping", nil)
	if err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return errors.Join(err, res.Body.Close())
}

// Ready waits until the engine answers or ctx ends (fault.Unavailable).
func (s *Supervisor) Ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ping(ctx)
		if err == nil && s.PID() != 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "the engine is not ready: %w", errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}
