package inbound

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store/trace"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// verdict is what becomes of a sink's error: the one table from faults to
// retry or dead letter.
type verdict int

const (
	wait verdict = iota // a part is away: try until it is back
	some                // ours: try a few times
	park                // the message's partner is away: wait aside
	dead                // the message is wrong: a person must look
)

func judge(err error) verdict {
	var later *pipeline.Later
	if errors.As(err, &later) {
		return park
	}
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Busy:
		return wait
	case fault.Internal:
		return some
	default:
		return dead
	}
}

// handle gives a record its effect or sends it to the dead letters. An error
// means neither was possible and the record must come again.
func (q *Queue) handle(ctx context.Context, r *kafka.Record) error {
	m, err := r.Message()
	if err != nil {
		q.logger.Error("unreadable inbound record", "partition", r.Partition, "offset", r.Offset, "error", err)
		return nil
	}
	replay := r.Header(headReplay)
	if replay == "" {
		known, err := q.seen.has(m)
		if err != nil {
			return err
		}
		if known {
			q.settle(m, Repeat, "")
			return nil
		}
	}
	before, _ := strconv.Atoi(replay)
	if waiting := replay == "" && q.letters.Waiting(m.Key); waiting || q.held(m.Source) {
		if d, err := q.letters.Get(ctx, m.ID); waiting && err == nil && d.Parked() {
			return nil // read again after a crash: it is there already
		}
		return q.park(ctx, m, before, q.clock.Now(), "来源已暂停，或同一患者的前一条消息在等待")
	}
	attempts, err := q.try(trace.WithRun(ctx, r.Header(headRun)), m)
	if err != nil && judge(err) == wait || ctx.Err() != nil {
		return ctx.Err()
	}
	var later *pipeline.Later
	if errors.As(err, &later) {
		return q.park(ctx, m, before+attempts, q.clock.Now().Add(later.After), reason(err))
	}
	if err != nil {
		return q.refuse(ctx, m, before+attempts, err)
	}
	return q.finish(ctx, m, replay != "")
}

// finish remembers that m took effect. A crash in between leaves a letter of a
// message that took effect: it is replayed, changes nothing, and goes.
func (q *Queue) finish(ctx context.Context, m *pipeline.Message, replayed bool) error {
	if err := q.seen.add(m, q.clock.Now()); err != nil {
		return err
	}
	if replayed {
		if err := q.letters.Resolve(ctx, m.ID); err != nil {
			return err
		}
	}
	if mended := m.Headers[pipeline.HeadCopyOf]; mended != "" {
		if err := q.letters.Resolve(ctx, mended); err != nil {
			return err
		}
	}
	q.settle(m, Done, "")
	if replayed {
		q.Wake() // what waits behind it
	}
	return nil
}

func (q *Queue) settle(m *pipeline.Message, s State, reason string) {
	q.board.set(m, s, reason)
	for _, w := range q.watch {
		w.Settled(m, s, reason)
	}
}

func (q *Queue) sinkFor(kind string) (pipeline.Sink, error) {
	if sink := q.sink(kind); sink != nil {
		return sink, nil
	}
	return nil, fault.New(fault.Unsupported, "no sink for kind %.40q", kind).With(fault.Issue{Severity: "error",
		Code: "not-supported", Key: "unknown-kind", Text: "没有处理这类消息的映射", TextEN: "no map handles this kind of message"})
}

const longestPause = 15 * time.Second

// try calls the sink until it succeeds, refuses, or attempts are used up; it
// waits for parts that are away as long as ctx lasts.
func (q *Queue) try(ctx context.Context, m *pipeline.Message) (attempts int, err error) {
	sink, err := q.sinkFor(m.Kind)
	if err != nil {
		return 1, err
	}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, longestPause) {
		attempts++
		if err = call(ctx, sink, m); err == nil || ctx.Err() != nil {
			return attempts, err
		}
		switch judge(err) {
		case dead, park:
			return attempts, err
		case some:
			if attempts >= q.cfg.Attempts {
				return attempts, err
			}
		}
		q.logger.Warn("message not handled, trying again", "message", m.ID, "kind", m.Kind, "attempt", attempts, "fault", fault.KindOf(err).String(), "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return attempts, ctx.Err()
		}
	}
}

// call turns a sink's panic into an internal fault: one message must not stop
// the others.
func call(ctx context.Context, sink pipeline.Sink, m *pipeline.Message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "sink of %s panicked", m.Kind)
		}
	}()
	return sink.Handle(ctx, m)
}

// Mapped is an error that knows the map, name@version, that refused a message.
type Mapped interface {
	error
	Map() string
}

func (q *Queue) refuse(ctx context.Context, m *pipeline.Message, attempts int, cause error) error {
	d := &pipeline.DeadLetter{ID: m.ID, Message: m, Time: q.clock.Now(), Reason: reason(cause), Location: fault.Place(cause), Attempts: attempts}
	var mapped Mapped
	if errors.As(cause, &mapped) {
		d.Map = mapped.Map()
	}
	if err := q.letters.Put(ctx, d); err != nil {
		return err
	}
	q.logger.Warn("message refused", "message", m.ID, "source", m.Source, "kind", m.Kind, "fault", fault.KindOf(cause).String())
	q.settle(m, Dead, d.Reason)
	return nil
}

// reason is the fault in one Chinese sentence without health data.
func reason(err error) string {
	for _, is := range fault.IssuesOf(err) {
		if is.Text != "" {
			return is.Text
		}
	}
	switch fault.KindOf(err) {
	case fault.Internal:
		return "系统内部错误，请联系运维人员"
	case fault.Conflict, fault.Precondition:
		return "与已有数据冲突"
	default:
		return "消息内容不符合要求"
	}
}
