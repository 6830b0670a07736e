// Package region exchanges records with county, city and provincial platforms:
// the signed resource feed (package feed), WS/T 790/846-style messages over SOAP
// (package envelope), documents registered by XDS metadata (package xds), and
// the prescriptions that regional platforms push as JSON.
package region

import (
	"context"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/qihuang-health/qihuang/adapters/region/envelope"
	"github.com/qihuang-health/qihuang/adapters/region/feed"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config of the exchange with other platforms.
type Config struct {
	Name      string            `yaml:"name"`      // of this hub, as others know it
	Key       string            `yaml:"key"`       // PEM file (PKCS#8) that signs the feed; "" = one made in the data folder
	Algorithm string            `yaml:"algorithm"` // of a key that is made: SM2-SM3 | Ed25519
	Types     []string          `yaml:"types"`     // resources that go into the feed
	Envelope  envelope.Template `yaml:"envelope"`  // of /services/region
	Peers     []Peer            `yaml:"peers"`
}

// Peer is another platform.
type Peer struct {
	Name      string             `yaml:"name"`      // as in its feed
	Base      string             `yaml:"base"`      // http(s) address of a hub; "" = it only calls us
	PublicKey string             `yaml:"publicKey"` // PEM text
	Token     string             `yaml:"token"`     // Authorization: Bearer … both ways
	Pull      string             `yaml:"pull"`      // five-part cron; "" = on demand
	Push      string             `yaml:"push"`
	Documents string             `yaml:"documents"` // SOAP address to which documents are submitted; "" = Base + /services/region
	Envelope  *envelope.Template `yaml:"envelope"`  // of that address; null = as ours
}

// Default has no peers and signs with SM2.
func Default() Config {
	return Config{Name: "hub", Algorithm: feed.SM2, Envelope: envelope.Default(), Peers: []Peer{}, Types: []string{"Organization", "Practitioner", "PractitionerRole", "Patient",
		"Encounter", "Condition", "Observation", "ClinicalImpression", "Composition", "MedicationRequest", "Medication", "Procedure", "ChargeItem", "Coverage", "DocumentReference", "Binary", "MeasureReport"}}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	if c.Name == "" || len(c.Types) == 0 || c.Algorithm != feed.SM2 && c.Algorithm != feed.Ed25519 {
		return fault.New(fault.Invalid, "region：name 与 types 不能为空，algorithm 应为 %s 或 %s", feed.SM2, feed.Ed25519)
	}
	if err := c.Envelope.Validate(); err != nil {
		return err
	}
	seen := map[string]bool{c.Name: true}
	for _, p := range c.Peers {
		if p.Name == "" || seen[p.Name] {
			return fault.New(fault.Invalid, "region.peers：每个平台要有自己的 name，且不同于本平台的 %s", c.Name)
		}
		seen[p.Name] = true
		if _, err := feed.NewVerifier([]byte(p.PublicKey)); err != nil {
			return fault.New(fault.Invalid, "region.peers %s：publicKey：%w", p.Name, err)
		}
		for _, plan := range []string{p.Pull, p.Push} {
			if _, err := cron.ParseStandard(plan); plan != "" && err != nil {
				return fault.New(fault.Invalid, "region.peers %s：计划 %q 应为五段 cron：%w", p.Name, plan, err)
			}
		}
		if p.Envelope != nil {
			if err := p.Envelope.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Searcher finds resources by a FHIR search query; *search.Engine is one.
type Searcher interface {
	IDs(ctx context.Context, ix search.Index, typ, query string, limit int) ([]string, error)
}

// Schedule pulls and pushes by the peers' plans until ctx ends. note gets the
// result of each exchange.
func Schedule(ctx context.Context, c Config, zone *time.Location, x *feed.Exchange, note func(act string, r feed.Result, err error)) error {
	plan := cron.New(cron.WithLocation(zone), cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger)))
	for _, p := range c.Peers {
		for _, job := range []struct {
			act, spec string
			do        func(context.Context, string) (feed.Result, error)
		}{{"pull", p.Pull, x.Pull}, {"push", p.Push, x.Push}} {
			if job.spec == "" {
				continue
			}
			if _, err := plan.AddFunc(job.spec, func() {
				r, err := job.do(ctx, p.Name)
				note(job.act, r, err)
			}); err != nil {
				return err
			}
		}
	}
	plan.Start()
	<-ctx.Done()
	<-plan.Stop().Done()
	return nil
}
