package fhirfeed

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

const maxAnswer = 64 << 20 // bytes of one page

// client speaks to one FHIR server.
type client struct {
	http *http.Client
	auth Auth

	mu    sync.Mutex
	token string
	until time.Time
}

// get fetches a URL whole.
func (c *client) get(ctx context.Context, address string, header map[string]string) (*http.Response, []byte, error) {
	return c.exchange(ctx, http.MethodGet, address, header, nil)
}

// exchange sends one request and reads the answer whole.
func (c *client) exchange(ctx context.Context, method, address string, header map[string]string, in io.Reader) (*http.Response, []byte, error) {
	res, err := c.do(ctx, method, address, header, in)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, fault.New(fault.Unavailable, "对方的应答中断：%w", err)
	}
	if len(body) > maxAnswer {
		return nil, nil, fault.New(fault.TooCostly, "对方的应答超过 %d MB", maxAnswer>>20)
	}
	return res, body, nil
}

// do sends one request. The caller closes the body.
func (c *client) do(ctx context.Context, method, address string, header map[string]string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fault.New(fault.Invalid, "地址 %q 无法使用：%w", address, err)
	}
	req.Header.Set("Accept", "application/fhir+json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	token, err := c.bearer(ctx)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if fault.Is(err, fault.Forbidden) { // by our own list
		return nil, err
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "连不上对方的 FHIR 服务：%w", err)
	}
	return res, nil
}

// bearer is the token to show: the fixed one, or one by client credentials,
// kept until shortly before it ends.
func (c *client) bearer(ctx context.Context) (string, error) {
	if c.auth.TokenURL == "" {
		return c.auth.Token, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) {
		return c.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.auth.Scope}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.auth.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fault.New(fault.Invalid, "tokenURL 无法使用：%w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(c.auth.Client), url.QueryEscape(c.auth.Secret))
	res, err := c.http.Do(req)
	if err != nil {
		return "", fault.New(fault.Unavailable, "连不上授权服务：%w", err)
	}
	defer res.Body.Close()
	var answer struct {
		Token   string `json:"access_token"`
		Seconds int    `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&answer); err != nil || res.StatusCode != http.StatusOK || answer.Token == "" {
		return "", fault.New(fault.Unauthorized, "授权服务拒绝了本平台（HTTP %d）", res.StatusCode)
	}
	c.token, c.until = answer.Token, time.Now().Add(time.Duration(max(0, answer.Seconds-30))*time.Second)
	return c.token, nil
}

// failed is the fault of an unexpected status.
func failed(res *http.Response, what string) error {
	kind := fault.Unavailable
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		kind = fault.Unauthorized
	case res.StatusCode/100 == 4 && res.StatusCode != http.StatusTooManyRequests:
		kind = fault.Invalid
	}
	return fault.New(kind, "%s：对方回答 HTTP %d", what, res.StatusCode)
}
