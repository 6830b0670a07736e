package alerts

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Kind is how a rule looks at a series.
type Kind string

// The kinds of rules.
const (
	Threshold  Kind = "threshold"  // the window's value is above or below a limit
	Change     Kind = "change"     // the window differs from the days before it
	Peer       Kind = "peer"       // the window differs from halls of the same level
	Silence    Kind = "silence"    // a hall that usually has visits has none
	Impossible Kind = "impossible" // what cannot be
	Cluster    Kind = "cluster"    // many cases of one disease or syndrome within the window
)

// Rule is one rule. Which fields count depends on the kind; see
// conformance/rules/alerts.yaml for each.
type Rule struct {
	Name    string `yaml:"name" json:"name"`
	Title   string `yaml:"title" json:"title"`
	Kind    Kind   `yaml:"kind" json:"kind"`
	Level   string `yaml:"level" json:"level"` // info | warning | serious
	Due     int    `yaml:"due" json:"due"`     // days to mend
	Measure string `yaml:"measure" json:"measure,omitempty"`

	Window    int                 `yaml:"window" json:"window,omitempty"`       // days looked at
	Least     float64             `yaml:"least" json:"least,omitempty"`         // denominator (or count) below which nothing is said
	Above     *float64            `yaml:"above" json:"above,omitempty"`         // threshold, impossible
	Below     *float64            `yaml:"below" json:"below,omitempty"`         // threshold
	ByLevel   map[string]Interval `yaml:"byLevel" json:"byLevel,omitempty"`     // threshold: by level of the hall
	Baseline  int                 `yaml:"baseline" json:"baseline,omitempty"`   // change, silence, cluster: days before the window
	Factor    float64             `yaml:"factor" json:"factor,omitempty"`       // change, cluster
	Direction string              `yaml:"direction" json:"direction,omitempty"` // change, peer: up | down | "" both
	Peers     int                 `yaml:"peers" json:"peers,omitempty"`         // peer: fewest halls to compare
	Z         float64             `yaml:"z" json:"z,omitempty"`                 // peer, cluster
	Deviation float64             `yaml:"deviation" json:"deviation,omitempty"` // peer: least share of the median it must be off
	Days      int                 `yaml:"days" json:"days,omitempty"`           // silence
	Usual     float64             `yaml:"usual" json:"usual,omitempty"`         // silence: share of baseline days with visits
	Fact      string              `yaml:"fact" json:"fact,omitempty"`           // impossible: visit | prescription
	Where     string              `yaml:"where" json:"where,omitempty"`         // impossible: SQL over the fact's columns
	By        string              `yaml:"by" json:"by,omitempty"`               // impossible: doctor = count per doctor and day; cluster: disease | syndrome

	measure *measures.Measure
}

// Interval is a pair of limits; a missing one does not limit.
type Interval struct {
	Above *float64 `yaml:"above" json:"above,omitempty"`
	Below *float64 `yaml:"below" json:"below,omitempty"`
}

var ruleName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// additive are numerators and denominators whose days add up.
var additive = regexp.MustCompile(`^(count\(\)|countIf\([^;]*\)|sum\([^;]*\)|sumIf\([^;]*\)|)$`)

