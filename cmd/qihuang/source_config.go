package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/adapters/dbpoll"
	"github.com/qihuang-health/qihuang/adapters/fhirfeed"
	"github.com/qihuang-health/qihuang/adapters/files"
	"github.com/qihuang-health/qihuang/adapters/hl7v2/mllp"
	"github.com/qihuang-health/qihuang/adapters/ingest"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/source"
)

// SourceConfig is one partner's way in, or out: a name, a kind, what all kinds have in
// common, and the section of its kind.
type SourceConfig struct {
	Name         string `yaml:"name"`
	Kind         string `yaml:"kind"`
	Map          string `yaml:"map"` // kind of its messages; "" = told by their content
	source.Rules `yaml:",inline"`

	HTTP  *ingest.Config `yaml:"http,omitempty"`
	SOAP  *ingest.Config `yaml:"soap,omitempty"`
	MLLP  *MLLPConfig    `yaml:"mllp,omitempty"`
	Files *files.Config  `yaml:"files,omitempty"`
	SFTP  *files.SFTP    `yaml:"sftp,omitempty"`
	S3    *files.S3      `yaml:"s3,omitempty"`
	DB    *dbpoll.Config `yaml:"db,omitempty"`
	FHIR  *fhirfeed.Pull `yaml:"fhir-pull,omitempty"`
	Push  *fhirfeed.Push `yaml:"fhir-push,omitempty"`
	NCMS  *NCMSConfig    `yaml:"ncms,omitempty"`
}

// MLLPConfig is one more MLLP listener.
type MLLPConfig struct {
	Address  string        `yaml:"address"` // host:port
	Cert     string        `yaml:"cert"`    // TLS: certificate and key, PEM files; "" = no TLS
	Key      string        `yaml:"key"`
	ClientCA string        `yaml:"clientCA"` // certificates of senders must be of this authority
	MaxMB    int           `yaml:"maxMB"`
	Idle     time.Duration `yaml:"idle"`  // between messages
	Stall    time.Duration `yaml:"stall"` // inside a message
}

func defaultMLLP() MLLPConfig {
	d := mllp.Default()
	return MLLPConfig{Address: "127.0.0.1:2576", MaxMB: d.MaxMessage >> 20, Idle: d.Idle, Stall: d.Stall}
}

// Validate tells what is wrong with c, nil if nothing.
func (c MLLPConfig) Validate() error {
	if (c.Cert == "") != (c.Key == "") {
		return fault.New(fault.Invalid, "cert 与 key 应同时给出")
	}
	if c.ClientCA != "" && c.Cert == "" {
		return fault.New(fault.Invalid, "clientCA 需要 cert 与 key：没有 TLS 就不查对方证书")
	}
	return c.listener("x").Validate()
}

func (c MLLPConfig) listener(name string) mllp.Config {
	cfg := mllp.Default()
	cfg.Source, cfg.Addr, cfg.MaxMessage, cfg.Idle, cfg.Stall = name, c.Address, c.MaxMB<<20, c.Idle, c.Stall
	return cfg
}

// tls reads the certificates, nil without.
func (c MLLPConfig) tls() (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	return mllp.LoadTLS(c.Cert, c.Key, c.ClientCA)
}

// section is a kind's part of a source's configuration.
type section interface{ Validate() error }

// sections gives each kind its section: made of the defaults, and as it stands.
var sections = map[string]struct {
	fill func(*SourceConfig)
	get  func(*SourceConfig) section
}{
	"http":      {func(c *SourceConfig) { c.HTTP = new(ingest.Default()) }, func(c *SourceConfig) section { return c.HTTP }},
	"soap":      {func(c *SourceConfig) { c.SOAP = new(ingest.Default()) }, func(c *SourceConfig) section { return c.SOAP }},
	"mllp":      {func(c *SourceConfig) { c.MLLP = new(defaultMLLP()) }, func(c *SourceConfig) section { return c.MLLP }},
	"files":     {func(c *SourceConfig) { c.Files = new(files.Default()) }, func(c *SourceConfig) section { return c.Files }},
	"sftp":      {func(c *SourceConfig) { c.SFTP = new(files.DefaultSFTP()) }, func(c *SourceConfig) section { return c.SFTP }},
	"s3":        {func(c *SourceConfig) { c.S3 = new(files.DefaultS3()) }, func(c *SourceConfig) section { return c.S3 }},
	"db":        {func(c *SourceConfig) { c.DB = new(dbpoll.Default()) }, func(c *SourceConfig) section { return c.DB }},
	"fhir-pull": {func(c *SourceConfig) { c.FHIR = new(fhirfeed.DefaultPull()) }, func(c *SourceConfig) section { return c.FHIR }},
	"fhir-push": {func(c *SourceConfig) { c.Push = new(fhirfeed.DefaultPush()) }, func(c *SourceConfig) section { return c.Push }},
	"ncms":      {func(c *SourceConfig) { c.NCMS = new(defaultNCMS()) }, func(c *SourceConfig) section { return c.NCMS }},
}

// UnmarshalYAML reads a source over the defaults of its kind; unknown keys are
// errors.
func (c *SourceConfig) UnmarshalYAML(n *yaml.Node) error {
	var head struct {
		Name, Kind string
	}
	if err := n.Decode(&head); err != nil {
		return err
	}
	type plain SourceConfig
	own := SourceConfig{Rules: source.DefaultRules()}
	if s, ok := sections[head.Kind]; ok {
		s.fill(&own)
	}
	text, err := yaml.Marshal(n)
	if err == nil {
		text, err = substitute(text)
	}
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode((*plain)(&own)); err != nil {
		return fmt.Errorf("来源 %s（第 %d 行起）：%w", head.Name, n.Line, err)
	}
	*c = own
	return nil
}

// variable is ${NAME} in a source's settings: the environment variable's value,
// so that passwords need not stand in the file.
var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

func substitute(text []byte) (out []byte, err error) {
	out = variable.ReplaceAllFunc(text, func(m []byte) []byte {
		value, ok := os.LookupEnv(string(m[2 : len(m)-1]))
		if !ok && err == nil {
			err = fault.New(fault.Invalid, "配置用到的环境变量 %s 没有设置", m)
		}
		return []byte(value)
	})
	return out, err
}

// Validate tells what is wrong with c, nil if nothing.
func (c SourceConfig) Validate() error {
	if c.Name == "" {
		return fault.New(fault.Invalid, "配置 sources：每个来源要有 name")
	}
	s, ok := sections[c.Kind]
	if !ok {
		kinds := make([]string, 0, len(sections))
		for k := range sections {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
		return fault.New(fault.Invalid, "来源 %s 的 kind 应为 %v 之一，现为 %q", c.Name, kinds, c.Kind)
	}
	if err := c.Rules.Validate(); err != nil {
		return fault.New(fault.Invalid, "来源 %s：%w", c.Name, err)
	}
	if err := s.get(&c).Validate(); err != nil {
		return fault.New(fault.Invalid, "来源 %s（%s）：%w", c.Name, c.Kind, err)
	}
	return nil
}

// validateSources checks all, and that names are unique.
func validateSources(list []SourceConfig) error {
	seen := map[string]bool{}
	for _, c := range list {
		if err := c.Validate(); err != nil {
			return err
		}
		if seen[c.Name] {
			return fault.New(fault.Invalid, "来源 %s 在配置里出现两次", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}
