package desk

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// account is all that is written of one visit.
type account struct {
	desk     *Desk
	claim    record.Claim
	known    bool // the claim is in the repository
	benefits []record.Benefit
	tasks    []*task
	trial    ncms.Sums // nil if there was none
}

// task is a recorded step with the version it was read or written at.
type task struct {
	record.Task
	version int64
}

// account reads a visit. The caller holds its lock where it goes on to change it.
func (d *Desk) account(ctx context.Context, number string) (*account, error) {
	v, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	defer v.close()
	a := &account{desk: d}
	if a.claim, a.known, err = v.claimOf(ncms.Visit{Number: number}); err != nil {
		return nil, err
	}
	focus := "Claim/" + a.claim.ID()
	ids, err := v.find(ctx, "ExplanationOfBenefit", "claim="+focus)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		n, _, err := v.read("ExplanationOfBenefit", id)
		if err != nil {
			return nil, err
		}
		a.benefits = append(a.benefits, record.ReadBenefit(n, d.cfg.Source))
	}
	if ids, err = v.find(ctx, "Task", "focus="+focus); err != nil {
		return nil, err
	}
	for _, id := range ids {
		n, version, err := v.read("Task", id)
		if err != nil {
			return nil, err
		}
		a.tasks = append(a.tasks, &task{record.ReadTask(n, d.cfg.Source), version})
	}
	n, version, err := v.read("ClaimResponse", record.TrialID(d.cfg.Source, number))
	if version > 0 {
		a.trial = record.ReadSums(n)
	}
	if total, terr := a.trial.Money(ncms.SumTotal); terr == nil && len(a.claim.Items) > 0 && !total.Equal(a.claim.Total()) {
		a.trial = nil // of a bill that has changed since
	}
	return a, err
}

// active returns the visit's settlement that stands, nil if none. Interim
// settlements stand beside each other: then only one of that invoice counts.
func (a *account) active(invoice string, interim bool) *record.Benefit {
	for i := range a.benefits {
		if b := &a.benefits[i]; !b.Cancelled && (!interim || b.Invoice == invoice) {
			return b
		}
	}
	return nil
}

// open returns the visit's open task of a step, nil if none.
func (a *account) open(step record.Step) *task {
	for _, t := range a.tasks {
		if t.Step == step && t.State.Open() {
			return t
		}
	}
	return nil
}

// task returns the task of a step for an invoice, nil if none.
func (a *account) task(step record.Step, invoice string) *task {
	for _, t := range a.tasks {
		if t.Step == step && t.Invoice == invoice {
			return t
		}
	}
	return nil
}

// claimFor is the visit's claim, or one made of what the caller says.
func (a *account) claimFor(v ncms.Visit) record.Claim {
	c := a.claim
	if c.Hospital == "" {
		c.Hospital = v.Hospital
	}
	if c.Person == "" {
		c.Person = v.Person
	}
	return c
}

// complete adds to a bill what the centre's dialect may want and the hall's does
// not say.
func (a *account) complete(b ncms.Bill) ncms.Bill {
	keep := func(v *string, old string) {
		if *v == "" {
			*v = old
		}
	}
	keep(&b.Card, a.claim.Card)
	keep(&b.Person, a.claim.Person)
	keep(&b.Year, a.claim.Year)
	keep(&b.InvoiceDate, a.desk.now().Format(time.DateOnly))
	b.Inpatient = b.Inpatient || a.claim.Inpatient
	if b.Total.IsZero() {
		b.Total = a.claim.Total()
	}
	return b
}

// begin writes a step before it is taken. A step of the same key that another
// node has begun meanwhile is fault.Busy.
func (d *Desk) begin(ctx context.Context, t record.Task) (*task, error) {
	out := &task{t, 0}
	out.Source = d.cfg.Source
	v, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	n, version, err := v.read("Task", out.ID())
	if version > 0 {
		out.Tries = record.ReadTask(n, d.cfg.Source).Tries
	}
	v.close()
	if err != nil {
		return nil, err
	}
	out.version = version
	out.Begun = d.instant()
	return out, d.write(ctx, out)
}

// instant is now, to the millisecond.
func (d *Desk) instant() string { return d.now().Format("2006-01-02T15:04:05.000Z07:00") }

// end gives a task another state.
func (d *Desk) end(ctx context.Context, t *task, s record.State, words string) error {
	t.State, t.Words = s, words
	return d.write(ctx, t)
}

// write commits a task with other ops, if nobody has written it since.
func (d *Desk) write(ctx context.Context, t *task, others ...store.Op) error {
	t.Changed = d.instant()
	op := store.Op{Method: store.Update, Type: "Task", ID: t.ID(), Resource: t.JSON(), IfMatch: t.version, IfNoneMatch: t.version == 0}
	res, err := d.commit(ctx, append([]store.Op{op}, others...)...)
	if fault.Is(err, fault.Precondition) || fault.Is(err, fault.Conflict) {
		return fault.New(fault.Busy, "同一登记正在另一处处理，请稍后重试：%w", err)
	}
	if err != nil {
		return err
	}
	t.version = res.Outcomes[0].Version.Version
	return nil
}
