// Package fhirfeed exchanges FHIR resources with other servers: what partners
// push as messages, what the hub pulls by search since the last time or by the
// Bulk Data API, and what it pushes to a partner.
package fhirfeed

import (
	"net/url"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// IDs says what becomes of a partner's resource ids.
type IDs string

// Keep takes ids as they are; Derive makes ids of source, type and id, so that
// two partners' Patient/1 stay two.
const (
	Keep   IDs = "keep"
	Derive IDs = "derive"
)

// Pull says what to fetch from a FHIR server.
type Pull struct {
	Base     string        `yaml:"base"` // of the server, https://host/fhir
	Types    []string      `yaml:"types"`
	Query    string        `yaml:"query"` // more search parameters, a=b&c=d
	Interval time.Duration `yaml:"interval"`
	Count    int           `yaml:"count"`   // of a page
	Overlap  time.Duration `yaml:"overlap"` // looked at again each time: servers commit out of order
	Bulk     bool          `yaml:"bulk"`    // by $export instead of searches
	IDs      IDs           `yaml:"ids"`
	Auth     Auth          `yaml:"auth"`
}

// Auth says how the hub shows who it is: a fixed token, or client credentials
// (OAuth 2). Empty = not at all.
type Auth struct {
	Token    string `yaml:"token"`
	TokenURL string `yaml:"tokenURL"`
	Client   string `yaml:"client"`
	Secret   string `yaml:"secret"`
	Scope    string `yaml:"scope"`
}

// DefaultPull asks every five minutes.
func DefaultPull() Pull {
	return Pull{Types: []string{"Organization", "Practitioner", "Patient", "Encounter", "Condition", "Observation", "MedicationRequest"},
		Interval: 5 * time.Minute, Count: 200, Overlap: 10 * time.Second, IDs: Derive}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Pull) Validate() error {
	u, err := url.Parse(c.Base)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fault.New(fault.Invalid, "base 应为 FHIR 服务地址，现为 %q", c.Base)
	case len(c.Types) == 0:
		return fault.New(fault.Invalid, "types 不能为空")
	case c.Interval < time.Second || c.Overlap < 0:
		return fault.New(fault.Invalid, "interval 至少 1s，overlap 不能小于 0")
	case c.Count < 1 || c.Count > 5000:
		return fault.New(fault.Invalid, "count 应为 1 到 5000，现为 %d", c.Count)
	case c.IDs != Keep && c.IDs != Derive:
		return fault.New(fault.Invalid, "ids 只能是 keep 或 derive")
	case c.Auth.TokenURL != "" && c.Auth.Client == "":
		return fault.New(fault.Invalid, "auth.tokenURL 需要 auth.client")
	}
	return nil
}

func (c Pull) base() string { return strings.TrimRight(c.Base, "/") }
