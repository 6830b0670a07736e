package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Intake is one source's side of the desk: what its door or poller needs.
type Intake struct {
	Name string
	desk *Desk
}

// Intake returns the side of a source.
func (d *Desk) Intake(name string) *Intake { return &Intake{name, d} }

// Message makes a message of the source. key is the patient (or what else must
// stay in order) within it; the content's hash recognises repeats.
func (in *Intake) Message(kind, key, contentType, charset string, body []byte) *pipeline.Message {
	sum := sha256.Sum256(body)
	return &pipeline.Message{ID: in.desk.parts.IDs.Next(), Source: in.Name, Kind: kind, Key: in.Name + "|" + key, DedupKey: hex.EncodeToString(sum[:]),
		ContentType: contentType, Charset: charset, Received: in.desk.parts.Clock.Now(), Headers: map[string]string{}, Body: body}
}

// Append returns when the message is durable. See Desk.Append.
func (in *Intake) Append(ctx context.Context, m *pipeline.Message) error {
	_, err := in.desk.Append(ctx, m)
	return err
}

// Insist appends as long as it takes: for sources that can wait. The error is
// of ctx, or of a message the log does not take.
func (in *Intake) Insist(ctx context.Context, m *pipeline.Message) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 15*time.Second) {
		err := in.Append(ctx, m)
		if kind := fault.KindOf(err); err == nil || kind != fault.Busy && kind != fault.Unavailable {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Refuse keeps a message that cannot be accepted among the dead letters, and
// returns the fault to answer with: cause, or fault.Unavailable if even that
// failed.
func (in *Intake) Refuse(ctx context.Context, m *pipeline.Message, cause error) error {
	d := &pipeline.DeadLetter{ID: m.ID, Message: m, Time: m.Received, Reason: fault.Sentence(cause), Location: fault.Place(cause), Attempts: 1}
	if err := in.desk.Letters().Put(context.WithoutCancel(ctx), d); err != nil {
		in.desk.parts.Log.Error("dead letter not kept", "message", m.ID, "kind", m.Kind, "error", err)
		return fault.New(fault.Unavailable, "消息有误，且暂时无法留存，请稍后重发")
	}
	in.desk.parts.Log.Warn("message refused", "message", m.ID, "source", m.Source, "kind", m.Kind, "fault", fault.KindOf(cause).String())
	return cause
}

// Sent counts n resources that the partner has taken: of a source that sends.
func (in *Intake) Sent(n int) { in.desk.sent(in.Name, n) }

// Backlog tells how many wait to be sent.
func (in *Intake) Backlog(n int64) { in.desk.backlog(in.Name, n) }

// Held reports whether the source rests: a poller then does not poll.
func (in *Intake) Held() bool { return in.desk.Held(in.Name) }

// Trouble raises an alert of the source; Fine closes it.
func (in *Intake) Trouble(kind, text string) { in.desk.Trouble(in.Name, kind, text) }

// Fine tells that the source did its round without trouble of that kind.
func (in *Intake) Fine(kind string) { in.desk.Fine(in.Name, kind) }

// Now is the hub's time, Log its log.
func (in *Intake) Now() time.Time { return in.desk.parts.Clock.Now() }

// Log is the hub's log.
func (in *Intake) Log() *slog.Logger { return in.desk.parts.Log.With("source", in.Name) }

// Every calls round at once and then with pauses of interval until ctx ends,
// but not while the source is held.
func (in *Intake) Every(ctx context.Context, interval time.Duration, round func(ctx context.Context)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if !in.Held() {
			round(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
