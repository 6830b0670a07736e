package his

import (
	"time"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline"
)

// Config of the township HIS door.
type Config struct {
	Source       string         // source name of messages, "his"
	Zone         *time.Location // of times without a zone
	MaxBody      int64          // bytes of one request
	KeptBody     int64          // bytes kept of a request that is larger than MaxBody
	UnknownCodes UnknownCodes   // what to do with diagnosis codes of no national system

	Codes    mapping.Codes                                      // of local diagnosis codes; nil knows none
	Unmapped func(m *pipeline.Message, list []mapping.Unmapped) // is told codes that nobody mapped yet; may be nil
}

// Default takes bodies up to 50 MB and times of China.
func Default() Config {
	return Config{Source: "his", Zone: time.FixedZone("CST", 8*3600), MaxBody: 50 << 20, KeptBody: 1 << 20, UnknownCodes: Refuse}
}

// Validate tells what is wrong with c, nil if nothing.
func (c Config) Validate() error {
	switch {
	case c.Source == "":
		return fault.New(fault.Invalid, "his.source 不能为空")
	case c.Zone == nil:
		return fault.New(fault.Invalid, "his.zone 未设置")
	case c.MaxBody < 1 || c.KeptBody < 0:
		return fault.New(fault.Invalid, "his.maxBody 应大于 0")
	case c.UnknownCodes != Refuse && c.UnknownCodes != Keep:
		return fault.New(fault.Invalid, "his.unknownCodes 只能是 refuse 或 keep")
	}
	return nil
}
