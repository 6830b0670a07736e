// Package source is the desk at which every partner's way in is registered: how
// it is (messages, errors, silence), whether it is paused or outside its hours,
// how fast it may be, and what an operator should be told. The doors and
// pollers themselves are in adapters.
package source

import (
	"fmt"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Rules are what every kind of source has in common in the configuration.
type Rules struct {
	Limit   float64       `yaml:"limit"`   // messages per second at most; 0 = no limit
	Hours   []string      `yaml:"hours"`   // when it works, e.g. 22:00-06:00; empty = always. Outside, pushes are kept and handled later
	Silence time.Duration `yaml:"silence"` // alert when nothing came for so long; 0 = never
	Failing int           `yaml:"failing"` // alert when so many percent of the last quarter hour's messages were refused
}

// DefaultRules has no limits; one refused message in twenty raises an alert.
func DefaultRules() Rules { return Rules{Hours: []string{}, Failing: 5} }

// Validate tells what is wrong with r, nil if nothing.
func (r Rules) Validate() error {
	switch {
	case r.Limit < 0:
		return fault.New(fault.Invalid, "limit 不能小于 0")
	case r.Silence < 0:
		return fault.New(fault.Invalid, "silence 不能小于 0")
	case r.Failing < 0 || r.Failing > 100:
		return fault.New(fault.Invalid, "failing 应为 0 到 100 的百分数")
	}
	for _, h := range r.Hours {
		if _, err := parseSpan(h); err != nil {
			return err
		}
	}
	return nil
}

// span is a part of the day in minutes; it may cross midnight.
type span struct{ from, to int }

func parseSpan(s string) (span, error) {
	var a, b, c, d int
	n, err := fmt.Sscanf(strings.ReplaceAll(s, " ", ""), "%d:%d-%d:%d", &a, &b, &c, &d)
	if err != nil || n != 4 || a < 0 || a > 24 || c < 0 || c > 24 || b < 0 || b > 59 || d < 0 || d > 59 {
		return span{}, fault.New(fault.Invalid, "hours 应写成 22:00-06:00，现为 %q", s)
	}
	return span{a*60 + b, c*60 + d}, nil
}

// open reports whether t lies in one of the hours.
func (r Rules) open(t time.Time) bool {
	if len(r.Hours) == 0 {
		return true
	}
	now := t.Hour()*60 + t.Minute()
	for _, h := range r.Hours {
		s, err := parseSpan(h)
		switch {
		case err != nil:
		case s.from <= s.to && now >= s.from && now < s.to, s.from > s.to && (now >= s.from || now < s.to):
			return true
		}
	}
	return false
}
