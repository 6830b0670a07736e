package measures

import (
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Threshold is what an installation expects of an indicator: of halls of a
// level ("" = every level), from a day on, until a day. None is shipped: the
// values are the supervising authority's.
type Threshold struct {
	Measure string   `yaml:"measure" json:"measure"`
	Level   string   `yaml:"level" json:"level,omitempty"` // of hall.level: hospital, community, township, village …
	AtLeast *float64 `yaml:"atLeast" json:"atLeast,omitempty"`
	AtMost  *float64 `yaml:"atMost" json:"atMost,omitempty"`
	From    string   `yaml:"from" json:"from,omitempty"`     // YYYY-MM-DD, "" = always
	To      string   `yaml:"to" json:"to,omitempty"`         // last day
	Source  string   `yaml:"source" json:"source"`           // the document that sets it
	Weight  float64  `yaml:"weight" json:"weight,omitempty"` // in a hall's appraisal; 0 = 1
}

// ValidateThresholds reports the first threshold that cannot be.
func ValidateThresholds(list []Threshold) error {
	for _, t := range list {
		if t.Measure == "" || t.AtLeast == nil && t.AtMost == nil || t.Source == "" {
			return fault.New(fault.Invalid, "supervision.thresholds：每条要有 measure、atLeast 或 atMost，以及依据 source")
		}
		if t.Weight < 0 {
			return fault.New(fault.Invalid, "supervision.thresholds：%s 的权重 weight 不能为负", t.Measure)
		}
		for _, day := range []string{t.From, t.To} {
			if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
				return fault.New(fault.Invalid, "supervision.thresholds：%s 的日期 %q 应写作 2026-01-01", t.Measure, day)
			}
		}
	}
	return nil
}

// SetThresholds ties the installation's thresholds to the indicators; call it
// once, before use. fault.NotFound for an indicator that is none.
func (c *Catalogue) SetThresholds(list []Threshold) error {
	for _, t := range list {
		m, err := c.Get(t.Measure)
		if err != nil {
			return err
		}
		m.Thresholds = append(m.Thresholds, t)
	}
	return nil
}

// Threshold returns what holds for a hall's level on a day: its own, else that
// for every level; nil if there is none.
func (m *Measure) Threshold(level string, day time.Time) *Threshold {
	on := day.In(Shanghai()).Format(time.DateOnly)
	var found *Threshold
	for i := range m.Thresholds {
		t := &m.Thresholds[i]
		if t.From != "" && on < t.From || t.To != "" && on > t.To {
			continue
		}
		if t.Level == level || t.Level == "" && found == nil {
			found = t
		}
	}
	return found
}
