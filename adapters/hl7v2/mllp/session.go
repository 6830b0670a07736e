package mllp

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// session serves one connection: one message after the other, as MLLP wants.
type session struct {
	l      *Listener
	conn   net.Conn
	inside bool // a message has begun
}

// Read waits for more bytes: long between messages, shortly inside one.
func (s *session) Read(p []byte) (int, error) {
	patience := s.l.cfg.Idle
	if s.inside {
		patience = s.l.cfg.Stall
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	if s.l.closing.Load() { // closeIdle may have set its deadline before ours
		return 0, net.ErrClosed
	}
	return s.conn.Read(p)
}

func (s *session) run(ctx context.Context) {
	if err := greet(ctx, s.conn, s.l.cfg.Stall); err != nil {
		s.l.parts.Log.Warn("mllp tls handshake refused", "remote", s.conn.RemoteAddr().String(), "error", err)
		return
	}
	f := &frames{r: bufio.NewReaderSize(s, 64<<10), max: s.l.cfg.MaxMessage, kept: s.l.cfg.KeptBytes}
	for ctx.Err() == nil {
		noise, err := f.begun()
		if errors.Is(err, errNoise) {
			s.refuse(ctx, s.message(noise), fault.New(fault.Invalid, "帧外的数据").With(issue("帧外的数据：缺少 VT（0x0B）", "每条消息以 0x0B 开头，以 0x1C 0x0D 结尾")))
			continue
		}
		if err != nil {
			return
		}
		s.inside = true
		body, err := f.message()
		s.inside = false
		s.l.busy(s.conn, true)
		ok := s.frame(context.WithoutCancel(ctx), body, err)
		s.l.busy(s.conn, false)
		if !ok {
			return
		}
	}
}

func issue(text, hint string) fault.Issue {
	return fault.Issue{Severity: "fatal", Code: "structure", Key: "mllp", Text: text, Hint: hint}
}

// frame handles one frame; false ends the connection.
func (s *session) frame(ctx context.Context, body []byte, err error) bool {
	m := s.message(body)
	switch {
	case errors.Is(err, errOversize):
		s.answer(nil, "", s.refuse(ctx, m, fault.New(fault.TooCostly, "消息超过上限").With(
			issue("消息超过 "+strconv.Itoa(s.l.cfg.MaxMessage>>20)+" MB", "请拆分后发送"))))
		return false
	case errors.Is(err, errPartial):
		s.refuse(ctx, m, fault.New(fault.Invalid, "消息没有发完").With(issue("消息没有发完：连接中断或停顿过久", "请重发整条消息")))
		return true // a new frame may have begun; else the next read ends it
	case err != nil:
		return false
	}
	msg, set, err := hl7v2.Decode(body)
	if err == nil {
		m.Charset = set
		err = s.identify(m, msg)
	}
	if err != nil {
		return s.answer(msg, set, s.refuse(ctx, m, err))
	}
	return s.accept(ctx, m, msg, set)
}

// accept appends the message and acknowledges it. A sender that wants no answer
// cannot send again, so we try for it.
func (s *session) accept(ctx context.Context, m *pipeline.Message, msg *hl7v2.Message, set string) bool {
	silent, until, wait := !msg.Mode().Wants(false), time.Now().Add(s.l.cfg.Retry), 50*time.Millisecond
	for {
		_, err := s.l.parts.Inbound.Append(ctx, m)
		if err == nil || !silent {
			return s.answer(msg, set, err)
		}
		if time.Now().After(until) {
			s.l.parts.Log.Error("mllp message lost its place", "message", m.ID, "err", err)
			return s.refuse(ctx, m, err) == nil
		}
		time.Sleep(wait)
		wait = min(2*wait, time.Second)
	}
}

func (s *session) message(body []byte) *pipeline.Message {
	sum := sha256.Sum256(body)
	return &pipeline.Message{ID: s.l.parts.IDs.Next(), Source: s.l.cfg.Source, Kind: Kind, Key: s.l.cfg.Source,
		DedupKey: hex.EncodeToString(sum[:]), ContentType: "x-application/hl7-v2+er7", Received: s.l.parts.Clock.Now(),
		Headers: map[string]string{"remote": s.conn.RemoteAddr().String()}, Body: body}
}

// identify checks what every message needs and makes the key that keeps one
// patient's messages in order: facility and first patient identifier.
func (s *session) identify(m *pipeline.Message, msg *hl7v2.Message) error {
	code, event, _ := msg.Type()
	if code == "" {
		return required("MSH-9", "消息类型")
	}
	if msg.Get("MSH-10") == "" {
		return required("MSH-10", "消息控制编号")
	}
	if ahead(msg.Get("MSH-7"), m.Received) {
		return fault.New(fault.Invalid, "MSH-7 在将来").With(fault.Issue{Severity: "error", Code: "value", Key: "clock",
			Text: "消息时间 MSH-7 比本平台晚一天以上，对方系统的时钟可能不对", Expression: "MSH-7", Hint: "请校准发送方时钟后重发"})
	}
	m.Headers["type"] = code + "^" + event
	m.Headers["control"] = msg.Get("MSH-10")
	patient := msg.Get("PID-3")
	if patient == "" {
		patient = msg.Get("PID-2")
	}
	m.Key += "|" + msg.Get("MSH-4") + "|" + patient
	return nil
}

// ahead reports a message time more than a day after now: a sender whose clock is
// wrong would put its data before everybody else's. Old times are no fault.
func ahead(stamp string, now time.Time) bool {
	if len(stamp) < 8 {
		return false
	}
	t, err := time.Parse("20060102", stamp[:8])
	return err == nil && t.After(now.Add(48*time.Hour)) // whatever the zone
}

func required(path, what string) error {
	return fault.New(fault.Invalid, "缺少 %s", path).With(fault.Issue{Severity: "error", Code: "required", Key: "missing-key",
		Text: "缺少 " + path + "（" + what + "）", Expression: path, Hint: "请补全后重发"})
}

// refuse keeps the message among the dead letters and returns the fault to
// answer with.
func (s *session) refuse(ctx context.Context, m *pipeline.Message, err error) error {
	d := &pipeline.DeadLetter{ID: m.ID, Message: m, Time: m.Received, Reason: err.Error(), Attempts: 1}
	if is := fault.IssuesOf(err); len(is) > 0 {
		d.Reason, d.Location = is[0].Text, is[0].Expression
		if d.Location == "" && is[0].Line > 0 {
			d.Location = "段 " + strconv.Itoa(is[0].Line)
		}
	}
	if perr := s.l.parts.Letters.Put(ctx, d); perr != nil {
		s.l.parts.Log.Error("dead letter not kept", "message", m.ID, "kind", m.Kind, "err", perr)
		return fault.New(fault.Unavailable, "消息有误，且暂时无法留存，请稍后重发")
	}
	s.l.parts.Log.Warn("message refused", "message", m.ID, "kind", m.Kind, "fault", fault.KindOf(err).String())
	return err
}

// answer sends the acknowledgement that the sender asked for; false if the
// connection is gone.
func (s *session) answer(msg *hl7v2.Message, set string, err error) bool {
	var mode hl7v2.Mode
	if msg != nil {
		mode = msg.Mode()
	}
	if !mode.Wants(err == nil) {
		return true
	}
	ack := hl7v2.Ack(msg, mode.Code(err), err, s.l.parts.IDs.Next(), set, s.l.parts.Clock.Now())
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.l.cfg.Stall))
	_, werr := s.conn.Write(wrap(charset.Encode(ack, set)))
	return werr == nil
}
