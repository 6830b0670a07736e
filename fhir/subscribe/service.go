package subscribe

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sort"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/outbound"
)

// Config are the limits of delivery.
type Config struct {
	Dir     string        // folder of the state
	Base    string        // absolute FHIR base in notifications
	Socket  string        // address of the WebSocket door, ws://… or wss://…
	First   time.Duration // pause after the first failure; doubles
	Longest time.Duration // longest pause between attempts, which never end
	Errors  int           // failures in a row after which the status is error
	Keep    int64         // delivered events kept for $events, per subscription
	Token   time.Duration // how long a WebSocket binding token is valid
}

// Default returns the limits of a hub nobody configured.
func Default(dir string) Config {
	return Config{Dir: dir, First: time.Second, Longest: time.Minute, Errors: 3, Keep: 100_000, Token: 10 * time.Minute}
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	if c.Dir == "" || c.First <= 0 || c.Longest < c.First || c.Errors < 1 || c.Keep < 1 || c.Token <= 0 {
		return fault.New(fault.Invalid, "subscriptions: folder and positive limits are needed")
	}
	return nil
}

// Parts are what a Service works with.
type Parts struct {
	Store    store.Store
	Feed     store.Feed
	Search   *search.Engine
	Paths    *fhirpath.Engine
	Outbound *outbound.Client
	XML      func(json []byte) ([]byte, error) // for receivers that want XML
	Key      []byte                            // signs binding tokens
	Clock    clock.Clock
	Log      *slog.Logger
	NewID    func() string
}

// Service keeps the subscriptions. Safe for concurrent use while Run runs.
type Service struct {
	cfg     Config
	parts   Parts
	state   *state
	sockets *sockets

	mu      sync.Mutex
	subs    map[string]*subscription
	topics  map[string]*Topic // by url
	owners  map[string]string // url of each topic resource
	changed chan struct{}     // closed when the set of subscriptions changed
}

// subscription is one in memory. Guarded by Service.mu, but def does not change.
type subscription struct {
	record
	def     *Definition   // nil if it cannot work
	version int64         // counts definitions: another number, another delivery
	wake    chan struct{} // of size 1: there is something to do
}

// Open opens the state. Close it after Run and Deliver have returned.
func Open(cfg Config, parts Parts) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	st, err := openState(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, parts: parts, state: st, sockets: newSockets(), subs: map[string]*subscription{}, topics: map[string]*Topic{}, owners: map[string]string{}, changed: make(chan struct{})}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return s, nil
}

// Close closes the state.
func (s *Service) Close() error { return s.state.close() }

// load fills memory from the state.
func (s *Service) load() error {
	err := s.state.each(keyTopic, func(id string, v []byte) error { return s.takeTopic(id, v) })
	if err != nil {
		return err
	}
	return s.state.each(keySubscription, func(_ string, v []byte) error {
		sub := &subscription{wake: make(chan struct{}, 1)}
		if err := json.Unmarshal(v, &sub.record); err != nil {
			return err
		}
		tree, err := fhir.Parse(sub.Resource)
		if err != nil {
			return err
		}
		if d, err := ParseDefinition(tree.Root()); err == nil {
			sub.def = d
		}
		s.subs[sub.ID] = sub
		return nil
	})
}

// takeTopic puts a topic in the place of what the resource said before.
func (s *Service) takeTopic(id string, raw []byte) error {
	if old := s.owners[id]; old != "" {
		delete(s.topics, old)
		delete(s.owners, id)
	}
	if raw == nil {
		return nil
	}
	tree, err := fhir.Parse(raw)
	if err != nil {
		return err
	}
	if t, ok := ParseTopic(tree.Root()); ok {
		s.topics[t.URL], s.owners[id] = t, t.URL
	}
	return nil
}

// Info is what can be told of a subscription.
type Info struct {
	ID, Topic, Criteria, Channel, Endpoint, Error string
	Status                                        Status
	Events, Delivered                             int64
	Failures                                      int
	LastEvent, LastSent, LastError, NextTry       time.Time // zero = never
	Listeners                                     int       // WebSockets bound
}

// List tells of every subscription, by id.
func (s *Service) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Info, 0, len(s.subs))
	for _, sub := range s.subs {
		i := Info{ID: sub.ID, Status: sub.Status, Error: sub.Error, Events: sub.Events, Delivered: sub.Delivered, Failures: sub.Failures,
			LastEvent: sub.LastEvent, LastSent: sub.LastSent, LastError: sub.LastError, NextTry: sub.NextTry, Listeners: s.sockets.count(sub.ID)}
		if d := sub.def; d != nil {
			i.Topic, i.Channel, i.Endpoint = d.Topic, d.Channel, d.Endpoint
			if d.classic() {
				i.Criteria = d.Type + "?" + d.Query
			}
		}
		out = append(out, i)
	}
	sort.Slice(out, func(i, k int) bool { return out[i].ID < out[k].ID })
	return out
}

// Topics returns the topics known, by url.
func (s *Service) Topics() []Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Topic, 0, len(s.topics))
	for _, t := range s.topics {
		out = append(out, *t)
	}
	sort.Slice(out, func(i, k int) bool { return out[i].URL < out[k].URL })
	return out
}

// get returns a copy of a subscription; fault.NotFound.
func (s *Service) get(id string) (subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs[id]
	if sub == nil {
		return subscription{}, fault.New(fault.NotFound, "没有订阅 %s", id)
	}
	return *sub, nil
}

// Resend delivers the events from a number on again. fault.NotFound, and
// fault.Gone if they are no longer kept.
func (s *Service) Resend(_ context.Context, id string, from int64) error {
	return s.edit(id, func(sub *subscription) error {
		from = max(from, 1)
		if from > sub.Events {
			return fault.New(fault.Invalid, "事件 %d 还没有发生，最后一个是 %d", from, sub.Events)
		}
		kept, err := s.state.events(id, from, from, 1)
		if err != nil {
			return err
		}
		if len(kept) == 0 {
			return fault.New(fault.Gone, "事件 %d 已不再保存", from)
		}
		sub.Delivered, sub.NextTry, sub.Failures = min(sub.Delivered, from-1), time.Time{}, 0
		return nil
	})
}

// Retry attempts delivery at once, whatever pause is on.
func (s *Service) Retry(id string) error {
	return s.edit(id, func(sub *subscription) error { sub.NextTry = time.Time{}; return nil })
}

// edit changes a subscription, keeps it, and wakes its delivery. fault.NotFound.
func (s *Service) edit(id string, change func(*subscription) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs[id]
	if sub == nil {
		return fault.New(fault.NotFound, "没有订阅 %s", id)
	}
	if err := change(sub); err != nil {
		return err
	}
	sub.poke()
	return putRecord(s.state.db, &sub.record, pebble.NoSync)
}

// poke tells the delivery that there is something to do.
func (sub *subscription) poke() {
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// announce tells Deliver that the set of subscriptions changed. Under mu.
func (s *Service) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}
