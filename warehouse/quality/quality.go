// Package quality measures the data that halls send: who is late or silent,
// which values cannot be, what is missing, what was refused. It reads the
// warehouse; follow-up is a task of package alerts.
package quality

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Hall is the state of one hall's data in a period.
type Hall struct {
	Org        string  `json:"org"`
	Name       string  `json:"name"`
	Visits     int64   `json:"visits"`     // finished
	Unfinished int64   `json:"unfinished"` // begun, never finished
	Days       int64   `json:"days"`       // with visits
	Missing    int64   `json:"missing"`    // days of the period without any, from the hall's first visit on
	Last       string  `json:"last"`       // day of the newest visit
	LateP95    float64 `json:"lateP95"`    // hours from the visit to the warehouse, 95th percentile
	Late       int64   `json:"late"`       // visits that came more than a day later
	NoSyndrome float64 `json:"noSyndrome"` // shares of visits that lack it
	NoICD10    float64 `json:"noIcd10"`
	NoCharge   float64 `json:"noCharge"`
	NoRecord   float64 `json:"noRecord"`
	Impossible int64   `json:"impossible"` // visits at an age below 0 or above 120, or without a patient
	Outlier    float64 `json:"outlier"`    // robust z of visits a day among the halls
	Issues     int     `json:"issues"`     // how many of the checks it fails
}

// Limits are from where a check counts as failed; the project's defaults, to be
// set per installation.
type Limits struct {
	LateHours float64 `yaml:"lateHours" json:"lateHours"`
	Missing   int64   `yaml:"missing" json:"missing"`
	Lacking   float64 `yaml:"lacking" json:"lacking"`
	Outlier   float64 `yaml:"outlier" json:"outlier"`
}

// DefaultLimits are the project's defaults; no authority set them.
func DefaultLimits() Limits { return Limits{LateHours: 24, Missing: 2, Lacking: 0.1, Outlier: 3} }

// Check measures every hall's data of the scope, the worst first.
func Check(ctx context.Context, c *measures.Catalogue, q measures.Querier, scope measures.Scope, l Limits) ([]Hall, error) {
	halls := map[string]*Hall{}
	if err := shares(ctx, c, q, scope, halls); err != nil {
		return nil, err
	}
	if err := timeliness(ctx, q, scope, halls); err != nil {
		return nil, err
	}
	outliers(halls)
	out := make([]Hall, 0, len(halls))
	for _, h := range halls {
		h.judge(l)
		out = append(out, *h)
	}
	slices.SortFunc(out, func(a, b Hall) int {
		if a.Issues != b.Issues {
			return b.Issues - a.Issues
		}
		return strings.Compare(a.Org, b.Org)
	})
	return out, nil
}

// shares come from the indicators, so that they are the numbers of the cockpit.
func shares(ctx context.Context, c *measures.Catalogue, q measures.Querier, scope measures.Scope, halls map[string]*Hall) error {
	var list []*measures.Measure
	for _, name := range []string{"outpatient-visits", "clinic-days", "syndrome-recorded-rate", "icd10-recorded-rate", "charged-visit-rate", "record-rate"} {
		m, err := c.Get(name)
		if err != nil {
			return err
		}
		list = append(list, m)
	}
	list = append(list, &measures.Measure{Name: "impossible", Fact: "visit", Numerator: "countIf(age < 0 OR age > 120 OR patient_id IS NULL)", Wide: true})
	rows, err := c.Table(ctx, q, scope, []string{"org"}, list...)
	if err != nil {
		return err
	}
	lacking := func(s measures.Score) float64 {
		if !s.Defined {
			return 0
		}
		return 1 - s.Value
	}
	for _, r := range rows {
		s := r.Scores
		halls[r.Keys[0]] = &Hall{Org: r.Keys[0], Visits: int64(s[0].Value), Days: int64(s[1].Value), NoSyndrome: lacking(s[2]), NoICD10: lacking(s[3]), NoCharge: lacking(s[4]), NoRecord: lacking(s[5]),
			Impossible: int64(s[6].Value)}
	}
	return nil
}

// scoped limits visits to a period and its halls.
const scoped = `start >= {from:DateTime64(3, 'UTC')} AND start < {to:DateTime64(3, 'UTC')} AND (empty({orgs:Array(String)}) OR org_code IN {orgs:Array(String)})`

