package subscribe

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// notification is one message to a subscriber.
type notification struct {
	kind    string // handshake | heartbeat | event-notification | query-event | query-status
	events  []Event
	content Content // "" = as the subscription says
}

// bundle writes the notification as the guide wants it in R4: a Bundle of type
// history whose first entry is the status (backport-subscription-notification-r4).
func (s *Service) bundle(ctx context.Context, sub *subscription, n *notification) ([]byte, error) {
	content := n.content
	if content == "" {
		content = sub.def.Content
	}
	now := s.parts.Clock.Now()
	b := append([]byte(nil), `{"resourceType":"Bundle","id":"`...)
	b = append(b, s.parts.NewID()...)
	b = append(b, `","meta":{"lastUpdated":"`...)
	b = appendInstant(b, now)
	b = append(b, `","profile":["`+profileNotify+`"]},"type":"history","timestamp":"`...)
	b = appendInstant(b, now)
	statusID := s.parts.NewID()
	b = append(b, `","entry":[{"fullUrl":"urn:uuid:`...)
	b = append(b, statusID...)
	b = append(b, `","resource":`...)
	snap, err := s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	more, err := s.context(ctx, snap, sub, n, content)
	if err != nil {
		return nil, err
	}
	b = s.appendStatus(b, sub, n, content, statusID, more)
	b = append(b, `,"request":{"method":"GET","url":`...)
	b = fhir.AppendString(b, s.cfg.Base+"/Subscription/"+sub.ID+"/$status")
	b = append(b, `},"response":{"status":"200"}}`...)
	if content != Empty {
		for i := range n.events {
			if b, err = s.appendEntry(b, snap, &n.events[i], content); err != nil {
				return nil, err
			}
		}
		for _, refs := range more {
			for _, ref := range refs {
				b = s.appendContext(b, snap, ref, content)
			}
		}
	}
	return append(b, `]}`...), nil
}

// appendStatus writes the Parameters of backport-subscription-status-r4.
func (s *Service) appendStatus(b []byte, sub *subscription, n *notification, content Content, id string, more [][]string) []byte {
	b = append(b, `{"resourceType":"Parameters","id":"`...)
	b = append(b, id...)
	b = append(b, `","meta":{"profile":["`+profileStatus+`"]},"parameter":[{"name":"subscription","valueReference":{"reference":`...)
	b = fhir.AppendString(b, s.cfg.Base+"/Subscription/"+sub.ID)
	b = append(b, `}}`...)
	if sub.def != nil && sub.def.Topic != "" {
		b = append(b, `,{"name":"topic","valueCanonical":`...)
		b = append(fhir.AppendString(b, sub.def.Topic), '}')
	}
	b = append(b, `,{"name":"status","valueCode":"`...)
	b = append(b, sub.Status...)
	b = append(b, `"},{"name":"type","valueCode":"`...)
	b = append(b, n.kind...)
	count := sub.Events
	if len(n.events) > 0 && n.kind == "event-notification" {
		count = n.events[len(n.events)-1].Number // inclusive of this notification
	}
	b = append(b, `"},{"name":"events-since-subscription-start","valueString":"`...)
	b = strconv.AppendInt(b, count, 10)
	b = append(b, `"}`...)
	for i, e := range n.events {
		b = append(b, `,{"name":"notification-event","part":[{"name":"event-number","valueString":"`...)
		b = strconv.AppendInt(b, e.Number, 10)
		b = append(b, `"},{"name":"timestamp","valueInstant":"`...)
		b = appendInstant(b, e.Time)
		b = append(b, `"}`...)
		if content != Empty {
			b = append(b, `,{"name":"focus","valueReference":{"reference":`...)
			b = append(fhir.AppendString(b, s.cfg.Base+"/"+e.Type+"/"+e.ID), `}}`...)
			for _, ref := range more[i] {
				b = append(b, `,{"name":"additional-context","valueReference":{"reference":`...)
				b = append(fhir.AppendString(b, s.cfg.Base+"/"+ref), `}}`...)
			}
		}
		b = append(b, `]}`...)
	}
	if sub.Error != "" {
		b = append(b, `,{"name":"error","valueCodeableConcept":{"text":`...)
		b = append(fhir.AppendString(b, sub.Error), `}}`...)
	}
	return append(b, `]}`...)
}

// appendEntry writes the entry of an event's focus. Of a full resource, the
// version that made the event.
func (s *Service) appendEntry(b []byte, snap store.Snapshot, e *Event, content Content) ([]byte, error) {
	b = append(b, `,{"fullUrl":`...)
	b = fhir.AppendString(b, s.cfg.Base+"/"+e.Type+"/"+e.ID)
	if content == FullResource && e.Method != store.Delete {
		v, err := snap.VRead(e.Type, e.ID, e.Version)
		switch {
		case fault.Is(err, fault.NotFound), fault.Is(err, fault.Gone): // purged since
		case err != nil:
			return nil, err
		default:
			b = append(append(b, `,"resource":`...), v.Resource...)
		}
	}
	method, url, status := "PUT", e.Type+"/"+e.ID, "200"
	switch {
	case e.Method == store.Delete:
		method, status = "DELETE", "204"
	case e.Created && e.Method == store.Create:
		method, url, status = "POST", e.Type, "201"
	case e.Created:
		status = "201"
	}
	b = append(b, `,"request":{"method":"`+method+`","url":`...)
	b = append(fhir.AppendString(b, url), `},"response":{"status":"`+status+`","etag":"W/\"`...)
	b = strconv.AppendInt(b, e.Version, 10)
	b = append(b, `\"","lastModified":"`...)
	return append(appendInstant(b, e.Time), `"}}`...), nil
}

// appendContext writes the entry of a resource that goes with a focus.
func (s *Service) appendContext(b []byte, snap store.Snapshot, ref string, content Content) []byte {
	r := fhir.ParseReference(ref)
	b = append(b, `,{"fullUrl":`...)
	b = fhir.AppendString(b, s.cfg.Base+"/"+ref)
	if v, err := snap.Read(r.Type, r.ID); err == nil && content == FullResource {
		b = append(append(b, `,"resource":`...), v.Resource...)
	}
	b = append(b, `,"request":{"method":"GET","url":`...)
	return append(fhir.AppendString(b, ref), `},"response":{"status":"200"}}`...)
}

// context finds what the topic's shape includes with each event's focus, as
// Type/id.
func (s *Service) context(ctx context.Context, snap store.Snapshot, sub *subscription, n *notification, content Content) ([][]string, error) {
	out := make([][]string, len(n.events))
	if content == Empty || sub.def.classic() {
		return out, nil
	}
	s.mu.Lock()
	t := s.topics[fhir.ParseCanonical(sub.def.Topic).URL]
	s.mu.Unlock()
	if t == nil {
		return out, nil
	}
	for i, e := range n.events {
		for _, sh := range t.Shapes {
			if sh.Type != e.Type || e.Method == store.Delete {
				continue
			}
			q := "_id=" + e.ID
			for _, v := range sh.Include {
				q += "&_include=" + v
			}
			for _, v := range sh.RevInclude {
				q += "&_revinclude=" + v
			}
			page, err := s.parts.Search.Search(ctx, snap.Index(), search.Request{Type: e.Type, Query: q, Count: 1, Now: e.Time})
			if err != nil {
				return nil, errors.Join(fault.New(fault.Internal, "topic %s: notification shape", t.URL), err)
			}
			for _, m := range page.Matches {
				if m.Mode == search.ModeInclude {
					out[i] = append(out[i], m.Type+"/"+m.ID)
				}
			}
		}
	}
	return out, nil
}

func appendInstant(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}
