// Package measures computes the supervision indicators: FHIR Measures whose
// population criteria are ClickHouse aggregates over two facts, the finished
// visit and the prescription. Every number is a ratio of sums at the level
// asked for, computed live over FINAL, so it is as fresh as the tables.
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
	Raw                          []byte // the FHIR Measure
}

// Score is a measure's value for one subject and period.
type Score struct {
	Numerator   float64
	Denominator float64 // 0 for plain counts
	Value       float64 // numerator / denominator, or the numerator
	Defined     bool    // false when the denominator is 0
}

// Catalogue is the set of indicators, read-only and safe for concurrent use.
type Catalogue struct {
	list  []*Measure
	named map[string]*Measure
	facts map[string]string
}

// Load reads the Measures of the guide and the rules of rational use that some
// of them count.
func Load(k *rational.Knowledge) (*Catalogue, error) {
	c := &Catalogue{named: map[string]*Measure{}, facts: map[string]string{"visit": visitFact, "prescription": prescriptionFact(k)}}
	for file, b := range conformance.Measures() {
		tree, err := fhir.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", file, err)
		}
		m := read(tree.Root())
		m.Raw = b
		if c.facts[m.Fact] == "" {
			return nil, fmt.Errorf("measure %s: unknown fact %q", file, m.Fact)
		}
		c.list, c.named[m.Name] = append(c.list, m), m
	}
	return c, nil
}

func read(r fhir.Node) *Measure {
	m := &Measure{Name: r.Get("name").Str(), Title: r.Get("title").Str(), Definition: r.Get("description").Str(), URL: r.Get("url").Str(),
		Source: r.Get("copyright").Str(), Unit: r.Path("extension", "valueString").Str(), Scoring: r.Path("scoring", "coding", "code").Str()}
	for p := range r.Get("group").At(0).Get("population").Children() {
		m.Fact = p.Path("criteria", "name").Str()
		if p.Path("code", "coding", "code").Str() == "denominator" {
			m.Denominator = p.Path("criteria", "expression").Str()
		} else {
			m.Numerator = p.Path("criteria", "expression").Str()
		}
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
	return map[string]string{"from": s.From.UTC().Format(layout), "to": s.To.UTC().Format(layout), "orgs": "[" + strings.Join(quoted, ",") + "]"}
}

// Evaluate computes several indicators of one fact or of both for one scope, in
// one query per fact. Scores are parallel to list.
func (c *Catalogue) Evaluate(ctx context.Context, q Querier, scope Scope, list ...*Measure) ([]Score, error) {
	out := make([]Score, len(list))
	for _, fact := range []string{"visit", "prescription"} {
		var cols []string
		var at []int
		for i, m := range list {
			if m.Fact == fact {
				cols, at = append(cols, column(m.Numerator), column(m.Denominator)), append(at, i)
			}
		}
		if len(at) == 0 {
			continue
		}
		sql := c.facts[fact] + "\nSELECT " + strings.Join(cols, ",\n  ") + "\nFROM " + fact
		err := q.Query(ctx, sql, scope.params(), func(scan func(...any) error) error {
			values := make([]float64, len(cols))
			dest := make([]any, len(cols))
			for i := range values {
				dest[i] = &values[i]
			}
			if err := scan(dest...); err != nil {
				return err
			}
			for j, i := range at {
				out[i] = score(list[i], values[2*j], values[2*j+1])
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("evaluate indicators of %s: %w", fact, err)
		}
	}
	return out, nil
}

// Row is one group of a breakdown.
type Row struct {
	Key   string
	Score Score
}

// Dimensions that a breakdown may group by, with their SQL.
var dimensions = map[string]string{"org": "org_code", "day": "toString(day)", "month": "formatDateTime(day, '%Y-%m')", "doctor": "doctor_id"}

// Breakdown computes one indicator per hall, day, month or doctor.
func (c *Catalogue) Breakdown(ctx context.Context, q Querier, scope Scope, m *Measure, dimension string) ([]Row, error) {
	by := dimensions[dimension]
	if by == "" {
		return nil, fault.New(fault.Invalid, "不能按 %q 分组，可用：org、day、month、doctor", dimension)
	}
	sql := fmt.Sprintf("%s\nSELECT %s AS key, %s, %s\nFROM %s GROUP BY key ORDER BY key LIMIT 10000", c.facts[m.Fact], by, column(m.Numerator), column(m.Denominator), m.Fact)
	var rows []Row
	err := q.Query(ctx, sql, scope.params(), func(scan func(...any) error) error {
		var r Row
		var n, d float64
		if err := scan(&r.Key, &n, &d); err != nil {
			return err
		}
		r.Score = score(m, n, d)
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("break %s down by %s: %w", m.Name, dimension, err)
	}
	return rows, nil
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
