package files

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/qihuang-health/qihuang/adapters/table"
	"github.com/qihuang-health/qihuang/internal/blob"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// peer is a real place with somebody who puts files there, and the line by which
// the hub reaches it (nil = it is a folder of the machine).
type peer struct {
	open   func(p Parts) *Source
	create func(t *testing.T, name string, size int) io.WriteCloser // an upload that the test feeds
	read   func(name string) ([]byte, error)                        // below the folder
	line   *line
	stall  time.Duration // that the next source allows; 0 = patience
}

// peers are the transports; all must behave alike.
var peers = map[string]func(t *testing.T) *peer{"folder": folderPeer, "sftp": sftpPeer, "s3": s3Peer}

// patience is what a busy machine may need.
const patience = 20 * time.Second

func quick(c Config, folder string) Config {
	c.Folder, c.Stall, c.Batch, c.Key = folder, patience, 20, []string{"BRID"}
	return c
}

func folderPeer(t *testing.T) *peer {
	dir := t.TempDir()
	return &peer{
		open: func(p Parts) *Source { return New(quick(Default(), dir), p) },
		create: func(t *testing.T, name string, _ int) io.WriteCloser {
			return must(os.Create(filepath.Join(dir, name)))(t)
		},
		read: func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) },
	}
}

func sftpPeer(t *testing.T) *peer {
	dir, server := t.TempDir(), startSFTP(t, newHostKey(t))
	l := newLine(t, server.addr)
	cfg := DefaultSFTP()
	cfg.Config, cfg.Address, cfg.User, cfg.Password, cfg.HostKey = quick(cfg.Config, dir), l.addr, "hub", sftpPassword, server.print
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	direct := cfg
	direct.Address = server.addr
	partner := must(dialSFTP(t.Context(), direct))(t)
	t.Cleanup(func() { _ = partner.close() })
	peer := &peer{line: l,
		create: func(t *testing.T, name string, _ int) io.WriteCloser {
			return must(partner.client.Create(path.Join(dir, name)))(t)
		},
		read: func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, name)) },
	}
	peer.open = func(p Parts) *Source {
		cfg.Stall = cmp.Or(peer.stall, patience)
		return NewSFTP(cfg, p)
	}
	return peer
}

func s3Peer(t *testing.T) *peer {
	own := blob.Default(t.TempDir())
	own.Listen, own.Bucket = "127.0.0.1:0", "upload"
	store := must(blob.Open(t.Context(), own, clock.System{}, slog.New(slog.DiscardHandler)))(t)
	t.Cleanup(func() { _ = store.Close() })
	l := newLine(t, store.Endpoint)
	cfg := DefaultS3()
	cfg.Config, cfg.Endpoint, cfg.Bucket, cfg.Secure = quick(cfg.Config, "2026"), l.addr, "upload", false
	var keys struct{ AccessKey, SecretKey string }
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(own.Data, "keys.json")))(t), &keys); err != nil {
		t.Fatal(err)
	}
	cfg.AccessKey, cfg.SecretKey = keys.AccessKey, keys.SecretKey
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	peer := &peer{line: l,
		create: func(t *testing.T, name string, size int) io.WriteCloser {
			r, w := io.Pipe()
			u := &upload{PipeWriter: w, done: make(chan error, 1)}
			go func() {
				_, err := store.Client.PutObject(t.Context(), "upload", "2026/"+name, r, int64(size), minio.PutObjectOptions{})
				u.done <- errors.Join(err, r.CloseWithError(err))
			}()
			return u
		},
		read: func(name string) ([]byte, error) {
			o, err := store.Client.GetObject(t.Context(), "upload", "2026/"+name, minio.GetObjectOptions{})
			if err != nil {
				return nil, err
			}
			defer o.Close()
			return io.ReadAll(o)
		},
	}
	peer.open = func(p Parts) *Source {
		cfg.Stall = cmp.Or(peer.stall, patience)
		return NewS3(cfg, p)
	}
	return peer
}

