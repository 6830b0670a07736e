package subscribe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const (
	mimeJSON = "application/fhir+json"
	mimeXML  = "application/fhir+xml"
)

// send delivers one notification on the subscription's channel.
func (s *Service) send(ctx context.Context, sub *subscription, n *notification) error {
	switch {
	case sub.def.Channel == webSocket:
		return s.sendSocket(ctx, sub, n)
	case sub.def.classic() && sub.def.Channel == restHook:
		return s.sendClassic(ctx, sub, n)
	}
	body, err := s.bundle(ctx, sub, n)
	if err != nil {
		return err
	}
	if sub.def.Channel == message {
		body = s.message(sub, body)
	}
	status, err := s.request(ctx, sub, http.MethodPost, sub.def.Endpoint, body)
	return verdict(status, err)
}

// sendClassic tells the subscriber as R4 does: an empty POST, or with a payload
// an update of each resource at the endpoint. A receiver that knows no update
// gets the resource by POST.
func (s *Service) sendClassic(ctx context.Context, sub *subscription, n *notification) error {
	for _, e := range n.events {
		if sub.def.Payload == "" {
			if err := verdict(s.request(ctx, sub, http.MethodPost, sub.def.Endpoint, nil)); err != nil {
				return err
			}
			continue
		}
		v, err := s.version(ctx, &e)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue // purged since
		}
		if err != nil {
			return err
		}
		to, err := url.JoinPath(sub.def.Endpoint, e.Type, e.ID)
		if err != nil {
			return fault.New(fault.Invalid, "endpoint 不是有效的地址：%w", err)
		}
		status, err := s.request(ctx, sub, http.MethodPut, to, v.Resource)
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented {
			status, err = s.request(ctx, sub, http.MethodPost, sub.def.Endpoint, v.Resource)
		}
		if err := verdict(status, err); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) version(ctx context.Context, e *Event) (*store.Version, error) {
	snap, err := s.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	return snap.VRead(e.Type, e.ID, e.Version)
}

// message wraps a notification for FHIR messaging: a MessageHeader whose focus
// is the notification.
func (s *Service) message(sub *subscription, body []byte) []byte {
	head, inner := s.parts.NewID(), s.parts.NewID()
	b := append([]byte(nil), `{"resourceType":"Bundle","id":"`+s.parts.NewID()+`","type":"message","timestamp":"`...)
	b = appendInstant(b, s.parts.Clock.Now())
	b = append(b, `","entry":[{"fullUrl":"urn:uuid:`+head+`","resource":{"resourceType":"MessageHeader","id":"`+head+
		`","eventUri":"http://hl7.org/fhir/uv/subscriptions-backport/subscription-notification","destination":[{"endpoint":`...)
	b = fhir.AppendString(b, sub.def.Endpoint)
	b = append(b, `}],"source":{"endpoint":`...)
	b = fhir.AppendString(b, s.cfg.Base)
	b = append(b, `},"focus":[{"reference":"urn:uuid:`+inner+`"}]}},{"fullUrl":"urn:uuid:`+inner+`","resource":`...)
	return append(append(b, body...), `}]}`...)
}

// request makes one call with the subscription's headers and returns the status.
func (s *Service) request(ctx context.Context, sub *subscription, method, to string, body []byte) (int, error) {
	kind := mimeJSON
	if body != nil && sub.def.xml() {
		var err error
		if body, err = s.parts.XML(body); err != nil {
			return 0, err
		}
		kind = mimeXML
	}
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return 0, fault.New(fault.Invalid, "endpoint 不是有效的地址：%w", err)
	}
	for name, values := range sub.def.Header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("User-Agent", "qihuang")
	resp, err := s.parts.Outbound.HTTP(0).Do(req)
	if err != nil {
		if fault.KindOf(err) != fault.Internal {
			return 0, err
		}
		return 0, fault.New(fault.Unavailable, "%s 不能送达：%s", req.URL.Host, plain(err))
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	return resp.StatusCode, nil
}

// plain leaves the address out of a transport's error: it may carry secrets.
func plain(err error) string {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "超时"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "连接被拒绝，对方没有在监听"
	case errors.As(err, &dns):
		return "找不到主机"
	}
	return err.Error()
}

// verdict turns a status into success or failure.
func verdict(status int, err error) error {
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return fault.New(fault.Unavailable, "接收方答复 %d %s", status, http.StatusText(status))
	}
	return nil
}
