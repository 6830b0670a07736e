package subscribe

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/outcome"
	"github.com/qihuang-health/qihuang/fhir/server"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const operationBase = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"

// Operations are $status, $events, $resend and $get-ws-binding-token of the
// backport guide.
func (s *Service) Operations() []server.Operation {
	one := []string{"Subscription"}
	return []server.Operation{
		{Name: "status", Definition: operationBase + "status", Types: one, Instances: one, Run: s.opStatus},
		{Name: "events", Definition: operationBase + "events", Instances: one, Run: s.opEvents},
		{Name: "resend", Definition: operationBase + "resend", Instances: one, Changes: true, Run: s.opResend},
		{Name: "get-ws-binding-token", Definition: operationBase + "get-ws-binding-token", Types: one, Instances: one, Run: s.opToken},
	}
}

// Extensions tell in the CapabilityStatement where the WebSocket door is and
// which topics there are.
func (s *Service) Extensions(base string) []server.Extension {
	out := []server.Extension{{URL: "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket", Value: "valueUri", Text: s.socketURL(base)}}
	for _, t := range s.Topics() {
		out = append(out, server.Extension{On: "Subscription", Value: "valueCanonical", Text: t.URL,
			URL: "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical"})
	}
	return out
}

// params reads the parameters of the query and of a Parameters body.
func params(r *server.Request) (url.Values, error) {
	q := url.Values{}
	for k, v := range r.Params() {
		q[k] = slices.Clone(v)
	}
	if len(r.Body) == 0 {
		return q, nil
	}
	tree, err := fhir.Parse(r.Body)
	if err != nil {
		return nil, err
	}
	for p := range tree.Root().Get("parameter").Each() {
		q.Add(p.Get("name").Str(), value(p))
	}
	return q, nil
}

// chosen returns the subscriptions an operation is about.
func (s *Service) chosen(r *server.Request, q url.Values) ([]subscription, error) {
	ids := split(q["id"])
	if r.Target.ID != "" {
		ids = []string{r.Target.ID}
	}
	if len(ids) == 0 {
		for _, i := range s.List() {
			ids = append(ids, i.ID)
		}
	}
	var out []subscription
	for _, id := range ids {
		sub, err := s.get(strings.TrimPrefix(id, "Subscription/"))
		if err != nil {
			return nil, err
		}
		out = append(out, sub)
	}
	return out, nil
}

