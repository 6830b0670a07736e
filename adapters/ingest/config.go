// Package ingest is the general way in over HTTP: POST /ingest/{source} takes
// JSON, XML, FHIR and HL7 v2 as they are, /soap/{source} takes SOAP 1.1 and 1.2
// in RPC or document style, with MTOM attachments. A message is acknowledged
// when the log holds it; what cannot be read is answered at once with the place,
// and kept.
package ingest

import (
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config of one source that pushes over HTTP or SOAP.
type Config struct {
	MaxBody int64         `yaml:"maxMB"` // of one request, MB
	Stall   time.Duration `yaml:"stall"` // a sender that says nothing for so long inside a request is given up
	Check   bool          `yaml:"check"` // try the map before the answer: the sender is told what it would refuse
	Token   string        `yaml:"token"` // the sender's Authorization: Bearer …; "" = none asked for
}

// Default takes requests up to 50 MB and checks them.
func Default() Config { return Config{MaxBody: 50, Stall: 30 * time.Second, Check: true} }

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	if c.MaxBody < 1 || c.MaxBody > 60 {
		return fault.New(fault.Invalid, "maxMB 应为 1 到 60，现为 %d", c.MaxBody)
	}
	if c.Stall < 100*time.Millisecond {
		return fault.New(fault.Invalid, "stall 至少 100ms，现为 %s", c.Stall)
	}
	return nil
}

// keptBytes are kept of a request that is too large.
const keptBytes = 1 << 20
