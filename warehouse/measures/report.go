package measures

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

// Report evaluates m and renders a FHIR MeasureReport (R4, summary): counts of
// the populations, measureScore, period and subject. subject is a reference
// ("Organization/…") or "".
func (c *Catalogue) Report(ctx context.Context, q Querier, m *Measure, scope Scope, subject string, now time.Time) ([]byte, error) {
	scores, err := c.Evaluate(ctx, q, scope, m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(m.Report(scores[0], scope, subject, now))
}

// Report renders a score of m as a FHIR MeasureReport.
func (m *Measure) Report(s Score, scope Scope, subject string, now time.Time) r4.MeasureReport {
	zone := Shanghai()
	begin, end := scope.From.In(zone).Format("2006-01-02"), scope.To.Add(-time.Second).In(zone).Format("2006-01-02")
	date := now.In(zone).Format(time.RFC3339)
	report := r4.MeasureReport{Status: r4.MeasureReportStatusComplete, Type: r4.MeasureReportTypeSummary, Measure: m.URL, Date: &date,
		Period: r4.Period{Start: &begin, End: &end}}
	if subject != "" {
		report.Subject = &r4.Reference{Reference: &subject}
	}
	report.Group = []r4.MeasureReportGroup{m.group(s)}
	return report
}

func (m *Measure) group(s Score) (group r4.MeasureReportGroup) {
	if m.Denominator == "" {
		group.Population = []r4.MeasureReportGroupPopulation{population("initial-population", s.Numerator)}
	} else {
		group.Population = []r4.MeasureReportGroupPopulation{population("numerator", s.Numerator), population("denominator", s.Denominator)}
	}
	if s.Defined {
		v := json.Number(strconv.FormatFloat(s.Value, 'f', -1, 64))
		group.MeasureScore = &r4.Quantity{Value: &v}
		if m.Unit != "" {
			group.MeasureScore.Unit = &m.Unit
		}
	}
	return group
}

// population is one counted population. FHIR counts are integers; sums of money
// are rounded there and exact in measureScore's parts.
func population(code string, count float64) r4.MeasureReportGroupPopulation {
	system, n := "http://terminology.hl7.org/CodeSystem/measure-population", int(count+0.5)
	return r4.MeasureReportGroupPopulation{Code: &r4.CodeableConcept{Coding: []r4.Coding{{System: &system, Code: &code}}}, Count: &n}
}