// Load reads rules from YAML and ties them to the indicators. fault.Invalid
// tells which rule is wrong and how.
func Load(data []byte, c *measures.Catalogue) ([]*Rule, error) {
	var file struct {
		Rules []*Rule `yaml:"rules"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Invalid, "预警规则文件有误：%w", err)
	}
	seen := map[string]bool{}
	for _, r := range file.Rules {
		if !ruleName.MatchString(r.Name) || seen[r.Name] {
			return nil, fault.New(fault.Invalid, "预警规则 %q：name 应为小写字母、数字与连字符，且不重复", r.Name)
		}
		seen[r.Name] = true
		if err := r.tie(c); err != nil {
			return nil, fault.New(fault.Invalid, "预警规则 %s：%w", r.Name, err)
		}
	}
	return file.Rules, nil
}

// tie checks a rule and finds its indicator.
func (r *Rule) tie(c *measures.Catalogue) (err error) {
	if r.Title == "" || !slices.Contains([]string{"info", "warning", "serious"}, r.Level) || r.Due < 1 || r.Due > 365 {
		return fault.New(fault.Invalid, "要写 title，level 为 info、warning 或 serious，due 为 1–365 天")
	}
	if r.Kind == Impossible {
		return r.tieImpossible()
	}
	if r.measure, err = c.Get(r.Measure); err != nil {
		return err
	}
	if r.By != "" && r.Kind != Cluster {
		return fault.New(fault.Invalid, "by 只用于 cluster 和 impossible")
	}
	if !additive.MatchString(r.measure.Numerator) || !additive.MatchString(r.measure.Denominator) {
		return fault.New(fault.Invalid, "指标 %s 的各日不能相加，不能用于预警", r.Measure)
	}
	switch r.Kind {
	case Threshold:
		if r.Window < 1 || r.Above == nil && r.Below == nil && len(r.ByLevel) == 0 {
			return fault.New(fault.Invalid, "threshold 要有 window 和 above、below 或 byLevel")
		}
	case Change:
		if r.Window < 1 || r.Baseline < r.Window || r.Factor <= 1 {
			return fault.New(fault.Invalid, "change 要有 window、不短于它的 baseline 和大于 1 的 factor")
		}
	case Peer:
		if r.Window < 1 || r.Peers < 3 || r.Z <= 0 {
			return fault.New(fault.Invalid, "peer 要有 window、至少 3 个 peers 和大于 0 的 z")
		}
	case Cluster:
		if r.Window < 1 || r.Baseline < r.Window || r.Factor <= 1 || r.Least < 2 || r.Z <= 0 || !slices.Contains([]string{"disease", "syndrome"}, r.By) || r.measure.Denominator != "" || r.measure.Fact != "visit" {
			return fault.New(fault.Invalid, "cluster 要有 by: disease 或 syndrome、计数的就诊指标、window、不短于它的 baseline、大于 1 的 factor、大于 0 的 z 和至少为 2 的 least")
		}
	case Silence:
		if r.Days < 1 || r.Baseline < 1 || r.Usual <= 0 || r.Usual > 1 {
			return fault.New(fault.Invalid, "silence 要有 days、baseline 和 0–1 之间的 usual")
		}
	default:
		return fault.New(fault.Invalid, "没有 kind %q", r.Kind)
	}
	if r.span() > 400 {
		return fault.New(fault.Invalid, "窗口与基线合计不超过 400 天")
	}
	return nil
}

func (r *Rule) tieImpossible() error {
	if r.Fact == "" {
		r.Fact = "visit"
	}
	if r.Fact != "visit" && r.Fact != "prescription" || r.Above == nil || r.By != "" && r.By != "doctor" || r.Where == "" && r.By == "" {
		return fault.New(fault.Invalid, "impossible 要有 above，以及 where 或 by: doctor；fact 为 visit 或 prescription")
	}
	numerator := "count()"
	if r.Where != "" {
		numerator = "countIf(" + r.Where + ")"
	}
	r.measure = &measures.Measure{Name: r.Name, Title: r.Title, Fact: r.Fact, Numerator: numerator, Wide: true, Unit: "次"}
	return nil
}

// span is how many days before and with the day the rule looks at.
func (r *Rule) span() int {
	switch r.Kind {
	case Change, Cluster:
		return r.Window + r.Baseline
	case Silence:
		return r.Days + r.Baseline
	case Impossible:
		return 1
	}
	return r.Window
}

// limits are the threshold's for a hall's level.
func (r *Rule) limits(level string) Interval {
	if own, ok := r.ByLevel[level]; ok {
		return own
	}
	return Interval{r.Above, r.Below}
}