// timeliness reads when visits came. A visit's first version in the landing
// table tells when it was first heard of.
func timeliness(ctx context.Context, q measures.Querier, scope measures.Scope, halls map[string]*Hall) error {
	const sql = `WITH visits AS (SELECT id, ifNull(org_code, '') AS org, org_name AS name, status, start FROM qihuang.encounter FINAL WHERE ` + scoped + `),
 heard AS (SELECT id, min(last_updated) AS at FROM qihuang.resource WHERE type = 'Encounter' AND id IN (SELECT id FROM visits) GROUP BY id)
SELECT v.org, ifNull(any(v.name), ''), countIf(v.status != 'finished'), toString(max(toDate(v.start, 'Asia/Shanghai'))),
  dateDiff('day', min(toDate(v.start, 'Asia/Shanghai')), least(toDate({to:DateTime64(3, 'UTC')} - INTERVAL 1 SECOND, 'Asia/Shanghai'), toDate(now(), 'Asia/Shanghai'))) + 1,
  quantileExact(0.95)(dateDiff('second', assumeNotNull(v.start), h.at) / 3600), countIf(dateDiff('second', assumeNotNull(v.start), h.at) > 86400)
FROM visits AS v LEFT JOIN heard AS h ON h.id = v.id GROUP BY v.org`
	return q.Query(ctx, sql, scope.Params(), func(scan func(...any) error) error {
		var org, name, last string
		var unfinished, late uint64
		var span int64
		var p95 float64
		if err := scan(&org, &name, &unfinished, &last, &span, &p95, &late); err != nil {
			return fmt.Errorf("timeliness: %w", err)
		}
		h := halls[org]
		if h == nil { // only unfinished ones
			h = &Hall{Org: org}
			halls[org] = h
		}
		h.Name, h.Unfinished, h.Last, h.Missing = name, int64(unfinished), last, max(0, span-h.Days)
		h.LateP95, h.Late = math.Round(10*max(0, p95))/10, int64(late)
		return nil
	})
}

// outliers compares visits a day by the robust z value.
func outliers(halls map[string]*Hall) {
	rate := func(h *Hall) float64 { return float64(h.Visits) / float64(max(1, h.Days)) }
	var list []float64
	for _, h := range halls {
		list = append(list, rate(h))
	}
	median := middle(list)
	for i, v := range list {
		list[i] = math.Abs(v - median)
	}
	spread := 1.4826 * middle(list)
	for _, h := range halls {
		if spread > 0 && len(halls) >= 5 {
			h.Outlier = math.Round(10*(rate(h)-median)/spread) / 10
		}
	}
}

func middle(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	if n := len(list); n%2 == 0 {
		return (list[n/2-1] + list[n/2]) / 2
	}
	return list[len(list)/2]
}

// judge counts the checks that the hall fails.
func (h *Hall) judge(l Limits) {
	for _, failed := range []bool{h.LateP95 > l.LateHours, h.Missing >= l.Missing, h.NoSyndrome > l.Lacking, h.NoICD10 > l.Lacking, h.NoCharge > l.Lacking, h.NoRecord > l.Lacking,
		h.Impossible > 0, math.Abs(h.Outlier) > l.Outlier} {
		if failed {
			h.Issues++
		}
	}
}

// Day is how many visits of a day came when.
type Day struct {
	Day    string `json:"day"`
	Visits uint64 `json:"visits"`
	Late   uint64 `json:"late"` // more than a day later
	Halls  uint64 `json:"halls"`
}

// Days is the course of a period: visits, late ones, halls that sent.
func Days(ctx context.Context, q measures.Querier, scope measures.Scope) (list []Day, err error) {
	const sql = `WITH visits AS (SELECT id, org_code, start FROM qihuang.encounter FINAL WHERE ` + scoped + `),
 heard AS (SELECT id, min(last_updated) AS at FROM qihuang.resource WHERE type = 'Encounter' AND id IN (SELECT id FROM visits) GROUP BY id)
SELECT toString(toDate(v.start, 'Asia/Shanghai')) AS day, count(), countIf(dateDiff('second', assumeNotNull(v.start), h.at) > 86400), uniqExact(v.org_code)
FROM visits AS v LEFT JOIN heard AS h ON h.id = v.id GROUP BY day ORDER BY day`
	err = q.Query(ctx, sql, scope.Params(), func(scan func(...any) error) error {
		var d Day
		err := scan(&d.Day, &d.Visits, &d.Late, &d.Halls)
		list = append(list, d)
		return err
	})
	return list, err
}
