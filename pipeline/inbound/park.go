package inbound

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/pipeline"
)

const (
	unparkEvery = time.Second
	unparkAgain = time.Minute // a replayed letter that has not come by so long is replayed again
)

// park puts a message aside until a time; what follows it for the same key
// waits behind it.
func (q *Queue) park(ctx context.Context, m *pipeline.Message, attempts int, until time.Time, why string) error {
	d := &pipeline.DeadLetter{ID: m.ID, Message: m, Time: q.clock.Now(), Reason: why, Attempts: attempts, Until: until}
	if err := q.letters.Put(ctx, d); err != nil {
		return err
	}
	q.settle(m, Parked, why)
	return nil
}

// unpark replays parked messages when their time has come and their source is
// not held: of each key the oldest first, the next when that has left.
func (q *Queue) unpark(ctx context.Context) {
	sent := map[string]time.Time{} // ids on their way
	tick := time.NewTicker(unparkEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-q.wake:
		case <-ctx.Done():
			return
		}
		q.unparkDue(ctx, sent)
	}
}

func (q *Queue) unparkDue(ctx context.Context, sent map[string]time.Time) {
	heads, err := q.letters.Heads()
	if err != nil {
		q.logger.Error("list parked messages", "error", err)
		return
	}
	now := q.clock.Now()
	waiting := make(map[string]bool, len(heads))
	for _, d := range heads {
		waiting[d.ID] = true
		if d.Until.After(now) || q.held(d.Message.Source) || now.Sub(sent[d.ID]) < unparkAgain && sent[d.ID].After(d.Time) {
			continue
		}
		if err := q.Replay(ctx, d.ID); err != nil {
			q.logger.Warn("replay parked message", "message", d.ID, "error", err)
			continue
		}
		sent[d.ID] = now
	}
	for id := range sent {
		if !waiting[id] {
			delete(sent, id)
		}
	}
}
