// Package intake takes national shared documents from partners:
// POST /ingest/cda keeps the bytes as they came in the inbound topic, answers once
// they are on disk, and a sink maps them to the repository. What breaks a fatal
// rule is refused at once and kept among the dead letters.
package intake

import "github.com/qihuang-health/qihuang/internal/fault"

// Kind is the kind of inbound message this package takes.
const Kind = "cda"

// Config is what an operator may set.
type Config struct {
	Source   string // name of the source in messages and policies
	MaxBody  int64  // bytes of one document
	KeptBody int64  // bytes kept of a larger one
}

// Default suits a province: documents of up to 32 MB.
func Default() Config { return Config{Source: "cda", MaxBody: 32 << 20, KeptBody: 1 << 20} }

// Validate checks the limits.
func (c Config) Validate() error {
	if c.Source == "" || c.MaxBody <= 0 || c.KeptBody <= 0 {
		return fault.New(fault.Invalid, "共享文档入口的配置不完整：source、maxBody、keptBody")
	}
	return nil
}