// upload is a PUT whose body the test feeds.
type upload struct {
	*io.PipeWriter
	done chan error
}

// Close waits for the server's answer.
func (u *upload) Close() error { return errors.Join(u.PipeWriter.Close(), <-u.done) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (p *peer) put(t *testing.T, name, text string) {
	t.Helper()
	w := p.create(t, name, len(text))
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

func (p *peer) has(name string) bool {
	_, err := p.read(name)
	return err == nil
}

// takenRows counts how often every BRID reaches the map: what the log holds twice is
// recognised there by its dedup key.
func takenRows(t *testing.T, l *log) map[string]int {
	t.Helper()
	got, seen := map[string]int{}, map[string]bool{}
	for _, m := range l.messages {
		if seen[m.DedupKey] {
			continue
		}
		seen[m.DedupKey] = true
		b := must(table.ReadBatch(m.Body))(t)
		for i := range b.Rows {
			got[b.Row(i).Get("BRID")]++
		}
	}
	return got
}

func TestPeers(t *testing.T) {
	for name, start := range peers {
		t.Run(name, func(t *testing.T) {
			t.Run("partial upload", func(t *testing.T) { partialUpload(t, start(t)) })
			t.Run("row errors", func(t *testing.T) { rowErrors(t, start(t)) })
			t.Run("restart", func(t *testing.T) { restarts(t, start(t)) })
			if name != "folder" {
				t.Run("broken line", func(t *testing.T) { brokenLine(t, start(t)) })
				t.Run("hanging server", func(t *testing.T) { hangingServer(t, start(t)) })
			}
		})
	}
}

// partialUpload: a file is not read before its upload has come to rest, then once.
func partialUpload(t *testing.T, p *peer) {
	own, l, _ := parts(t, nil)
	s, text := p.open(own), "BRID,BRXM\n1,张三\n2,李四\n3,王五\n"
	w := p.create(t, "MS_BRDA.csv", len(text))
	for i := range len(text) / 10 {
		if _, err := io.WriteString(w, text[i*10:(i+1)*10]); err != nil {
			t.Fatal(err)
		}
		if err := s.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(l.messages) != 0 {
			t.Fatalf("taken after %d bytes", (i+1)*10)
		}
	}
	_, err := io.WriteString(w, text[len(text)/10*10:])
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	rounds(t, s)
	if got := takenRows(t, l); len(got) != 3 || got["1"] != 1 || got["3"] != 1 {
		t.Errorf("rows %v", got)
	}
	if kept, err := p.read("done/MS_BRDA.csv"); err != nil || string(kept) != text || p.has("MS_BRDA.csv") {
		t.Errorf("%q in done/, %v", kept, err)
	}
	p.put(t, "MS_BRDA.csv", text) // sent again: kept beside the first
	rounds(t, s)
	if !p.has("done/MS_BRDA-2.csv") || takenRows(t, l)["1"] != 1 {
		t.Error("a repeat must lie beside the first, without effect")
	}
}

// rowErrors: the report names row and column, good rows are taken.
func rowErrors(t *testing.T, p *peer) {
	own, l, desk := parts(t, func(_ context.Context, m *pipeline.Message) error {
		b, err := table.ReadBatch(m.Body)
		if err != nil {
			return err
		}
		for i := range b.Rows {
			if b.Row(i).Get("JE") == "x" {
				return fault.New(fault.Invalid, "bad row").With(fault.Issue{Text: "金额应为数字", Expression: fmt.Sprintf("rows[%d].JE", i)})
			}
		}
		return nil
	})
	s := p.open(own)
	p.put(t, "MS_SFMX.csv", "BRID,JE\n1,1.5\n2,x\n3,3\n4,x\n")
	p.put(t, "scan.bin", "\x00\x01\x02")
	rounds(t, s)
	var r struct {
		File   string
		Errors []rowError
	}
	if err := json.Unmarshal(must(p.read("failed/MS_SFMX.csv.errors.json"))(t), &r); err != nil {
		t.Fatal(err)
	}
	if r.File != "MS_SFMX.csv" || len(r.Errors) != 2 || r.Errors[0] != (rowError{3, "JE", "金额应为数字"}) || r.Errors[1].Row != 5 {
		t.Errorf("%+v", r)
	}
	if got := takenRows(t, l); len(got) != 2 || got["1"] != 1 || got["3"] != 1 {
		t.Errorf("rows %v", got)
	}
	if !p.has("failed/MS_SFMX.csv") || !p.has("failed/scan.bin") || !p.has("failed/scan.bin.errors.json") || p.has("done/MS_SFMX.csv") || len(desk.Alerts()) == 0 {
		t.Error("not put away")
	}
}

// csvOf has n rows of patients that no other part has.
func csvOf(part, n int) string {
	var b strings.Builder
	b.WriteString("BRID,BRXM,BZ\n")
	for i := range n {
		fmt.Fprintf(&b, "%d-%d,患者%d,%x\n", part, i, i, i*i*7919)
	}
	return b.String()
}

// judge: every row of every part took effect once, every file is in done/.
func judge(t *testing.T, p *peer, l *log, files, n int) {
	t.Helper()
	got := takenRows(t, l)
	for part := range files {
		for i := range n {
			if id := fmt.Sprintf("%d-%d", part, i); got[id] != 1 {
				t.Fatalf("row %s taken %d times", id, got[id])
			}
		}
		if name := partName(part); !p.has("done/"+name) || p.has(name) {
			t.Errorf("%s is not in done/", name)
		}
	}
}

func partName(part int) string { return fmt.Sprintf("MS_BRDA-%d.csv", part) }

// restarts: the hub stops after any of the messages of a file.
func restarts(t *testing.T, p *peer) {
	own, l, _ := parts(t, nil)
	const files, n = 6, 300
	for part := range files {
		p.put(t, partName(part), csvOf(part, n))
		ctx, stop := context.WithCancel(t.Context())
		left := 1 + 2*part
		l.appended = func() {
			if left--; left == 0 {
				stop()
			}
		}
		s := p.open(own)
		_, err := s.round(ctx), s.round(ctx)
		stop()
		if err == nil {
			t.Errorf("part %d was not interrupted", part)
		}
		l.appended = nil
		rounds(t, p.open(own))
	}
	judge(t, p, l, files, n)
}

// brokenLine: the line breaks after ever more bytes; the next rounds do the rest.
func brokenLine(t *testing.T, p *peer) {
	own, l, _ := parts(t, nil)
	const files, n = 24, 150
	s, broken := p.open(own), 0
	for part := range files {
		p.put(t, partName(part), csvOf(part, n))
		if err := s.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.line.breakAfter(int64(200 + part*part*20))
		for try := 0; !p.has("done/" + partName(part)); try++ {
			if s.round(t.Context()) != nil {
				broken++
			}
			if try > 8 {
				t.Fatalf("part %d is not taken", part)
			}
		}
		p.line.breakAfter(-1)
	}
	if broken < files/3 {
		t.Errorf("only %d rounds were broken", broken)
	}
	judge(t, p, l, files, n)
}

// hangingServer: one that says nothing more is given up, and tried again.
func hangingServer(t *testing.T, p *peer) {
	own, l, _ := parts(t, nil)
	p.put(t, partName(0), csvOf(0, 2000))
	p.stall = 300 * time.Millisecond
	hanging := p.open(own)
	p.line.hangAfter(30_000) // beyond what it takes to list
	begin := time.Now()
	first, second := hanging.round(t.Context()), hanging.round(t.Context())
	if errors.Join(first, second) == nil || time.Since(begin) > patience {
		t.Errorf("%v, %v after %v", first, second, time.Since(begin))
	}
	p.line.hangAfter(-1)
	p.stall = 0
	rounds(t, p.open(own))
	judge(t, p, l, 1, 2000)
}

// TestAChangedHostKeyIsRefused: the password must not reach a server that is
// another than the pinned one.
func TestAChangedHostKeyIsRefused(t *testing.T) {
	for name, pin := range map[string]func(ssh.PublicKey) string{
		"fingerprint": ssh.FingerprintSHA256,
		"key": func(k ssh.PublicKey) string {
			return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) + " comment"
		},
	} {
		key := newHostKey(t)
		cfg := DefaultSFTP()
		cfg.Config, cfg.User, cfg.Password, cfg.HostKey = quick(cfg.Config, t.TempDir()), "hub", sftpPassword, pin(key.PublicKey())
		for right, key := range map[bool]ssh.Signer{true: key, false: newHostKey(t)} {
			server := startSFTP(t, key)
			cfg.Address = server.addr
			own, _, _ := parts(t, nil)
			err := NewSFTP(cfg, own).round(t.Context())
			if right && err != nil || !right && (err == nil || !strings.Contains(fault.Sentence(asFault(err)), "hostKey")) {
				t.Errorf("%s, right key %v: %v", name, right, err)
			}
			if asked := server.passwords.Load() > 0; asked != right {
				t.Errorf("%s, right key %v: password sent %v", name, right, asked)
			}
		}
	}
}

const sftpPassword = "secret"

// sftpServer serves the file system of the machine.
type sftpServer struct {
	addr, print string
	passwords   atomic.Int32 // that were shown to it
}

func newHostKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return must(ssh.NewSignerFromKey(private))(t)
}

func startSFTP(t *testing.T, key ssh.Signer) *sftpServer {
	t.Helper()
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	s := &sftpServer{addr: ln.Addr().String(), print: ssh.FingerprintSHA256(key.PublicKey())}
	cfg := &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		s.passwords.Add(1)
		if string(password) != sftpPassword {
			return nil, errors.New("wrong password")
		}
		return nil, nil
	}}
	cfg.AddHostKey(key)
	serveConns(t, ln, func(c net.Conn) { serveSFTP(c, cfg) })
	return s
}

func serveSFTP(c net.Conn, cfg *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		channel, requests, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem" && bytes.HasSuffix(r.Payload, []byte("sftp")), nil)
			}
		}()
		server, err := sftp.NewServer(channel)
		if err != nil {
			return
		}
		_ = server.Serve()
		_ = channel.Close()
	}
}

// serveConns handles connections until the test ends, and waits for them.
func serveConns(t *testing.T, ln net.Listener, handle func(net.Conn)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// line is a network that the test breaks.
type line struct {
	addr  string
	mu    sync.Mutex
	left  int64 // bytes from the server until it happens; < 0 = never
	hang  bool  // nothing comes any more; else the connection breaks, once
	stall chan struct{}
}

func newLine(t *testing.T, to string) *line {
	ln := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	l := &line{addr: ln.Addr().String(), left: -1, stall: make(chan struct{})}
	serveConns(t, ln, func(c net.Conn) {
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(server, c)
			_ = server.Close()
		}()
		_, _ = io.Copy(c, metered{server, l})
		_ = server.Close()
	})
	return l
}

func (l *line) breakAfter(n int64) { l.set(n, false) }
func (l *line) hangAfter(n int64)  { l.set(n, true) }

// set changes what will happen; connections that hang are let go.
func (l *line) set(n int64, hang bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.hang = n, hang
	close(l.stall)
	l.stall = make(chan struct{})
}

// metered is what comes from the server.
type metered struct {
	net.Conn
	line *line
}

// Read lets through what is left.
func (m metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.line.mu.Lock()
	left, hang, stall := m.line.left, m.line.hang, m.line.stall
	over := left >= 0 && int64(n) > left
	switch {
	case over && hang:
		m.line.left = 0
	case over:
		m.line.left = -1 // once
	case left >= 0:
		m.line.left -= int64(n)
	}
	m.line.mu.Unlock()
	if !over {
		return n, err
	}
	if hang {
		<-stall
	}
	return int(left), io.ErrUnexpectedEOF
}
