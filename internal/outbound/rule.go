package outbound

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// rule is one entry of the list.
type rule struct {
	name   string // exact host, or with below the domain; "" for addresses
	below  bool
	prefix netip.Prefix
	port   string // "" = any
}

func (r rule) names(host string) bool {
	if r.below {
		return strings.HasSuffix(host, "."+r.name)
	}
	return r.name != "" && host == r.name
}

func parse(list []string) ([]rule, error) {
	out := make([]rule, 0, len(list))
	for _, entry := range list {
		r, ok := parseRule(strings.TrimSpace(entry))
		if !ok {
			return nil, fault.New(fault.Invalid, "配置 outbound.allow 的 %q 应为主机名、主机名:端口、*.域名、IP 地址或网段（如 10.1.0.0/16）", entry)
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRule(entry string) (r rule, ok bool) {
	if p, err := netip.ParsePrefix(entry); err == nil {
		return rule{prefix: p.Masked()}, true
	}
	host := entry
	if h, port, err := net.SplitHostPort(entry); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return r, false
		}
		host, r.port = h, port
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		r.prefix = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())
		return r, true
	}
	r.name = canonical(host)
	r.name, r.below = strings.CutPrefix(r.name, "*.")
	return r, r.name != "" && !strings.ContainsAny(r.name, "/:*@[] \t?#")
}

// internal are the ranges beside those netip knows that are no public hosts:
// carrier-grade NAT, protocol assignments, benchmarks, reserved, and the ways
// IPv6 wraps an IPv4 address (IANA special-purpose registries).
var internal = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

// public reports whether an address is of the public Internet.
func public(ip netip.Addr) bool {
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return false
	}
	for _, p := range internal {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
