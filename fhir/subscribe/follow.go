package subscribe

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
)

// batchBytes is about how much of the feed is handled at once.
const batchBytes = 1 << 20

// Run follows the feed and serves this node's WebSockets until ctx ends: every
// node does.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.follow(ctx) })
	group.Go(func() error { return s.deliver(ctx, webSocket) })
	defer s.sockets.close()
	return group.Wait()
}

// follow takes the changes as they come. Events and the place in the feed become
// durable together, so a number is given once.
func (s *Service) follow(ctx context.Context) error {
	seq, err := s.start(ctx)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		list, _, err := s.parts.Feed.Changes(ctx, seq, batchBytes)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if len(list) == 0 {
			continue
		}
		if err := s.take(ctx, list); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		seq = list[len(list)-1].Seq + 1 // numbers may have holes where history was dropped
	}
	return nil
}

// start returns the next change to handle: after the cursor; without one, the
// first that made a topic or a subscription, since none before can matter.
func (s *Service) start(ctx context.Context) (int64, error) {
	seq, ok, err := s.state.cursor()
	if err != nil || ok {
		return seq + 1, err
	}
	snap, err := s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return 0, err
	}
	defer snap.Close()
	first := int64(0)
	for _, typ := range []string{"Basic", "Subscription"} {
		for c, err := range snap.History(store.HistoryQuery{Type: typ}) {
			if err != nil {
				return 0, err
			}
			if first == 0 || c.Seq < first {
				first = c.Seq
			}
		}
	}
	if first > 0 {
		return first, nil
	}
	return s.parts.Feed.FirstSeq(ctx, snap.Offset()+1)
}

// take handles changes in order and makes their effect durable.
func (s *Service) take(ctx context.Context, list []store.Change) error {
	b := s.state.db.NewBatch()
	defer b.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	dirty := map[string]*subscription{}
	for _, c := range list {
		var err error
		switch c.Type {
		case "Subscription":
			err = s.learn(b, c, dirty)
		case "Basic":
			err = s.learnTopic(b, c)
		}
		if err == nil {
			err = s.number(ctx, b, c, dirty)
		}
		if err != nil {
			return err
		}
	}
	for _, sub := range dirty {
		if err := putRecord(b, &sub.record, nil); err != nil {
			return err
		}
	}
	if err := setCursor(b, list[len(list)-1].Seq); err != nil {
		return err
	}
	sync := pebble.NoSync // a lost cursor is found again from the feed
	if len(dirty) > 0 {
		sync = pebble.Sync
	}
	if err := b.Commit(sync); err != nil {
		return err
	}
	for _, sub := range dirty {
		sub.poke()
	}
	return nil
}

// number gives the change the next number of each subscription it is an event of.
func (s *Service) number(ctx context.Context, b *pebble.Batch, c store.Change, dirty map[string]*subscription) error {
	ch := &change{s: s, Change: c, now: side{raw: c.Resource}}
	for id, sub := range s.subs {
		if sub.def == nil || sub.Status == Off || c.Seq <= sub.Started {
			continue
		}
		ok, err := ch.event(ctx, sub)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			s.parts.Log.WarnContext(ctx, "subscription criteria cannot be evaluated", "subscription", id, "type", c.Type, "error", err)
			continue
		}
		if !ok {
			continue
		}
		sub.Events++
		sub.LastEvent = c.LastUpdated
		e := &Event{Number: sub.Events, Type: c.Type, ID: c.ID, Version: c.Version.Version, Time: c.LastUpdated, Method: c.Method, Created: c.Created}
		if err := putEvent(b, id, e); err != nil {
			return err
		}
		dirty[id] = sub
	}
	return nil
}

// learnTopic takes a topic in or out of use.
func (s *Service) learnTopic(b *pebble.Batch, c store.Change) error {
	known := s.owners[c.ID] != ""
	topic := false
	if !c.Deleted() {
		tree, err := fhir.Parse(c.Resource)
		if err != nil {
			return err
		}
		topic = isTopic(tree.Root())
	}
	switch {
	case topic:
		if err := s.takeTopic(c.ID, c.Resource); err != nil {
			return err
		}
		s.announce()
		return b.Set([]byte(keyTopic+c.ID), c.Resource, nil)
	case known:
		if err := s.takeTopic(c.ID, nil); err != nil {
			return err
		}
		return b.Delete([]byte(keyTopic+c.ID), nil)
	}
	return nil
}

// learn takes a version of a Subscription: a new wish, a new state asked for by
// its owner, or what we wrote ourselves.
func (s *Service) learn(b *pebble.Batch, c store.Change, dirty map[string]*subscription) error {
	sub := s.subs[c.ID]
	if c.Deleted() {
		if sub == nil {
			return nil
		}
		delete(s.subs, c.ID)
		delete(dirty, c.ID)
		s.announce()
		if err := b.Delete([]byte(keySubscription+c.ID), nil); err != nil {
			return err
		}
		return b.DeleteRange(eventKey(c.ID, 0), eventKey(c.ID, 1<<62), nil)
	}
	tree, err := fhir.Parse(c.Resource)
	if err != nil {
		return err
	}
	res := tree.Root()
	asked := Status(res.Get("status").Str())
	if sub == nil {
		sub = &subscription{record: record{ID: c.ID, Started: c.Seq}, wake: make(chan struct{}, 1)}
		s.subs[c.ID] = sub
		sub.renew(res, asked)
	} else if old, err := fhir.Parse(sub.Resource); err != nil || !same(old.Root(), res) {
		sub.renew(res, asked)
	} else {
		sub.turn(asked)
	}
	sub.Resource = c.Resource
	dirty[c.ID] = sub
	s.announce()
	return nil
}

// renew begins with a new definition; events go on counting.
func (sub *subscription) renew(res fhir.Node, asked Status) {
	d, err := ParseDefinition(res)
	sub.def, sub.version, sub.Greeted, sub.Failures, sub.NextTry, sub.Error = d, sub.version+1, false, 0, time.Time{}, ""
	sub.Status = Requested
	if asked == Off {
		sub.Status = Off
	}
	if err != nil {
		sub.def, sub.Status, sub.Error = nil, Failing, err.Error()
	}
}

// turn follows a status written to the resource while the rest stayed: ours
// changes nothing, an owner's off or requested does.
func (sub *subscription) turn(asked Status) {
	switch {
	case asked == sub.Status, sub.def == nil:
	case asked == Off:
		sub.Status = Off
		sub.version++
	case asked == Active && sub.Status == Requested: // a rebuilt view meets what was decided before
		sub.Status, sub.Greeted = Active, true
	case asked == Requested, asked == Active && sub.Status == Off:
		sub.Status, sub.Greeted, sub.Failures, sub.NextTry, sub.Error = Requested, false, 0, time.Time{}, ""
		sub.version++
	}
}
