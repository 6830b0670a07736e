package report

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/apps/supervision/cabinet"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Evaluator computes indicators of a scope, in the order of list.
type Evaluator func(ctx context.Context, scope measures.Scope, list ...*measures.Measure) ([]measures.Score, error)

// Desk makes reports and leads them on their way; it is safe for concurrent use.
type Desk struct {
	Cabinet   *cabinet.Cabinet
	Catalogue *measures.Catalogue
	Evaluate  Evaluator
}

// MaxListed bounds a list of reports.
const MaxListed = 300

// idOf names a version of the report of a period and place.
func idOf(period string, p Place, number int) string {
	h := sha256.Sum256([]byte(strings.Join([]string{period, p.City, p.Area, p.Org}, "|")))
	return fmt.Sprintf("report-%s-v%d", strings.ToLower(base32.StdEncoding.EncodeToString(h[:10])), number)
}

// Create makes the draft of a period and place with the numbers of now. orgs are
// the halls of the place (nil = all). fault.Conflict if there is one already.
func (d *Desk) Create(ctx context.Context, period string, p Place, orgs []string, by string) (*Report, error) {
	return d.create(ctx, &Report{ID: idOf(period, p, 1), Number: 1, Period: period, Place: p}, orgs, by, "建立草稿")
}

// Correct makes a new version of a locked report, a draft with the numbers of
// now. The locked one stays as it is.
func (d *Desk) Correct(ctx context.Context, id string, orgs []string, by, reason string) (*Report, error) {
	old, err := d.Report(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case !old.Locked():
		return nil, fault.New(fault.Conflict, "报告还没有批准，请退回后直接修改")
	case reason == "":
		return nil, fault.New(fault.Invalid, "更正要写明理由")
	}
	n := old.Number + 1
	return d.create(ctx, &Report{ID: idOf(old.Period, old.Place, n), Number: n, Period: old.Period, Place: old.Place, Replaces: old.ID, Reason: reason}, orgs, by, "建立更正版："+reason)
}

func (d *Desk) create(ctx context.Context, r *Report, orgs []string, by, what string) (*Report, error) {
	var err error
	if r.Kind, r.From, r.To, err = Span(r.Period); err != nil {
		return nil, err
	}
	now := d.Cabinet.Clock.Now()
	switch {
	case by == "":
		return nil, fault.New(fault.Invalid, "请填写编制人")
	case r.From.After(now):
		return nil, fault.New(fault.Invalid, "报告期还没有开始")
	}
	r.State, r.Title = Draft, r.Place.Name+" "+r.Period+" 中医临床业务监管"+kindTitles[r.Kind]
	if r.Number > 1 {
		r.Title += fmt.Sprintf("（更正版 %d）", r.Number)
	}
	if err := d.fill(ctx, r, orgs); err != nil {
		return nil, err
	}
	r.Steps = []Step{{now, by, what, Draft}}
	if err := d.put(ctx, r); err != nil {
		if fault.Is(err, fault.Precondition) {
			return nil, fault.New(fault.Conflict, "这个范围、这一期的报告已经有了，请在列表中打开")
		}
		return nil, err
	}
	return d.Report(ctx, r.ID)
}

// fill computes the figures anew.
func (d *Desk) fill(ctx context.Context, r *Report, orgs []string) error {
	list := make([]*measures.Measure, len(Indicators))
	for i, n := range Indicators {
		m, err := d.Catalogue.Get(n)
		if err != nil {
			return err
		}
		list[i] = m
	}
	scores := [3][]measures.Score{}
	for i, span := range [3][2]time.Time{{r.From, r.To}, {r.before(), r.From}, {r.From.AddDate(-1, 0, 0), r.To.AddDate(-1, 0, 0)}} {
		s, err := d.Evaluate(ctx, measures.Scope{From: span[0], To: span[1], Orgs: orgs}, list...)
		if err != nil {
			return err
		}
		scores[i] = s
	}
	r.Figures, r.Computed = nil, d.Cabinet.Clock.Now()
	for i, m := range list {
		r.Figures = append(r.Figures, Figure{m.Name, m.Title, m.Definition, m.Unit, m.Scoring, m.Denominator != "", scores[0][i], scores[1][i], scores[2][i]})
	}
	return nil
}

