package mllp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Parts is what a listener needs of the hub.
type Parts struct {
	Inbound pipeline.Inbound
	Letters pipeline.DeadLetters
	IDs     *pipeline.IDs
	Clock   clock.Clock
	Log     *slog.Logger
}

// Listener receives messages on one address.
type Listener struct {
	cfg   Config
	parts Parts
	ln    net.Listener

	closing atomic.Bool
	mu      sync.Mutex
	conns   map[net.Conn]bool // true while a message is being handled
}

// Listen opens the address; Run serves it. cfg must be valid.
func Listen(cfg Config, parts Parts) (*Listener, error) {
	ln, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	if cfg.TLS != nil {
		ln = tls.NewListener(ln, cfg.TLS)
	}
	return &Listener{cfg: cfg, parts: parts, ln: ln, conns: map[net.Conn]bool{}}, nil
}

// Addr is the address listened on.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Run accepts connections until ctx ends, then lets messages that are being
// handled finish, and returns nil.
func (l *Listener) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, l.closeIdle)
	defer stop()
	defer l.closeIdle()
	pause := 5 * time.Millisecond
	for {
		conn, err := l.ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			l.parts.Log.Warn("mllp accept", "err", err)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		if !l.add(conn) {
			l.parts.Log.Warn("mllp connection refused", "remote", conn.RemoteAddr().String(), "limit", l.cfg.MaxConns)
			_ = conn.Close()
			continue
		}
		wg.Go(func() {
			defer l.remove(conn)
			s := &session{l: l, conn: conn}
			s.run(ctx)
		})
	}
}

func (l *Listener) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.cfg.MaxConns {
		return false
	}
	l.conns[c] = false
	return true
}

func (l *Listener) remove(c net.Conn) {
	_ = c.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// busy marks a connection whose message must be finished before closing.
func (l *Listener) busy(c net.Conn, busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.conns[c]; ok {
		l.conns[c] = busy
	}
}

// closeIdle stops accepting and closes the connections that wait.
func (l *Listener) closeIdle() {
	l.closing.Store(true)
	_ = l.ln.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, busy := range l.conns {
		if !busy {
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}
	}
}
