package subscribe

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Deliver sends notifications to endpoints until ctx ends. One node at a time
// calls it; WebSockets are served by the node they are connected to.
func (s *Service) Deliver(ctx context.Context) error { return s.deliver(ctx, restHook, message) }

// deliver keeps one courier for each subscription of the channels.
func (s *Service) deliver(ctx context.Context, channels ...string) error {
	type courier struct {
		version int64
		stop    context.CancelFunc
	}
	if err := s.caughtUp(ctx); err != nil {
		return err
	}
	couriers := map[string]courier{}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		s.mu.Lock()
		changed := s.changed
		wanted := map[string]int64{}
		for id, sub := range s.subs {
			if sub.def != nil && sub.Status != Off && slices.Contains(channels, sub.def.Channel) {
				wanted[id] = sub.version
			}
		}
		s.mu.Unlock()
		for id, c := range couriers {
			if v, ok := wanted[id]; !ok || v != c.version {
				c.stop()
				delete(couriers, id)
			}
		}
		for id, v := range wanted {
			if _, ok := couriers[id]; ok {
				continue
			}
			run, stop := context.WithCancel(ctx)
			couriers[id] = courier{v, stop}
			wg.Go(func() { defer stop(); s.carry(run, id, v) })
		}
		if err := s.mirrorOff(ctx); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			for _, c := range couriers {
				c.stop()
			}
			return nil
		}
	}
}

// caughtUp waits until the repository is where the state is: after a crash it
// first reads its log again, and must not look as if resources were gone.
func (s *Service) caughtUp(ctx context.Context) error {
	seq, ok, err := s.state.cursor()
	for err == nil && ok {
		var list []store.Change
		if list, _, err = s.parts.Feed.Changes(ctx, seq, 1); len(list) > 0 {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// mirrorOff writes what cannot work into its resource.
func (s *Service) mirrorOff(ctx context.Context) error {
	s.mu.Lock()
	var broken []string
	for id, sub := range s.subs {
		if sub.def == nil {
			broken = append(broken, id)
		}
	}
	s.mu.Unlock()
	for _, id := range broken {
		s.mirror(ctx, id)
	}
	return nil
}

// carry delivers one definition of a subscription until ctx ends.
func (s *Service) carry(ctx context.Context, id string, version int64) {
	for ctx.Err() == nil {
		sub, err := s.get(id)
		if err != nil || sub.version != version || sub.Status == Off {
			return
		}
		now := s.parts.Clock.Now()
		if end := sub.def.End; !end.IsZero() && !now.Before(end) {
			s.set(ctx, id, func(r *subscription) { r.Status = Off; r.version++ })
			return
		}
		if wait := s.due(&sub, now); wait > 0 {
			s.pause(ctx, &sub, wait)
			continue
		}
		if err := s.step(ctx, &sub); err != nil && ctx.Err() == nil {
			s.failed(ctx, id, err)
		}
	}
}

// forever is how long a courier sleeps that waits for events only.
const forever = time.Hour

// due returns how long there is nothing to do for a subscription.
func (s *Service) due(sub *subscription, now time.Time) time.Duration {
	wait := forever
	if end := sub.def.End; !end.IsZero() {
		wait = min(wait, end.Sub(now))
	}
	listening := sub.def.Channel != webSocket || s.sockets.count(sub.ID) > 0
	switch {
	case !listening && sub.Greeted:
	case !sub.Greeted, sub.Delivered < sub.Events:
		return max(sub.NextTry.Sub(now), 0)
	case sub.def.Heartbeat > 0:
		wait = min(wait, max(sub.LastSent.Add(sub.def.Heartbeat).Sub(now), sub.NextTry.Sub(now)))
	}
	return wait
}

func (s *Service) pause(ctx context.Context, sub *subscription, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-sub.wake:
	case <-ctx.Done():
	}
}

// step does the next thing: the handshake, the next events, or a heartbeat.
func (s *Service) step(ctx context.Context, sub *subscription) error {
	send, cancel := context.WithTimeout(ctx, sub.def.Timeout)
	defer cancel()
	if !sub.Greeted {
		if !sub.def.classic() && sub.def.Channel != webSocket {
			if err := s.send(send, sub, &notification{kind: "handshake"}); err != nil {
				return err
			}
		}
		s.set(ctx, sub.ID, func(r *subscription) { r.Status, r.Greeted = Active, true })
		return nil
	}
	if sub.Delivered >= sub.Events {
		if sub.def.classic() {
			s.set(ctx, sub.ID, func(*subscription) {})
			return nil
		}
		if err := s.send(send, sub, &notification{kind: "heartbeat"}); err != nil {
			return err
		}
		s.set(ctx, sub.ID, func(*subscription) {})
		return nil
	}
	list, err := s.state.events(sub.ID, sub.Delivered+1, sub.Events, sub.def.MaxCount)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fault.New(fault.Internal, "subscription %s has lost its events from %d on", sub.ID, sub.Delivered+1)
	}
	if err := s.send(send, sub, &notification{kind: "event-notification", events: list}); err != nil {
		return err
	}
	before, last := sub.Delivered, list[len(list)-1].Number
	s.set(ctx, sub.ID, func(r *subscription) {
		if r.Delivered == before { // else it was asked to send again meanwhile
			r.Delivered = last
		}
	})
	if keep := last - s.cfg.Keep; keep > 0 && last%1000 == 0 {
		return forget(s.state.db, sub.ID, keep, pebble.NoSync)
	}
	return nil
}

// set records a success and its effect, and writes a new status to the resource.
func (s *Service) set(ctx context.Context, id string, change func(*subscription)) {
	s.mu.Lock()
	sub := s.subs[id]
	if sub == nil {
		s.mu.Unlock()
		return
	}
	was := sub.Status
	sub.Failures, sub.NextTry, sub.LastSent = 0, time.Time{}, s.parts.Clock.Now()
	if sub.Status == Failing {
		sub.Status = Active
	}
	change(sub)
	if sub.Status != Failing {
		sub.Error = ""
	}
	turned := sub.Status != was
	err := putRecord(s.state.db, &sub.record, pebble.NoSync)
	s.mu.Unlock()
	if err != nil {
		s.parts.Log.ErrorContext(ctx, "subscription state cannot be written", "subscription", id, "error", err)
	}
	if turned {
		s.mirror(ctx, id)
	}
}

// failed records a failure and when to try again: pauses double, attempts never
// end.
func (s *Service) failed(ctx context.Context, id string, cause error) {
	if errors.Is(cause, errNobody) {
		return
	}
	s.mu.Lock()
	sub := s.subs[id]
	if sub == nil {
		s.mu.Unlock()
		return
	}
	sub.Failures++
	now := s.parts.Clock.Now()
	pause := s.cfg.Longest
	if sub.Failures < 30 {
		pause = min(s.cfg.First<<(sub.Failures-1), s.cfg.Longest)
	}
	pause -= time.Duration(rand.Int64N(int64(pause)/5 + 1)) // so that many do not come back at once
	sub.NextTry, sub.LastError, sub.Error = now.Add(pause), now, reason(cause)
	turned := sub.Failures == s.cfg.Errors
	if turned {
		sub.Status = Failing
	}
	err := putRecord(s.state.db, &sub.record, pebble.NoSync)
	s.mu.Unlock()
	if err != nil {
		s.parts.Log.ErrorContext(ctx, "subscription state cannot be written", "subscription", id, "error", err)
	}
	s.parts.Log.WarnContext(ctx, "notification failed", "subscription", id, "error", cause)
	if turned {
		s.mirror(ctx, id)
	}
}

// reason is the cause for people, in one line.
func reason(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Msg
	}
	return err.Error()
}

// mirror writes a subscription's status and error into its resource. Who writes
// it meanwhile wins: his version comes by the feed.
func (s *Service) mirror(ctx context.Context, id string) {
	sub, err := s.get(id)
	if err == nil {
		err = s.write(ctx, &sub)
	}
	if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Precondition) && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Gone) && !fault.Is(err, fault.NotFound) {
		s.parts.Log.WarnContext(ctx, "subscription status cannot be written", "subscription", id, "error", err)
	}
}

func (s *Service) write(ctx context.Context, sub *subscription) error {
	snap, err := s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	v, err := snap.Read("Subscription", sub.ID)
	if err = errors.Join(err, snap.Close()); err != nil {
		return err
	}
	tree, err := fhir.Parse(v.Resource)
	if err != nil {
		return err
	}
	res := tree.Root()
	if res.Get("status").Str() == string(sub.Status) && res.Get("error").Str() == sub.Error {
		return nil
	}
	edits := []fhir.Edit{fhir.SetMember(res, "status", fhir.AppendString(nil, string(sub.Status)))}
	if e := res.Get("error"); sub.Error != "" {
		edits = append(edits, fhir.SetMember(res, "error", fhir.AppendString(nil, sub.Error)))
	} else if e.Exists() {
		edits = append(edits, fhir.Remove(res, e))
	}
	_, err = s.parts.Store.Commit(ctx, &store.Transaction{ID: s.parts.NewID(), Actor: "subscriptions", Time: s.parts.Clock.Now(),
		Ops: []store.Op{{Method: store.Update, Type: "Subscription", ID: sub.ID, IfMatch: v.Version, Resource: fhir.Splice(v.Resource, edits...)}}})
	return err
}
