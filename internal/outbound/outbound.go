// Package outbound is the one HTTP client by which the hub calls others. It
// reaches only the hosts that the operator listed (configuration
// outbound.allow), by name as it stands in the parsed address and by the
// address that name resolves to; it carries no credentials across redirects.
package outbound

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config lists whom the hub may call.
type Config struct {
	// Allow lists hosts: name, name:port, *.domain (any name below it), an IP
	// address, or a range as 10.1.0.0/16. Addresses that are not of the public
	// Internet are dialled only if an address or a range here covers them, or
	// the entry is localhost.
	Allow []string `yaml:"allow"`
}

// Local is the list of a hub that only its own machine can reach.
func Local() Config { return Config{Allow: []string{"localhost", "127.0.0.0/8", "::1"}} }

// Validate reports the first entry that is no host.
func (c Config) Validate() error {
	_, err := parse(c.Allow)
	return err
}

// Client calls the listed hosts. Safe for concurrent use.
type Client struct {
	rules     []rule
	transport *http.Transport
	dialer    net.Dialer
}

// New returns a client for the hosts of cfg; an empty list allows none.
func New(cfg Config) (*Client, error) {
	rules, err := parse(cfg.Allow)
	if err != nil {
		return nil, err
	}
	c := &Client{rules: rules, dialer: net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}}
	c.transport = &http.Transport{ // no proxy: it would dial for us, past the rules
		DialContext: c.DialContext, ForceAttemptHTTP2: true, MaxIdleConns: 100, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second, ExpectContinueTimeout: time.Second, MaxResponseHeaderBytes: 64 << 10}
	return c, nil
}

// Close ends the idle connections.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// HTTP returns a client whose requests, redirects included, obey the rules;
// limit bounds a whole exchange, 0 = only the request's context does.
func (c *Client) HTTP(limit time.Duration) *http.Client {
	return &http.Client{Transport: c, CheckRedirect: c.redirect, Timeout: limit}
}

// RoundTrip implements http.RoundTripper for requests to listed hosts.
// fault.Forbidden for others.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := c.allow(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return c.transport.RoundTrip(r)
}

// Check reports whether the hub may call an address: fault.Invalid if it is no
// absolute http(s) URL, fault.Forbidden if its host is not listed.
func (c *Client) Check(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fault.New(fault.Invalid, "地址不是有效的 URL：%w", err)
	}
	return c.allow(u)
}

func (c *Client) allow(u *url.URL) error {
	port := u.Port()
	switch {
	case u.Scheme == "http" && port == "":
		port = "80"
	case u.Scheme == "https" && port == "":
		port = "443"
	case u.Scheme != "http" && u.Scheme != "https":
		return fault.New(fault.Invalid, "只能访问 http 或 https 地址")
	}
	if u.Hostname() == "" || u.User != nil {
		return fault.New(fault.Invalid, "地址应有主机名，且不含用户名和密码")
	}
	if !c.listed(u.Hostname(), port) {
		return fault.New(fault.Forbidden, "主机 %s 不在允许外联的名单中：请在配置 outbound.allow 中加入它", u.Host)
	}
	return nil
}

// redirect lets a redirect to a listed host pass. Where it leaves the origin,
// only headers that say nothing of the caller go with it; from https to http
// none does.
func (c *Client) redirect(next *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return fault.New(fault.Unavailable, "重定向超过 5 次")
	}
	if err := c.allow(next.URL); err != nil {
		return err
	}
	next.Header.Del("Referer")
	last, first := via[len(via)-1].URL, via[0].URL
	if last.Scheme == "https" && next.URL.Scheme == "http" {
		return fault.New(fault.Forbidden, "拒绝从 https 重定向到 http")
	}
	if next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		for name := range next.Header {
			if name != "Accept" && name != "User-Agent" && name != "Content-Type" {
				next.Header.Del(name)
			}
		}
	}
	return nil
}

// DialContext dials a listed host, as for a WebSocket. Each address the name
// resolves to is judged at the moment of dialling, so that a name cannot turn
// inwards afterwards. fault.Forbidden for what is not listed.
func (c *Client) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fault.New(fault.Invalid, "地址 %s 不完整：%w", addr, err)
	}
	if !c.listed(host, port) {
		return nil, fault.New(fault.Forbidden, "主机 %s 不在允许外联的名单中：请在配置 outbound.allow 中加入它", addr)
	}
	d := c.dialer
	d.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return err
		}
		if ip := to.Addr().Unmap().WithZone(""); !public(ip) && !c.inside(host, ip) {
			return fault.New(fault.Forbidden, "主机 %s 指向内部地址 %s：请把该地址或网段也写入配置 outbound.allow", host, ip)
		}
		return nil
	}
	return d.DialContext(ctx, network, addr)
}

// listed reports whether an entry names the host.
func (c *Client) listed(host, port string) bool {
	host = canonical(host)
	ip, err := netip.ParseAddr(host)
	for _, r := range c.rules {
		if (r.port == "" || r.port == port) && (err == nil && r.prefix.IsValid() && r.prefix.Contains(ip.Unmap()) || err != nil && r.names(host)) {
			return true
		}
	}
	return false
}

// inside reports whether an entry covers an internal address.
func (c *Client) inside(host string, ip netip.Addr) bool {
	for _, r := range c.rules {
		if r.prefix.IsValid() && r.prefix.Contains(ip) || r.name == "localhost" && canonical(host) == "localhost" && ip.IsLoopback() {
			return true
		}
	}
	return false
}

// canonical writes a host as the entries are written.
func canonical(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }
