package outbound

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func client(t *testing.T, allow ...string) *Client {
	t.Helper()
	c, err := New(Config{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestCheck(t *testing.T) {
	c := client(t, "Example.org", "api.example.com:8443", "*.gov.cn", "10.1.0.0/16", "192.168.1.5")
	for _, u := range []string{"http://example.org/x", "https://EXAMPLE.org.:444/", "https://api.example.com:8443/", "http://a.b.gov.cn", "http://10.1.2.3:80/", "http://192.168.1.5", "http://[::ffff:10.1.2.3]/"} {
		if err := c.Check(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://example.org.evil.com/", "https://api.example.com/", "http://gov.cn", "http://evilgov.cn", "http://10.2.0.1", "http://127.0.0.1", "http://evil.com/example.org",
		"http://evil.com#example.org", "http://evil.com?@example.org", "http://2130706433/"} {
		if err := c.Check(u); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://example.org@evil.com/", "file:///etc/passwd", "ftp://example.org", "//example.org", "http://", "http://user:pw@example.org/", "http://exa mple.org"} {
		if err := c.Check(u); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestConfig_bad(t *testing.T) {
	for _, entry := range []string{"", "http://example.org", "*", "a b", "h:0", "h:70000", "10.0.0.0/33", "*.*.cn", "user@host"} {
		if err := (Config{Allow: []string{entry}}).Validate(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

// TestInside: a listed name does not open the way inwards.
func TestInside(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	c := client(t, "10.0.0.1", "localhost")
	if _, err := c.HTTP(time.Second).Get(srv.URL); !fault.Is(err, fault.Forbidden) {
		t.Errorf("unlisted address: %v", err)
	}
	if resp, err := c.HTTP(time.Second).Get("http://localhost:" + u.Port()); err != nil {
		t.Errorf("localhost: %v", err)
	} else {
		resp.Body.Close()
	}
	named := client(t, "hall.example")
	if named.inside("hall.example", netip.MustParseAddr("127.0.0.1")) || public(netip.MustParseAddr("127.0.0.1")) {
		t.Error("a listed name may not be an internal address")
	}
	if both := client(t, "hall.example", "127.0.0.0/8"); !both.inside("hall.example", netip.MustParseAddr("127.0.0.1")) {
		t.Error("name and range are listed")
	}
	for _, ip := range []string{"10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "::1", "fe80::1", "fd00::1", "0.0.0.0", "64:ff9b::a00:1", "224.0.0.1"} {
		if public(netip.MustParseAddr(ip)) {
			t.Errorf("%s is not public", ip)
		}
	}
	for _, ip := range []string{"8.8.8.8", "114.114.114.114", "2400:3200::1"} {
		if !public(netip.MustParseAddr(ip)) {
			t.Errorf("%s is public", ip)
		}
	}
}

// TestRedirect: credentials stay with the origin, and unlisted hosts are refused.
func TestRedirect(t *testing.T) {
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }))
	defer other.Close()
	to := other.URL
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }))
	defer srv.Close()
	c := client(t, "127.0.0.1")
	send := func() error {
		req, err := http.NewRequest("POST", srv.URL+"?secret=1", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer x"}, "X-Api-Key": {"k"}, "Cookie": {"a=b"}, "Content-Type": {"application/fhir+json"}}
		resp, err := c.HTTP(5 * time.Second).Do(req)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "Referer"} {
		if got.Get(name) != "" {
			t.Errorf("%s crossed the redirect", name)
		}
	}
	if got.Get("Content-Type") == "" {
		t.Error("the media type must cross")
	}
	to = "http://localhost:1/"
	if err := send(); !fault.Is(err, fault.Forbidden) {
		t.Errorf("redirect to an unlisted host: %v", err)
	}
}
