package mllp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// queue records what arrives; fail answers Append.
type queue struct {
	mu       sync.Mutex
	messages []*pipeline.Message
	letters  []*pipeline.DeadLetter
	fail     func() error
	kept     chan struct{} // told of every letter
}

func (q *queue) Append(_ context.Context, m *pipeline.Message) (pipeline.Position, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		if err := q.fail(); err != nil {
			return pipeline.Position{}, err
		}
	}
	q.messages = append(q.messages, m)
	return pipeline.Position{}, nil
}

func (q *queue) Put(_ context.Context, d *pipeline.DeadLetter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.letters = append(q.letters, d)
	q.kept <- struct{}{}
	return nil
}

func (q *queue) List(context.Context, int) ([]*pipeline.DeadLetter, int, error) { return nil, 0, nil }
func (q *queue) Get(context.Context, string) (*pipeline.DeadLetter, error)      { return nil, nil }
func (q *queue) Resolve(context.Context, string) error                          { return nil }

func (q *queue) counts() (messages, letters int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages), len(q.letters)
}

// patience is what a busy machine may need; tests of a limit set their own.
const patience = 20 * time.Second

func start(t testing.TB, edit func(*Config)) (*queue, string, context.CancelFunc) {
	t.Helper()
	q, cfg := &queue{kept: make(chan struct{}, 16)}, Default()
	cfg.Addr, cfg.Stall, cfg.Retry = "127.0.0.1:0", patience, patience
	if edit != nil {
		edit(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(cfg, Parts{Inbound: q, Letters: q, IDs: pipeline.NewIDs(clock.System{}), Clock: clock.System{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the listener did not end")
		}
	})
	return q, l.Addr().String(), stop
}

// partner is the other side of a connection.
type partner struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *partner {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &partner{t, c, bufio.NewReader(c)}
}

func (p *partner) send(raw []byte) {
	p.t.Helper()
	if _, err := p.Write(raw); err != nil {
		p.t.Fatal(err)
	}
}

// ack reads one answer; nil if none comes.
func (p *partner) ack() *hl7v2.Message {
	p.t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(patience))
	raw, err := p.r.ReadBytes(fs)
	if err != nil {
		return nil
	}
	m, _, err := hl7v2.Decode(bytes.Trim(raw, "\x0b\x1c\r"))
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func adt(id, modes string) []byte {
	return []byte("MSH|^~\\&|HIS|379901000001|HUB|TCM|20261012083105||ADT^A04^ADT_A01|" + id + "|P|2.5.1|||" + modes + "\rPID|1||100001^^^X^PI||张^三\r")
}

func TestCommitAcknowledgement_ok(t *testing.T) {
	for modes, want := range map[string]string{"": "AA", "AL|NE": "CA", "SU|NE": "CA", "AL|AL": "CA"} {
		q, addr, _ := start(t, nil)
		p := dial(t, addr)
		p.send(wrap(adt("1", modes)))
		if a := p.ack(); a == nil || a.Get("MSA-1") != want || a.Get("MSA-2") != "1" || a.Get("MSH-5") != "HIS" {
			t.Errorf("%s: %+v", modes, a)
		}
		if m := q.messages[0]; m.Key != "mllp|379901000001|100001" || m.Kind != Kind || !bytes.Equal(m.Body, adt("1", modes)) {
			t.Errorf("%s: %+v", modes, m)
		}
	}
}

func TestNoAnswerIfNoneIsWanted(t *testing.T) {
	q, addr, _ := start(t, nil)
	p := dial(t, addr)
	p.send(append(wrap(adt("1", "NE|NE")), wrap(adt("2", ""))...))
	if a := p.ack(); a == nil || a.Get("MSA-2") != "2" {
		t.Errorf("%+v", a)
	}
	if n, _ := q.counts(); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestManyFramesInAnyPieces(t *testing.T) {
	q, addr, _ := start(t, nil)
	p := dial(t, addr)
	var all []byte
	for i := range 30 {
		all = append(all, wrap(adt(fmt.Sprint(i), ""))...)
	}
	go func() {
		for len(all) > 0 {
			n := min(7, len(all))
			_, _ = p.Write(all[:n])
			all = all[n:]
		}
	}()
	for i := range 30 {
		if a := p.ack(); a == nil || a.Get("MSA-2") != fmt.Sprint(i) {
			t.Fatalf("answer %d: %+v", i, a)
		}
	}
	if n, _ := q.counts(); n != 30 {
		t.Errorf("%d messages", n)
	}
}

func TestAnswersInTheSendersCharset(t *testing.T) {
	_, addr, _ := start(t, nil)
	p := dial(t, addr)
	raw, _ := simplifiedchinese.GBK.NewEncoder().Bytes([]byte("MSH|^~\\&|H|F|||||ADT^A04||P|2.5.1||||||GBK\rPID|1||1||张^三\r"))
	p.send(wrap(raw))
	if a := p.ack(); a == nil || a.Get("MSA-1") != "AR" || !strings.Contains(a.Get("MSA-3"), "消息控制编号") || a.Get("MSH-18") != "GB 18030-2000" {
		t.Errorf("%+v", a)
	}
}

func TestBrokenFrames_bad(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		code string // of the answer, "" = none
	}{
		"not hl7":     {"\x0bhello\x1c\r", "AR"},
		"empty":       {"\x0b\x1c\r", "AR"},
		"no type":     {"\x0bMSH|^~\\&|a|b|||||||P|2.5\x1c\r", "AR"},
		"bad charset": {"\x0bMSH|^~\\&|a\xff\xff\x80\x1c\r", "AR"},
		"oversize":    {"\x0bMSH|^~\\&|" + strings.Repeat("x", 5000) + "\x1c\r", "AR"},
		"noise":       {"GET / HTTP/1.1\r\n\r\n\x1c", ""},
		"stalled":     {"\x0bMSH|^~\\&|half", ""},
	} {
		q, addr, _ := start(t, func(c *Config) {
			c.MaxMessage, c.KeptBytes = 4096, 1000
			if name == "stalled" {
				c.Stall = 100 * time.Millisecond
			}
		})
		p := dial(t, addr)
		p.send([]byte(c.raw))
		if c.code != "" {
			if a := p.ack(); a == nil || a.Get("MSA-1") != c.code {
				t.Errorf("%s: %+v", name, a)
			}
		}
		select {
		case <-q.kept:
		case <-time.After(patience):
		}
		if m, n := q.counts(); m != 0 || n != 1 || q.letters[0].Reason == "" {
			t.Errorf("%s: %d messages, %d letters", name, m, n)
		}
	}
}

func TestAfterABrokenFrameTheNextIsTaken(t *testing.T) {
	q, addr, _ := start(t, nil)
	p := dial(t, addr)
	p.send(append([]byte("junk\x0bMSH|^~\\&|cut off"), wrap(adt("9", ""))...))
	if a := p.ack(); a == nil || a.Get("MSA-2") != "9" {
		t.Errorf("%+v", a)
	}
	if m, n := q.counts(); m != 1 || n != 2 {
		t.Errorf("%d messages, %d letters", m, n)
	}
}

func TestAQueueThatIsAwayIsAnError(t *testing.T) {
	q, addr, _ := start(t, nil)
	q.fail = func() error { return fault.New(fault.Unavailable, "日志不可用") }
	p := dial(t, addr)
	p.send(wrap(adt("1", "")))
	if a := p.ack(); a == nil || a.Get("MSA-1") != "AE" {
		t.Errorf("%+v", a)
	}
	tries := 0
	q.mu.Lock()
	q.fail = func() error {
		if tries++; tries < 3 {
			return fault.New(fault.Busy, "忙")
		}
		return nil
	}
	q.mu.Unlock()
	p.send(append(wrap(adt("2", "NE|NE")), wrap(adt("3", ""))...)) // no answer wanted: we try for the sender
	if a := p.ack(); a == nil || a.Get("MSA-2") != "3" {
		t.Errorf("%+v", a)
	}
	if n, _ := q.counts(); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestEndsWithItsContextThoughPartnersWait(t *testing.T) {
	_, addr, stop := start(t, func(c *Config) { c.Stall = time.Minute })
	dial(t, addr)
	dial(t, addr).send([]byte("\x0bMSH|half a message"))
	p := dial(t, addr)
	p.send(wrap(adt("1", "")))
	p.ack()
	stop() // the clean-up waits for Run
}

func TestTooManyConnectionsAreClosed(t *testing.T) {
	_, addr, _ := start(t, func(c *Config) { c.MaxConns = 1 })
	a := dial(t, addr)
	a.send(wrap(adt("1", "")))
	if a.ack() == nil {
		t.Fatal("the first is served")
	}
	b := dial(t, addr)
	_ = b.SetReadDeadline(time.Now().Add(patience))
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("the second must be closed")
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x0bMSH|^~\\&\x1c\r\x0bx\x0by\x1c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr := &frames{r: bufio.NewReaderSize(bytes.NewReader(b), 16), max: 64, kept: 32}
		for range len(b) + 2 {
			if noise, err := fr.begun(); err == errNoise {
				if len(noise) == 0 || len(noise) > 32 {
					t.Fatalf("%d bytes of noise", len(noise))
				}
				continue
			} else if err != nil {
				return
			}
			if m, err := fr.message(); len(m) > 64 || err == nil && bytes.ContainsAny(m, "\x0b\x1c") {
				t.Fatalf("%q %v", m, err)
			}
		}
		t.Fatal("no end")
	})
}

func BenchmarkOneConnection(b *testing.B) {
	_, addr, _ := start(b, nil)
	p := dial(b, addr)
	frame := wrap(adt("1", ""))
	for b.Loop() {
		p.send(frame)
		if p.ack() == nil {
			b.Fatal("no answer")
		}
	}
}

// TestWrongClock: a sender three years ahead is told so, and its message kept;
// one three years behind is taken.
func TestWrongClock(t *testing.T) {
	for years, code := range map[int]string{3: "AR", -3: "AA"} {
		q, addr, _ := start(t, nil)
		p := dial(t, addr)
		stamp := time.Now().AddDate(years, 0, 0).Format("20060102150405")
		p.send(wrap([]byte("MSH|^~\\&|HIS|37|HUB|TCM|" + stamp + "||ADT^A04^ADT_A01|1|P|2.5.1\rPID|1||1\r")))
		if a := p.ack(); a == nil || a.Get("MSA-1") != code {
			t.Errorf("%d years: %+v", years, a)
		}
		if m, n := q.counts(); m+n != 1 || (n == 1) != (years > 0) {
			t.Errorf("%d years: %d messages, %d letters", years, m, n)
		}
	}
}
