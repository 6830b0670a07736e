package subscribe

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// The extensions of the backport guide.
const (
	guide          = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
	extFilter      = guide + "backport-filter-criteria"
	extContent     = guide + "backport-payload-content"
	extHeartbeat   = guide + "backport-heartbeat-period"
	extTimeout     = guide + "backport-timeout"
	extMaxCount    = guide + "backport-max-count"
	profileStatus  = guide + "backport-subscription-status-r4"
	profileNotify  = guide + "backport-subscription-notification-r4"
	defaultTimeout = 30 * time.Second
	mostCount      = 1000
)

// The channels.
const (
	restHook  = "rest-hook"
	webSocket = "websocket"
	message   = "message"
)

// Content is how much of a resource a notification carries.
type Content string

// The contents of the guide.
const (
	Empty        Content = "empty"
	IDOnly       Content = "id-only"
	FullResource Content = "full-resource"
)

// Status is the state of a subscription
// (http://hl7.org/fhir/R4/valueset-subscription-status.html).
type Status string

// The states.
const (
	Requested Status = "requested"
	Active    Status = "active"
	Failing   Status = "error"
	Off       Status = "off"
)

// Definition is what a Subscription asks for.
type Definition struct {
	Topic     string   // canonical; "" for a classic subscription
	Type      string   // classic: type of the criteria
	Query     string   // classic: criteria without Type?
	Filters   []string // [Type?]query, all must match
	Channel   string   // rest-hook | websocket | message
	Endpoint  string
	Payload   string // media type; "" = none
	Header    http.Header
	Content   Content
	Heartbeat time.Duration // 0 = none
	Timeout   time.Duration
	MaxCount  int
	End       time.Time // zero = never
}

// ParseDefinition reads a Subscription. fault.Invalid with the place of what
// cannot work.
func ParseDefinition(res fhir.Node) (*Definition, error) {
	ch := res.Get("channel")
	d := &Definition{Channel: ch.Get("type").Str(), Endpoint: ch.Get("endpoint").Str(), Payload: ch.Get("payload").Str(),
		Header: http.Header{}, Content: Empty, Timeout: defaultTimeout, MaxCount: 1}
	criteria := res.Get("criteria").Str()
	if strings.Contains(strings.SplitN(criteria, "?", 2)[0], ":") {
		d.Topic = criteria
	} else {
		d.Type, d.Query, _ = strings.Cut(strings.TrimPrefix(criteria, "/"), "?")
	}
	if d.Topic == "" && d.Type == "" {
		return nil, bad("Subscription.criteria", "criteria 应为主题的 URL，或检索条件（如 Observation?code=x）", "criteria must be the URL of a topic or a search such as Observation?code=x")
	}
	if d.classic() && d.Payload != "" {
		d.Content = FullResource
	}
	for e := range res.Path("_criteria", "extension").Each() {
		if e.Get("url").Str() == extFilter {
			d.Filters = append(d.Filters, value(e))
		}
	}
	for e := range ch.Path("_payload", "extension").Each() {
		if e.Get("url").Str() == extContent {
			d.Content = Content(value(e))
		}
	}
	if d.Content != Empty && d.Content != IDOnly && d.Content != FullResource {
		return nil, bad("Subscription.channel.payload", "内容级别应为 empty、id-only 或 full-resource", "the content must be empty, id-only or full-resource")
	}
	if err := d.limits(ch); err != nil {
		return nil, err
	}
	for h := range ch.Get("header").Each() {
		name, v, ok := strings.Cut(h.Str(), ":")
		if !ok || strings.ContainsAny(h.Str(), "\r\n") || strings.ContainsAny(name, " \t") || name == "" {
			return nil, bad("Subscription.channel.header", "header 应为“名称: 值”", "a header must be name: value")
		}
		d.Header.Add(name, strings.TrimSpace(v))
	}
	if s := res.Get("end").Str(); s != "" {
		end, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return nil, bad("Subscription.end", "end 应为带时区的时刻", "end must be an instant")
		}
		d.End = end
	}
	return d, d.check()
}

// limits reads the numbers of the channel.
func (d *Definition) limits(ch fhir.Node) error {
	for e := range ch.Get("extension").Each() {
		var n int64
		var ok bool
		for m := range e.Children() {
			if strings.HasPrefix(m.Key(), "value") {
				n, ok = m.Int()
			}
		}
		url := e.Get("url").Str()
		if url != extHeartbeat && url != extTimeout && url != extMaxCount {
			continue
		}
		if !ok || n < 0 || n > 1<<31 {
			return bad("Subscription.channel.extension", "心跳、超时和最大条数应为非负整数", "heartbeat period, timeout and max count must be non-negative integers")
		}
		switch {
		case url == extHeartbeat:
			d.Heartbeat = time.Duration(n) * time.Second
		case url == extTimeout && n > 0:
			d.Timeout = min(time.Duration(n)*time.Second, 10*time.Minute)
		case url == extMaxCount && n > 0:
			d.MaxCount = int(min(n, mostCount))
		}
	}
	return nil
}

func (d *Definition) check() error {
	switch d.Channel {
	case restHook, message:
		if d.Endpoint == "" {
			return bad("Subscription.channel.endpoint", "缺少 endpoint", "the endpoint is missing")
		}
	case webSocket:
	default:
		return bad("Subscription.channel.type", "通道应为 rest-hook、websocket 或 message", "the channel must be rest-hook, websocket or message")
	}
	if d.Payload != "" && !strings.Contains(d.Payload, "json") && !strings.Contains(d.Payload, "xml") {
		return bad("Subscription.channel.payload", "payload 应为 application/fhir+json 或 application/fhir+xml", "the payload must be application/fhir+json or application/fhir+xml")
	}
	return nil
}

// classic reports whether it is a subscription of R4 without a topic.
func (d *Definition) classic() bool { return d.Topic == "" }

// xml reports whether the receiver wants XML.
func (d *Definition) xml() bool { return strings.Contains(d.Payload, "xml") }

// same reports whether two versions of a Subscription ask for the same.
func same(a, b fhir.Node) bool {
	for _, key := range []string{"criteria", "_criteria", "channel", "end"} {
		if !bytes.Equal(a.Get(key).Raw(), b.Get(key).Raw()) {
			return false
		}
	}
	return true
}

func bad(place, zh, en string) error {
	return fault.New(fault.Invalid, "%s", zh).With(fault.Issue{Severity: "error", Code: "value", Key: "subscription", Expression: place, Text: zh, TextEN: en})
}
