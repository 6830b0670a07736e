// Package publish puts indicators into the repository as MeasureReports, for the
// systems of a health commission: they search them (GET /fhir/MeasureReport),
// and the signed resource feed carries them to other platforms by schedule.
package publish

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	r4 "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Publication is a regular set of reports of the last complete period.
type Publication struct {
	Schedule string   `yaml:"schedule"` // five-part cron, or @daily …
	Period   string   `yaml:"period"`   // day | month | quarter | year
	Levels   []string `yaml:"levels"`   // levels of organisations that get reports of their own (county, city, province, township …); all halls together always do
	Measures []string `yaml:"measures"` // names of indicators; none = all
}

// Validate tells what is wrong with a list of publications, nil if nothing.
func Validate(list []Publication) error {
	for _, p := range list {
		if _, err := cron.ParseStandard(p.Schedule); err != nil {
			return fault.New(fault.Invalid, "supervision.publish：计划 %q 应为五段 cron：%w", p.Schedule, err)
		}
		if _, _, err := p.last(time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// last is the last complete period before now.
func (p Publication) last(now time.Time) (from, to time.Time, err error) {
	y, m, d := now.In(measures.Shanghai()).Date()
	date := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, measures.Shanghai()) }
	switch p.Period {
	case "day":
		return date(y, m, d-1), date(y, m, d), nil
	case "month":
		return date(y, m-1, 1), date(y, m, 1), nil
	case "quarter":
		first := m - (m-1)%3
		return date(y, first-3, 1), date(y, first, 1), nil
	case "year":
		return date(y-1, 1, 1), date(y, 1, 1), nil
	}
	return from, to, fault.New(fault.Invalid, "supervision.publish：period 应为 day、month、quarter 或 year，现为 %q", p.Period)
}

// Publisher computes and files reports; it is safe for concurrent use.
type Publisher struct {
	Cabinet   *cabinet.Cabinet
	Catalogue *measures.Catalogue
	SQL       measures.Querier
}

// Result is what a run did.
type Result struct {
	From      string `json:"from"` // days, both included
	To        string `json:"to"`
	Reports   int    `json:"reports"`   // computed
	Published int    `json:"published"` // of these, new or changed since the last run
}

// Run files the reports of the last complete period. A report whose numbers stand
// as they were is left alone, so that who reads or receives them hears only news.
func (p *Publisher) Run(ctx context.Context, pub Publication) (Result, error) {
	from, to, err := pub.last(p.Cabinet.Clock.Now())
	if err != nil {
		return Result{}, err
	}
	return p.Span(ctx, pub, from, to)
}

// Span files the reports of a span of whole days.
func (p *Publisher) Span(ctx context.Context, pub Publication, from, to time.Time) (r Result, err error) {
	r.From, r.To = from.In(measures.Shanghai()).Format(time.DateOnly), to.Add(-time.Second).In(measures.Shanghai()).Format(time.DateOnly)
	list := p.Catalogue.All()
	if len(pub.Measures) > 0 {
		list = nil
		for _, name := range pub.Measures {
			m, err := p.Catalogue.Get(name)
			if err != nil {
				return r, err
			}
			list = append(list, m)
		}
	}
	subjects, err := p.subjects(ctx, pub.Levels)
	if err != nil {
		return r, err
	}
	for _, subject := range subjects {
		scope := measures.Scope{From: from, To: to}
		if subject != "" {
			if scope.Orgs, err = measures.Halls(ctx, p.SQL, subject); err != nil {
				return r, err
			}
		}
		scores, err := p.Catalogue.Evaluate(ctx, p.SQL, scope, list...)
		if err != nil {
			return r, err
		}
		for i, m := range list {
			news, err := p.file(ctx, m, scores[i], scope, subject)
			if err != nil {
				return r, err
			}
			r.Reports++
			if news {
				r.Published++
			}
		}
	}
	return r, nil
}

// subjects are the organisations of the levels, after "" for all halls.
func (p *Publisher) subjects(ctx context.Context, levels []string) ([]string, error) {
	out := []string{""}
	if len(levels) == 0 {
		return out, nil
	}
	err := p.SQL.Query(ctx, `SELECT id, ifNull(level, '') FROM qihuang.hall FINAL WHERE code IS NOT NULL ORDER BY id LIMIT 20000`, nil, func(scan func(...any) error) error {
		var id, level string
		err := scan(&id, &level)
		if slices.Contains(levels, level) {
			out = append(out, "Organization/"+id)
		}
		return err
	})
	return out, err
}

// file writes one report, unless it says what the one there says.
func (p *Publisher) file(ctx context.Context, m *measures.Measure, s measures.Score, scope measures.Scope, subject string) (news bool, err error) {
	h := sha256.Sum256([]byte(strings.Join([]string{m.Name, subject, scope.From.UTC().Format(time.RFC3339), scope.To.UTC().Format(time.RFC3339)}, "|")))
	report, id := m.Report(s, scope, subject, p.Cabinet.Clock.Now()), "indicator-"+strings.ToLower(base32.StdEncoding.EncodeToString(h[:15]))
	report.Id = &id
	paper := cabinet.Paper{Type: "MeasureReport", ID: id}
	old, err := p.Cabinet.Read(ctx, paper.Type, id)
	switch {
	case err == nil:
		var filed r4.MeasureReport
		if err := json.Unmarshal(old.Body, &filed); err != nil {
			return false, fmt.Errorf("read a report: %w", err)
		}
		if reflect.DeepEqual(filed.Group, report.Group) {
			return false, nil
		}
		paper.Version = old.Version
	case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Gone):
		return false, err
	}
	if paper.Body, err = json.Marshal(report); err != nil {
		return false, err
	}
	if err = p.Cabinet.Put(ctx, paper); fault.Is(err, fault.Precondition) {
		return false, nil // another node was faster
	}
	return err == nil, err
}
