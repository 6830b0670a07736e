package alerts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// Searcher finds resources; *search.Engine is one.
type Searcher interface {
	Search(ctx context.Context, ix search.Index, req search.Request) (*search.Page, error)
}

// Desk is where tasks are opened and worked off. They are FHIR Tasks in the
// repository, so that every client sees them and their history.
type Desk struct {
	Detector
	Store  store.Store
	Search Searcher
	Clock  clock.Clock
	Log    *slog.Logger
}

const (
	actor       = "supervision"
	maxEvidence = 50
	maxTasks    = 10_000
)

// Run holds the rules against a day and opens a task for what fires, unless
// there is an open one for the same rule and hall, or one closed within the
// rule's window. It returns the tasks it opened.
func (d *Desk) Run(ctx context.Context, day time.Time) ([]*Task, error) {
	found, err := d.Detect(ctx, day, day)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	halls, err := d.halls(ctx)
	if err != nil {
		return nil, err
	}
	var opened []*Task
	for _, f := range found {
		known, err := d.known(ctx, f)
		if err != nil {
			return opened, err
		}
		if known {
			continue
		}
		records, err := d.evidence(ctx, f)
		if err != nil {
			return opened, err
		}
		owner := halls[halls[f.Org].Owner]
		if owner.Code == "" {
			owner = Hall{Code: f.Org, Name: f.OrgName} // nobody above: the hall itself
		}
		t := taskOf(f, owner, records, d.Clock.Now())
		t.Log = []Entry{{d.Clock.Now(), "岐黄预警", f.Text}}
		if err := d.put(ctx, t, store.Op{IfNoneMatch: true}); err != nil {
			if fault.Is(err, fault.Precondition) {
				continue // another node opened it
			}
			return opened, err
		}
		opened = append(opened, t)
	}
	return opened, nil
}

// evidence are references to what the finding counts.
func (d *Desk) evidence(ctx context.Context, f Finding) ([]string, error) {
	if f.Rule.Kind == Silence {
		return nil, nil
	}
	records, err := d.Records(ctx, f, maxEvidence)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(records))
	for i, r := range records {
		list[i] = "Encounter/" + r.Encounter
	}
	return slices.Compact(list), nil
}

// Records lists the visits or prescriptions behind a finding.
func (d *Detector) Records(ctx context.Context, f Finding, limit int) ([]measures.Record, error) {
	scope := measures.Scope{From: f.From, To: f.Day.AddDate(0, 0, 1), Orgs: []string{f.Org}}
	var of []measures.Group
	if f.Rule.By != "" {
		of = append(of, measures.Group{Dimension: f.Rule.By, Value: f.Doctor + f.Subject}) // one of them
	}
	return d.Catalogue.Records(ctx, d.SQL, scope, f.Rule.measure, limit, of...)
}

// known reports whether the finding has a task already.
func (d *Desk) known(ctx context.Context, f Finding) (bool, error) {
	tasks, err := d.list(ctx, "identifier="+url.QueryEscape(keySystem+"|"+f.key()), 20)
	return slices.ContainsFunc(tasks, func(t *Task) bool {
		closed := t.Authored
		if n := len(t.Log); n > 0 {
			closed = t.Log[n-1].Time
		}
		return t.Open() || d.Clock.Now().Sub(closed) < time.Duration(max(1, f.Rule.Window))*24*time.Hour
	}), err
}

// Filter selects tasks; empty fields select all.
type Filter struct {
	Kind, Owner, Rule string
	Orgs              []string // about one of these; nil = all
	Open              bool     // only those with work to do
	Limit             int
}

// Tasks lists tasks, the newest first.
func (d *Desk) Tasks(ctx context.Context, f Filter) ([]*Task, error) {
	q := "_sort=-authored-on&code=" + url.QueryEscape(kindSystem+"|"+KindAlert+","+kindSystem+"|"+KindQuality+","+kindSystem+"|"+KindReview)
	if f.Kind != "" {
		q = "_sort=-authored-on&code=" + url.QueryEscape(kindSystem+"|"+f.Kind)
	}
	if f.Rule != "" {
		q += "&identifier=" + url.QueryEscape(ruleSystem+"|"+f.Rule)
	}
	if f.Orgs != nil {
		about := make([]string, len(f.Orgs))
		for i, org := range f.Orgs {
			about[i] = orgSystem + "|" + search.Escape(org)
		}
		q += "&subject:identifier=" + url.QueryEscape(strings.Join(about, ","))
	}
	if f.Open {
		q += "&status=requested,accepted,in-progress"
	}
	if f.Limit < 1 || f.Limit > maxTasks {
		f.Limit = maxTasks
	}
	list, err := d.list(ctx, q, maxTasks)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(t *Task) bool {
		return f.Owner != "" && t.Owner != f.Owner
	})
	return list[:min(len(list), f.Limit)], nil
}

