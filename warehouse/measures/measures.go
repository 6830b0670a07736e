// Package measures computes the supervision indicators: FHIR Measures whose
// population criteria are ClickHouse aggregates over two facts, the finished
// visit and the prescription. Every number is a ratio of sums at the level
// asked for.
//
// A scope of up to some hundred thousand visits is computed live over FINAL, so
// it is as fresh as the tables. Larger ones are read from marts, which
// refreshable materialised views compute over FINAL (see [Marts] and
// DESIGN.md): the same expressions over the same facts, so the numbers are the
// same.
package measures

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/tcm/rational"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Querier runs SQL with named parameters bound by the server ({name:Type});
// each row is scanned by fn.
type Querier interface {
	Query(ctx context.Context, sql string, params map[string]string, fn func(scan func(dest ...any) error) error) error
}

// Measure is one indicator.
type Measure struct {
	Name, Title, Definition, URL string
	Fact                         string // visit | prescription
	Numerator, Denominator       string // SQL aggregates; Denominator "" = a plain count
	Unit, Source, Scoring        string
	Grain                        string      // the smallest unit it is kept at
	Dimensions                   []Dimension // what it may be broken down by
	From, To                     string      // effective dates, "" = open
	Better                       string      // increase | decrease, "" = neither is good in itself
	Wide                         bool        // it needs columns of the wide fact (age, gender, disease …)
	Thresholds                   []Threshold // the installation's, none by default
	Raw                          []byte      // the FHIR Measure
}

// Dimension is something an indicator may be broken down by.
type Dimension struct{ Name, Title string }

// Score is a measure's value for one subject and period.
type Score struct {
	Numerator   float64
	Denominator float64 // 0 for plain counts
	Value       float64 // numerator / denominator, or the numerator
	Defined     bool    // false when the denominator is 0
}

// Catalogue is the set of indicators, read-only and safe for concurrent use.
type Catalogue struct {
	list   []*Measure
	named  map[string]*Measure
	facts  map[string]*fact
	cubes  map[string]*cube
	limits limits
}

// limits are the visits up to which a scope is computed anew from the tables:
// of the scope, and of all, for the tables are read whole. Larger scopes are
// read from the marts.
type limits struct{ scope, all uint64 }

var liveLimits = limits{200_000, 2_000_000}

// Load reads the Measures of the guide and the rules of rational use that some
// of them count.
func Load(k *rational.Knowledge) (*Catalogue, error) {
	c := &Catalogue{named: map[string]*Measure{}, facts: map[string]*fact{"visit": visitFact(), "prescription": prescriptionFact(k)}, cubes: map[string]*cube{}, limits: liveLimits}
	for file, b := range conformance.Measures() {
		tree, err := fhir.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", file, err)
		}
		m := read(tree.Root())
		m.Raw = b
		if c.facts[m.Fact] == nil {
			return nil, fmt.Errorf("measure %s: unknown fact %q", file, m.Fact)
		}
		c.list, c.named[m.Name] = append(c.list, m), m
	}
	for name := range c.facts {
		c.cubes[name] = cubeOf(c.list, name)
	}
	return c, nil
}

func read(r fhir.Node) *Measure {
	m := &Measure{Name: r.Get("name").Str(), Title: r.Get("title").Str(), Definition: r.Get("description").Str(), URL: r.Get("url").Str(),
		Source: r.Get("copyright").Str(), Scoring: r.Path("scoring", "coding", "code").Str(), Better: r.Path("improvementNotation", "coding", "code").Str(),
		From: r.Path("effectivePeriod", "start").Str(), To: r.Path("effectivePeriod", "end").Str()}
	for x := range r.Get("extension").Children() {
		switch v := x.Get("valueString").Str(); strings.TrimPrefix(x.Get("url").Str(), conformance.Base+"/StructureDefinition/") {
		case "measure-unit":
			m.Unit = v
		case "measure-grain":
			m.Grain = v
		}
	}
	group := r.Get("group").At(0)
	for p := range group.Get("population").Children() {
		m.Fact = p.Path("criteria", "name").Str()
		if p.Path("code", "coding", "code").Str() == "denominator" {
			m.Denominator = p.Path("criteria", "expression").Str()
		} else {
			m.Numerator = p.Path("criteria", "expression").Str()
		}
	}
	for d := range group.Get("stratifier").Children() {
		m.Dimensions = append(m.Dimensions, Dimension{d.Path("code", "coding", "code").Str(), d.Path("code", "coding", "display").Str()})
	}
	return m
}

// All returns the indicators in the order of their names.
func (c *Catalogue) All() []*Measure { return slices.Clone(c.list) }

// Get finds an indicator by name or canonical URL; fault.NotFound.
func (c *Catalogue) Get(name string) (*Measure, error) {
	name = strings.TrimPrefix(name, conformance.Base+"/Measure/")
	if m := c.named[name]; m != nil {
		return m, nil
	}
	return nil, fault.New(fault.NotFound, "没有名为 %q 的指标", name)
}

// Scope limits an evaluation. Empty Orgs = all halls. From is inclusive, To
// exclusive; both are instants (days of indicators begin at Asia/Shanghai
// midnight: see [Day]).
type Scope struct {
	From, To time.Time
	Orgs     []string
	Source   Source // Auto unless a caller knows better
	Rows     int    // most rows of a breakdown; 0 = [MaxGroups]
}

// Shanghai is the zone in which indicators count days (UTC+8, no summer time).
func Shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*3600) }

// Day parses YYYY, YYYY-MM or YYYY-MM-DD as the instant its first day begins,
// and the instant after its last day.
func Day(s string) (begin, end time.Time, err error) {
	for _, f := range []struct {
		layout  string
		y, m, d int
	}{{"2006-01-02", 0, 0, 1}, {"2006-01", 0, 1, 0}, {"2006", 1, 0, 0}} {
		if t, e := time.ParseInLocation(f.layout, s, Shanghai()); e == nil {
			return t, t.AddDate(f.y, f.m, f.d), nil
		}
	}
	if t, e := time.Parse(time.RFC3339, s); e == nil {
		return t, t.Add(time.Second), nil
	}
	return begin, end, fault.New(fault.Invalid, "日期 %q 应写作 2026、2026-11 或 2026-11-22", s)
}

func (s Scope) params() map[string]string {
	quoted := make([]string, len(s.Orgs))
	for i, o := range s.Orgs {
		quoted[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(o) + "'"
	}
	const layout = "2006-01-02 15:04:05.000"
	return map[string]string{"from": s.From.UTC().Format(layout), "to": s.To.UTC().Format(layout), "orgs": "[" + strings.Join(quoted, ",") + "]",
		"from_day": s.From.In(Shanghai()).Format(time.DateOnly), "to_day": s.To.In(Shanghai()).Format(time.DateOnly)}
}

func column(sql string) string {
	if sql == "" {
		return "0."
	}
	return "ifNull(toFloat64(" + sql + "), 0.)"
}

func score(m *Measure, n, d float64) Score {
	s := Score{Numerator: n, Denominator: d, Value: n, Defined: true}
	if m.Denominator != "" {
		s.Defined = d != 0
		s.Value = 0
		if s.Defined {
			s.Value = n / d
		}
	}
	return s
}