func split(values []string) (out []string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// opStatus answers a searchset with one status each.
func (s *Service) opStatus(_ context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
	q, err := params(r)
	if err != nil {
		return nil, err
	}
	subs, err := s.chosen(r, q)
	if err != nil {
		return nil, err
	}
	states := split(q["status"])
	b := append([]byte(nil), `{"resourceType":"Bundle","id":"`+s.parts.NewID()+`","type":"searchset","total":`...)
	at := len(b)
	n := 0
	for i := range subs {
		sub := &subs[i]
		if r.Target.ID == "" && len(states) > 0 && !slices.Contains(states, string(sub.Status)) {
			continue
		}
		if n++; n == 1 {
			b = append(b, `,"entry":[`...)
		} else {
			b = append(b, ',')
		}
		id := s.parts.NewID()
		b = append(b, `{"fullUrl":"urn:uuid:`+id+`","resource":`...)
		b = s.appendStatus(b, sub, &notification{kind: "query-status"}, Empty, id, nil)
		b = append(b, `,"search":{"mode":"match"}}`...)
	}
	if n > 0 {
		b = append(b, ']')
	}
	b = slices.Insert(append(b, '}'), at, []byte(strconv.Itoa(n))...)
	return &server.Reply{Body: b}, nil
}

// mostEvents bounds one answer of $events; the client asks on from its last.
const mostEvents = 1000

// opEvents answers a notification with the events of a range of numbers, both
// ends included.
func (s *Service) opEvents(ctx context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
	q, err := params(r)
	if err != nil {
		return nil, err
	}
	sub, err := s.get(r.Target.ID)
	if err != nil {
		return nil, err
	}
	if sub.def == nil {
		return nil, fault.New(fault.Invalid, "%s", sub.Error)
	}
	since, err := number(q, "eventsSinceNumber", 1)
	if err != nil {
		return nil, err
	}
	until, err := number(q, "eventsUntilNumber", sub.Events)
	if err != nil {
		return nil, err
	}
	n := &notification{kind: "query-event", content: Content(q.Get("content"))}
	switch n.content {
	case "", Empty, IDOnly, FullResource:
	default:
		return nil, bad("Parameters.parameter", "content 应为 empty、id-only 或 full-resource", "content must be empty, id-only or full-resource")
	}
	if n.events, err = s.state.events(sub.ID, max(since, 1), min(until, sub.Events), mostEvents); err != nil {
		return nil, err
	}
	b, err := s.bundle(ctx, &sub, n)
	return &server.Reply{Body: b}, err
}

func number(q url.Values, name string, def int64) (int64, error) {
	v := q.Get(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, bad("Parameters.parameter", name+" 应为非负整数", name+" must be a non-negative integer")
	}
	return n, nil
}

// opResend delivers the events from a number on again.
func (s *Service) opResend(ctx context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
	q, err := params(r)
	if err != nil {
		return nil, err
	}
	since, err := number(q, "eventsSinceNumber", 1)
	if err != nil {
		return nil, err
	}
	if err := s.Resend(ctx, r.Target.ID, since); err != nil {
		return nil, err
	}
	n := strconv.FormatInt(since, 10)
	return &server.Reply{Body: outcome.Info("将从事件 "+n+" 起重新发送", "events are sent again from number "+n, outcome.Options{English: r.English, RequestID: r.ID})}, nil
}

// opToken answers with a token that binds a WebSocket to subscriptions.
func (s *Service) opToken(_ context.Context, _ *server.Server, r *server.Request) (*server.Reply, error) {
	q, err := params(r)
	if err != nil {
		return nil, err
	}
	subs, err := s.chosen(r, q)
	if err != nil {
		return nil, err
	}
	named := r.Target.ID != "" || len(q["id"]) > 0
	var ids []string
	for _, sub := range subs {
		ok := sub.def != nil && sub.def.Channel == webSocket && sub.Status != Off
		if !ok && named {
			return nil, bad("Subscription.channel.type", "订阅 "+sub.ID+" 的通道不是 websocket，或已停用", "subscription "+sub.ID+" has no websocket channel, or is off")
		}
		if ok {
			ids = append(ids, sub.ID)
		}
	}
	if len(ids) == 0 {
		return nil, fault.New(fault.NotFound, "没有通道为 websocket 的订阅")
	}
	end := s.parts.Clock.Now().Add(s.cfg.Token)
	b := append([]byte(nil), `{"resourceType":"Parameters","parameter":[{"name":"token","valueString":"`+s.token(ids, end)+`"},{"name":"expiration","valueDateTime":"`...)
	b = append(appendInstant(b, end), `"}`...)
	for _, id := range ids {
		b = append(b, `,{"name":"subscription","valueString":"`+id+`"}`...)
	}
	b = append(b, `,{"name":"websocket-url","valueUrl":`...)
	b = append(fhir.AppendString(b, s.socketURL(r.Base)), `}]}`...)
	return &server.Reply{Body: b}, nil
}

// SocketPath is where the WebSocket door is mounted.
const SocketPath = "/ws/subscriptions"

// socketURL is the door's address, on the host the client used unless one is
// configured.
func (s *Service) socketURL(base string) string {
	if s.cfg.Socket != "" {
		return s.cfg.Socket
	}
	base = strings.TrimSuffix(base, "/fhir")
	return "ws" + strings.TrimPrefix(base, "http") + SocketPath
}