func (d *Desk) list(ctx context.Context, query string, limit int) (out []*Task, err error) {
	snap, err := d.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	page, err := d.Search.Search(ctx, snap.Index(), search.Request{Type: "Task", Query: query, Count: limit})
	if err != nil {
		return nil, err
	}
	for _, m := range page.Matches {
		v, err := snap.Read("Task", m.ID)
		if err != nil {
			return nil, err
		}
		t, err := read(v.Resource, v.Version)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// Task returns one task; fault.NotFound.
func (d *Desk) Task(ctx context.Context, id string) (t *Task, err error) {
	snap, err := d.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	v, err := snap.Read("Task", id)
	if err != nil {
		return nil, err
	}
	return read(v.Resource, v.Version)
}

// Organizations are the halls and authorities that tasks may be given to, by
// code.
func (d *Desk) Organizations(ctx context.Context) (map[string]Hall, error) { return d.halls(ctx) }

// Open opens a task that no rule found, such as a data-quality follow-up. The
// hall works it off; an appeal goes to the organisation above it.
func (d *Desk) Open(ctx context.Context, t *Task, by string) (*Task, error) {
	halls, err := d.halls(ctx)
	if err != nil {
		return nil, err
	}
	hall, ok := halls[t.Org]
	switch {
	case t.Title == "" || by == "" || !slices.Contains([]string{KindQuality, KindAlert, KindReview, KindAppeal}, t.Kind):
		return nil, fault.New(fault.Invalid, "待办要有类别（alert、data-quality、review 或 appeal）、标题与发起人")
	case !ok:
		return nil, fault.New(fault.NotFound, "没有机构 %q", t.Org)
	}
	now := d.Clock.Now()
	t.ID, t.State, t.Authored, t.OrgName = "task-"+uuid.NewString(), Assigned, now, hall.Name
	owner := hall
	if above, ok := halls[hall.Owner]; ok && t.Kind == KindAppeal { // nobody judges his own appeal
		owner = above
	}
	t.Owner, t.OwnerName = owner.Code, owner.Name
	if t.Level == "" {
		t.Level = "warning"
	}
	if t.Due.IsZero() {
		t.Due = now.AddDate(0, 0, 7)
	}
	t.Log = []Entry{{now, by, "发起：" + t.Text}}
	if err := d.put(ctx, t, store.Op{IfNoneMatch: true}); err != nil {
		return nil, err
	}
	return d.Task(ctx, t.ID)
}

// Act applies an action to a task: assign, handle, submit, escalate, close,
// cancel. fault.Conflict where its state does not allow it, fault.Precondition
// where someone else was faster.
func (d *Desk) Act(ctx context.Context, id, action string, s Step) (*Task, error) {
	t, err := d.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	halls, err := d.halls(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.act(action, s, halls[s.Owner], halls[halls[t.Owner].Owner], d.Clock.Now()); err != nil {
		return nil, err
	}
	if err := d.put(ctx, t, store.Op{IfMatch: t.Version}); err != nil {
		return nil, err
	}
	return d.Task(ctx, id)
}

// Escalate hands overdue tasks to the organisation above their owner, once per
// level: the new owner gets the rule's days again.
func (d *Desk) Escalate(ctx context.Context) (n int, err error) {
	tasks, err := d.Tasks(ctx, Filter{Open: true})
	if err != nil {
		return 0, err
	}
	halls, err := d.halls(ctx)
	if err != nil {
		return 0, err
	}
	now := d.Clock.Now()
	for _, t := range tasks {
		up := halls[halls[t.Owner].Owner]
		if !t.Due.Before(now) || up.Code == "" {
			continue
		}
		late := t.Due
		t.Due = now.Add(max(24*time.Hour, late.Sub(t.Authored)))
		if err := t.act("escalate", Step{By: "岐黄预警", Note: "逾期未办结（期限 " + late.In(measures.Shanghai()).Format(time.DateOnly) + "）"}, Hall{}, up, now); err != nil {
			return n, err
		}
		if err := d.put(ctx, t, store.Op{IfMatch: t.Version}); err != nil {
			if fault.Is(err, fault.Precondition) || fault.Is(err, fault.Conflict) {
				continue // someone is at it right now
			}
			return n, err
		}
		n++
	}
	return n, nil
}

func (d *Desk) put(ctx context.Context, t *Task, op store.Op) error {
	body, err := t.resource()
	if err != nil {
		return err
	}
	op.Method, op.Type, op.ID, op.Resource = store.Update, "Task", t.ID, body
	_, err = d.Store.Commit(ctx, &store.Transaction{ID: uuid.NewString(), Actor: actor, Time: d.Clock.Now(), Ops: []store.Op{op}})
	if err != nil {
		return fmt.Errorf("write task: %w", err)
	}
	return nil
}

// Daily runs the rules for the day before today and escalates what is overdue:
// the body of the schedule.
func (d *Desk) Daily(ctx context.Context) error {
	y, m, day := d.Clock.Now().In(measures.Shanghai()).Date()
	opened, err := d.Run(ctx, time.Date(y, m, day-1, 0, 0, 0, 0, measures.Shanghai()))
	if err != nil {
		return err
	}
	escalated, err := d.Escalate(ctx)
	names := map[string]int{}
	for _, t := range opened {
		names[t.Rule]++
	}
	d.Log.InfoContext(ctx, "alerts", "opened", len(opened), "escalated", escalated, "rules", strings.Trim(fmt.Sprint(names), "map[]"))
	return err
}
