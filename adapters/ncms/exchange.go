package ncms

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Doer sends HTTP requests; *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// maxReply bounds a centre's reply: catalogues are the largest.
const maxReply = 64 << 20

// Exchange posts a request to a centre and returns the body of its answer. What
// did not leave is fault.Unavailable (or what the client refused it with);
// whatever may have arrived is *Lost.
func Exchange(ctx context.Context, client Doer, url string, header http.Header, body []byte) ([]byte, error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fault.New(fault.Invalid, "农合中心的地址不是有效的 URL：%w", err)
	}
	req.Header = header
	res, err := client.Do(req)
	switch {
	case err != nil && sent.Load():
		return nil, &Lost{err}
	case fault.Is(err, fault.Forbidden):
		return nil, err
	case err != nil:
		return nil, fault.New(fault.Unavailable, "农合中心不通：%w", err)
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, &Lost{err}
	case len(reply) > maxReply:
		return nil, &Lost{fault.New(fault.TooCostly, "the centre's reply is larger than %d bytes", maxReply)}
	case res.StatusCode/100 == 4:
		return nil, fault.New(fault.Unavailable, "农合中心不受理请求（HTTP %d）", res.StatusCode)
	case res.StatusCode/100 != 2 && !bytes.Contains(reply, []byte("Envelope")):
		return nil, &Lost{fault.New(fault.Unavailable, "HTTP status %d", res.StatusCode)}
	}
	return reply, nil
}
