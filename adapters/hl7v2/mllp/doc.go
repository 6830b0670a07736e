// Package mllp receives HL7 v2 messages over the Minimal Lower Layer Protocol
// (HL7 v2.5.1 appendix C): VT, the message, FS, CR. A message is acknowledged
// when the inbound queue holds it durably; what cannot be read is answered with
// a rejection and kept among the dead letters.
package mllp

import (
	"crypto/tls"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Kind is the kind of the messages this package makes.
const Kind = "hl7v2"

// Config says how to listen.
type Config struct {
	Source     string // source name of messages
	Addr       string // host:port; port 0 = any free one
	TLS        *tls.Config
	MaxMessage int           // bytes of one message
	KeptBytes  int           // bytes kept of what is larger
	MaxConns   int           // connections at one time; more are closed at once
	Idle       time.Duration // between messages
	Stall      time.Duration // between two reads inside a message
	Retry      time.Duration // how long to try to keep a message whose sender wants no answer
}

// Default listens on loopback for messages up to 50 MB.
func Default() Config {
	return Config{Source: "mllp", Addr: "127.0.0.1:2575", MaxMessage: 50 << 20, KeptBytes: 1 << 20, MaxConns: 2000,
		Idle: 30 * time.Minute, Stall: 30 * time.Second, Retry: 30 * time.Second}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	if c.Source == "" || c.Addr == "" {
		return fault.New(fault.Invalid, "mllp.source 与 mllp.addr 不能为空")
	}
	if c.MaxMessage < 1024 || c.KeptBytes < 0 || c.MaxConns < 1 || c.Idle <= 0 || c.Stall <= 0 || c.Retry <= 0 {
		return fault.New(fault.Invalid, "mllp 的上限与时限应大于 0")
	}
	return nil
}
