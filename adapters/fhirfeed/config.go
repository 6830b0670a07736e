// Package fhirfeed exchanges FHIR resources with other servers: what partners
// push as messages, what the hub pulls by search since the last time or by the
// Bulk Data API, and what it pushes to a partner.
package fhirfeed

import (
	"net/url"
	"slices"
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

// By says how a peer knows a resource.
type By string

// ByID keeps the hub's ids (PUT Type/id). ByIdentifier lets the peer have its own
// (PUT Type?identifier=…); what has no identifier goes by id.
const (
	ByID         By = "id"
	ByIdentifier By = "identifier"
)

// From says where a push that never ran begins.
type From string

// Beginning sends all that the hub holds, Now only what comes.
const (
	Beginning From = "beginning"
	Now       From = "now"
)

// Push says what to send to a FHIR server.
type Push struct {
	Base    string            `yaml:"base"` // of the server, https://host/fhir
	Types   []string          `yaml:"types"`
	Filter  map[string]string `yaml:"filter"` // type → search parameters that its resources must fulfil, a=b&c=d
	By      By                `yaml:"by"`
	System  string            `yaml:"system"` // of the identifier to go by; "" = the first with a system
	From    From              `yaml:"from"`
	Deletes bool              `yaml:"deletes"` // deletions too
	Batch   int               `yaml:"batch"`   // entries of one transaction; one of the hub is never divided
	Timeout time.Duration     `yaml:"timeout"` // of one request
	First   time.Duration     `yaml:"first"`   // pause after the first failure; it doubles
	Longest time.Duration     `yaml:"longest"` // pause
	Auth    Auth              `yaml:"auth"`
}

// DefaultPush sends from the beginning, a hundred resources at a time.
func DefaultPush() Push {
	return Push{Types: DefaultPull().Types, Filter: map[string]string{}, By: ByID, From: Beginning, Deletes: true, Batch: 100,
		Timeout: time.Minute, First: time.Second, Longest: time.Minute}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Push) Validate() error {
	switch {
	case len(c.Types) == 0:
		return fault.New(fault.Invalid, "types 不能为空")
	case c.By != ByID && c.By != ByIdentifier:
		return fault.New(fault.Invalid, "by 只能是 id 或 identifier")
	case c.From != Beginning && c.From != Now:
		return fault.New(fault.Invalid, "from 只能是 beginning 或 now")
	case c.Batch < 1 || c.Batch > 5000:
		return fault.New(fault.Invalid, "batch 应为 1 到 5000，现为 %d", c.Batch)
	case c.Timeout <= 0 || c.First <= 0 || c.Longest < c.First:
		return fault.New(fault.Invalid, "timeout、first 应大于 0，longest 不小于 first")
	}
	for typ, q := range c.Filter {
		if !slices.Contains(c.Types, typ) {
			return fault.New(fault.Invalid, "filter 的 %s 不在 types 里", typ)
		}
		if !own(q) {
			return fault.New(fault.Invalid, "filter 的 %s?%s 只能用资源自己的检索参数", typ, q)
		}
	}
	if err := checkBase(c.Base); err != nil {
		return err
	}
	return c.Auth.check()
}

func (c Push) base() string { return strings.TrimRight(c.Base, "/") }

// own reports whether a query looks at nothing but the resource itself.
func own(q string) bool {
	params, err := url.ParseQuery(q)
	for key := range params {
		if strings.Contains(key, ".") || strings.HasPrefix(key, "_has") || key == "_list" || key == "_filter" {
			return false
		}
	}
	return err == nil
}

// checkBase refuses what is no address of a FHIR server.
func checkBase(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fault.New(fault.Invalid, "base 应为 FHIR 服务地址，现为 %q", base)
	}
	return nil
}

func (a Auth) check() error {
	if a.TokenURL != "" && a.Client == "" {
		return fault.New(fault.Invalid, "auth.tokenURL 需要 auth.client")
	}
	return nil
}

// DefaultPull asks every five minutes.
func DefaultPull() Pull {
	return Pull{Types: []string{"Organization", "Practitioner", "Patient", "Encounter", "Condition", "Observation", "MedicationRequest"},
		Interval: 5 * time.Minute, Count: 200, Overlap: 10 * time.Second, IDs: Derive}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Pull) Validate() error {
	switch {
	case len(c.Types) == 0:
		return fault.New(fault.Invalid, "types 不能为空")
	case c.Interval < time.Second || c.Overlap < 0:
		return fault.New(fault.Invalid, "interval 至少 1s，overlap 不能小于 0")
	case c.Count < 1 || c.Count > 5000:
		return fault.New(fault.Invalid, "count 应为 1 到 5000，现为 %d", c.Count)
	case c.IDs != Keep && c.IDs != Derive:
		return fault.New(fault.Invalid, "ids 只能是 keep 或 derive")
	}
	if err := checkBase(c.Base); err != nil {
		return err
	}
	return c.Auth.check()
}

func (c Pull) base() string { return strings.TrimRight(c.Base, "/") }
