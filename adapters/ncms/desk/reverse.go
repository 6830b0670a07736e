package desk

import (
	"context"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Reverse implements [ncms.Cashier]. What cannot be reversed now is queued;
// reversing what is reversed succeeds.
func (d *Desk) Reverse(ctx context.Context, r ncms.Reversal) error {
	if err := d.identify(ctx, &r); err != nil {
		return err
	}
	key := r.Number
	if key == "" { // settled before the hub was there
		key = r.ID
		r.Number = r.ID
	}
	defer d.lock(key)()
	a, err := d.account(ctx, key)
	if err != nil {
		return err
	}
	if b := a.benefit(r.ID); b != nil && b.Cancelled {
		return nil
	}
	t := a.task(record.Reverse, r.Invoice)
	if t == nil || !t.State.Open() {
		if t, err = d.begin(ctx, record.Task{Step: record.Reverse, Hospital: r.Hospital, Number: key, Invoice: r.Invoice, State: record.Sent, Request: ncms.EncodeJSON(r)}); err != nil {
			return err
		}
	}
	return d.reverse(ctx, a, t, r)
}

// benefit returns the visit's settlement with an id, nil if it is not written.
func (a *account) benefit(id string) *record.Benefit {
	for i := range a.benefits {
		if a.benefits[i].ID == id {
			return &a.benefits[i]
		}
	}
	return nil
}

// identify adds to a reversal what the hall's dialect does not say: by the
// settlement's number, else by the invoice.
func (d *Desk) identify(ctx context.Context, r *ncms.Reversal) error {
	v, err := d.look(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	id := record.BenefitID(d.cfg.Source, r.ID)
	if r.ID == "" {
		ids, err := v.find(ctx, "ExplanationOfBenefit", "identifier="+escape(r.Invoice)+"&provider=Organization/"+tcm.OrganizationID(r.Hospital)+"&status=active")
		if err != nil {
			return err
		}
		if len(ids) != 1 {
			return d.identifyOpen(ctx, v, r)
		}
		id = ids[0]
	}
	n, version, err := v.read("ExplanationOfBenefit", id)
	if err != nil || version == 0 {
		return err
	}
	b := record.ReadBenefit(n, d.cfg.Source)
	r.ID, r.Number, r.Inpatient = b.ID, b.Number, b.Inpatient
	if r.Invoice == "" {
		r.Invoice = b.Invoice
	}
	if r.Card == "" {
		r.Card = b.Card
	}
	if r.Person == "" {
		r.Person = b.Person
	}
	if r.Year == "" && len(b.At) >= 4 {
		r.Year = b.At[:4]
	}
	return nil
}

// identifyOpen finds the open settlement of an invoice: the hall gives up on one
// it was never told the number of.
func (d *Desk) identifyOpen(ctx context.Context, v *view, r *ncms.Reversal) error {
	ids, err := v.find(ctx, "Task", "identifier="+escape(r.Invoice)+"&status=in-progress,on-hold,requested")
	if err != nil {
		return err
	}
	for _, id := range ids {
		n, _, err := v.read("Task", id)
		if err != nil {
			return err
		}
		if t := record.ReadTask(n, d.cfg.Source); t.Step == record.Settle && t.Hospital == r.Hospital {
			r.Number = t.Number
			return nil
		}
	}
	return fault.New(fault.NotFound, "没有发票 %s 的有效结算", r.Invoice)
}

// reverse takes a settlement back, after the task is written.
func (d *Desk) reverse(ctx context.Context, a *account, t *task, r ncms.Reversal) error {
	if r.ID == "" { // first learn whether there is anything to reverse
		id, err := d.learn(ctx, a, t, r)
		if err != nil || id == "" {
			return err
		}
		r.ID = id
	}
	err := d.parts.Scheme.Reverse(ctx, r)
	switch {
	case err == nil:
		return d.reversed(ctx, a, t, r)
	case ncms.RefusedBy(err) != nil || ncms.IsLost(err):
		if void, lerr := d.isVoid(ctx, t, r); lerr == nil && void {
			return d.reversed(ctx, a, t, r)
		}
		if refused := ncms.RefusedBy(err); refused != nil {
			return d.fail(ctx, t, refused.Words, err)
		}
	}
	if werr := d.end(ctx, t, record.Requested, "结算中心不通"); werr != nil {
		return werr
	}
	return fault.New(fault.Unavailable, "结算中心不通，作废已排队，恢复后自动作废：%w", err)
}

// learn finds the number of an open settlement that is to be reversed; "" means
// that it never happened and the task is done.
func (d *Desk) learn(ctx context.Context, a *account, t *task, r ncms.Reversal) (string, error) {
	s := a.task(record.Settle, r.Invoice)
	if s == nil {
		return "", d.fail(ctx, t, "没有这笔结算", fault.New(fault.NotFound, "没有发票 %s 的有效结算", r.Invoice))
	}
	var b ncms.Bill
	if err := ncms.DecodeJSON(s.Request, &b); err != nil {
		return "", err
	}
	b.Caller = r.Caller
	found, err := d.resolve(ctx, a, s, b)
	if err != nil || found == nil {
		words := "结算是否发生还不明"
		if werr := d.end(ctx, t, record.Requested, words); werr != nil {
			return "", werr
		}
		return "", fault.New(fault.Unavailable, "%s，作废已排队", words)
	}
	a.benefits = append(a.benefits, record.Benefit{Source: d.cfg.Source, ID: found.ID})
	return found.ID, nil
}

// isVoid reports whether the centre lists a settlement as reversed.
func (d *Desk) isVoid(ctx context.Context, t *task, r ncms.Reversal) (bool, error) {
	v, err := d.look(ctx)
	if err != nil {
		return false, err
	}
	n, _, err := v.read("ExplanationOfBenefit", record.BenefitID(d.cfg.Source, r.ID))
	v.close()
	if err != nil {
		return false, err
	}
	entries, err := d.list(ctx, t, r.Caller, record.ReadBenefit(n, d.cfg.Source).At, r.Inpatient)
	for _, e := range entries {
		if e.ID == r.ID && e.Void {
			return true, nil
		}
	}
	return false, err
}

// reversed writes the end of a settlement.
func (d *Desk) reversed(ctx context.Context, a *account, t *task, r ncms.Reversal) error {
	v, err := d.look(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	var rs []tcm.Resource
	n, version, err := v.read("ExplanationOfBenefit", record.BenefitID(d.cfg.Source, r.ID))
	if err != nil {
		return err
	}
	if version > 0 {
		b := record.ReadBenefit(n, d.cfg.Source)
		b.Cancelled = true
		rs = append(rs, b.Resources()...)
	}
	if c, known, err := v.claimOf(r.Visit); err != nil {
		return err
	} else if known && c.Settled && a.othersStand(r.ID) == 0 {
		c.Settled = false
		rs = append(rs, c.Resources()...)
	}
	ops, err := d.puts(rs...)
	if err != nil {
		return err
	}
	t.State, t.Words, t.Result = record.Done, "", r.ID
	return d.write(ctx, t, ops...)
}

// othersStand counts the visit's settlements that stand beside one.
func (a *account) othersStand(id string) int {
	n := 0
	for _, b := range a.benefits {
		if !b.Cancelled && b.ID != id {
			n++
		}
	}
	return n
}