// Refresh computes the numbers of a draft anew; fault.Conflict for any other.
func (d *Desk) Refresh(ctx context.Context, id string, version int64, orgs []string, by string) (*Report, error) {
	r, err := d.Report(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case r.State != Draft:
		return nil, fault.New(fault.Conflict, "报告是“%s”，数字已经固定", r.State.Title())
	case by == "":
		return nil, fault.New(fault.Invalid, "请填写办理人")
	}
	if err := d.fill(ctx, r, orgs); err != nil {
		return nil, err
	}
	r.Version, r.Steps = version, append(r.Steps, Step{d.Cabinet.Clock.Now(), by, "更新数字", Draft})
	if err := d.put(ctx, r); err != nil {
		return nil, err
	}
	return d.Report(ctx, id)
}

// Act submits, approves or returns a report (submit, approve, return) as the
// version that the user saw. fault.Conflict where its state does not allow it,
// fault.Precondition where someone else was faster.
func (d *Desk) Act(ctx context.Context, id string, version int64, action, by, note string) (*Report, error) {
	r, err := d.Report(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := r.step(action, by, note, d.Cabinet.Clock.Now()); err != nil {
		return nil, err
	}
	r.Version = version
	if err := d.put(ctx, r); err != nil {
		return nil, err
	}
	return d.Report(ctx, id)
}

// Report returns one report; fault.NotFound.
func (d *Desk) Report(ctx context.Context, id string) (*Report, error) {
	p, err := d.Cabinet.Read(ctx, "Composition", id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) || !strings.HasPrefix(id, "report-") {
		return nil, fault.New(fault.NotFound, "没有这份报告，请从列表中选择")
	}
	if err != nil {
		return nil, err
	}
	return read(p.Body, p.Version)
}

// Filter selects reports; empty fields select all.
type Filter struct {
	State  State
	Places []Place // about one of them
}

// query is the FHIR search of a filter.
func (f Filter) query() string {
	q := url.Values{"type": {kindSystem + "|"}, "_sort": {"-period"}}
	if f.State != "" {
		q.Set("_tag", stateSystem+"|"+string(f.State))
	}
	if len(f.Places) > 0 {
		values := make([]string, len(f.Places))
		for i, p := range f.Places {
			id := p.identifier()
			values[i] = id.System + "|" + search.Escape(id.Value)
		}
		q.Set("subject:identifier", strings.Join(values, ","))
	}
	return q.Encode()
}

// Reports lists reports, the newest period first, at most [MaxListed].
func (d *Desk) Reports(ctx context.Context, f Filter) ([]*Report, error) {
	list, err := d.Cabinet.List(ctx, "Composition", f.query(), MaxListed)
	if err != nil {
		return nil, err
	}
	var out []*Report
	for _, p := range list {
		if !strings.HasPrefix(p.ID, "report-") {
			continue // of another system
		}
		r, err := read(p.Body, p.Version)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b *Report) int {
		if c := b.From.Compare(a.From); c != 0 {
			return c
		}
		return strings.Compare(a.Title, b.Title)
	})
	return out, nil
}

// Replacement returns the id of the approved version that corrects a report, ""
// where there is none.
func (d *Desk) Replacement(ctx context.Context, r *Report) (id string, err error) {
	for n := r.Number + 1; r.Locked(); n++ {
		next, err := d.Report(ctx, idOf(r.Period, r.Place, n))
		if fault.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			return "", err
		}
		if next.Locked() {
			id = next.ID
		}
	}
	return id, nil
}

func (d *Desk) put(ctx context.Context, r *Report) error {
	body, err := r.resource()
	if err != nil {
		return err
	}
	return d.Cabinet.Put(ctx, cabinet.Paper{Type: "Composition", ID: r.ID, Version: r.Version, Body: body})
}
