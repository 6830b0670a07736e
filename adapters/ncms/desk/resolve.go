package desk

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Run ends open steps until ctx does: those of an earlier life first.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(d.cfg.Retry)
	defer tick.Stop()
	for {
		if _, err := d.Resolve(ctx); err != nil && ctx.Err() == nil {
			d.parts.Log.WarnContext(ctx, "open settlement steps", "source", d.cfg.Source, "fault", fault.KindOf(err).String())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Resolve looks once at every open step that is due and returns how many stay
// open. An error means that the centre or the repository is away.
func (d *Desk) Resolve(ctx context.Context) (open int, err error) {
	due, open, err := d.due(ctx)
	if err != nil {
		return open, err
	}
	for _, t := range due {
		ended, rerr := d.one(ctx, t)
		if rerr != nil {
			err = rerr
		}
		if ended {
			open--
		}
	}
	return open, err
}

// Open returns the open steps, for people.
func (d *Desk) Open(ctx context.Context) ([]record.Task, error) {
	v, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	defer v.close()
	ids, err := v.find(ctx, "Task", "code="+token(record.SystemStep, string(record.Settle))+","+token(record.SystemStep, string(record.Reverse))+","+
		token(record.SystemStep, string(record.Retract))+"&status=requested,in-progress,on-hold")
	if err != nil {
		return nil, err
	}
	var out []record.Task
	for _, id := range ids {
		n, _, err := v.read("Task", id)
		if err != nil {
			return nil, err
		}
		if t := record.ReadTask(n, d.cfg.Source); t.ID() == id { // of this source
			out = append(out, t)
		}
	}
	return out, nil
}

// due returns the open steps to look at now, and how many are open in all.
func (d *Desk) due(ctx context.Context) (due []record.Task, open int, err error) {
	all, err := d.Open(ctx)
	for _, t := range all {
		changed, perr := time.Parse(time.RFC3339, t.Changed)
		if perr != nil || !d.now().Before(changed.Add(d.pause(t))) {
			due = append(due, t)
		}
	}
	return due, len(all), err
}

// pause grows with the tries, up to ten minutes. What is unclaimed waits for the
// hall.
func (d *Desk) pause(t record.Task) time.Duration {
	if t.State == record.Unclaimed {
		return d.cfg.Grace
	}
	return min(d.cfg.Retry<<min(t.Tries, 8), max(10*time.Minute, d.cfg.Retry))
}

// one takes an open step further and reports whether it ended.
func (d *Desk) one(ctx context.Context, found record.Task) (ended bool, err error) {
	defer d.lock(found.Number)()
	a, err := d.account(ctx, found.Number)
	if err != nil {
		return false, err
	}
	t := a.task(found.Step, found.Invoice)
	if t == nil || !t.State.Open() {
		return true, nil // ended meanwhile
	}
	t.Tries++
	switch t.Step {
	case record.Settle:
		err = d.oneSettlement(ctx, a, t)
	case record.Reverse:
		var r ncms.Reversal
		if err = ncms.DecodeJSON(t.Request, &r); err == nil {
			err = d.reverse(ctx, a, t, r)
		}
	case record.Retract:
		var v ncms.Visit
		if err = ncms.DecodeJSON(t.Request, &v); err == nil {
			err = d.retract(ctx, t, v)
		}
	}
	return !t.State.Open(), err
}

// oneSettlement finds out what became of a settlement, or takes back one that
// nobody claimed.
func (d *Desk) oneSettlement(ctx context.Context, a *account, t *task) error {
	var b ncms.Bill
	if err := ncms.DecodeJSON(t.Request, &b); err != nil {
		return err
	}
	if t.State == record.Unclaimed {
		return d.unclaimed(ctx, a, t, b)
	}
	found, err := d.listed(ctx, t, b)
	if err != nil {
		if werr := d.write(ctx, t); werr != nil { // one more try
			return werr
		}
		return err
	}
	if len(found) > 0 {
		s, note := settlementOf(found[0], a.trial)
		if err := d.settled(ctx, a, t, b, s, record.Unclaimed, note); err != nil {
			return err
		}
		d.parts.Log.InfoContext(ctx, "settlement found in the list, waits for the hall", "source", d.cfg.Source, "task", t.ID())
		return d.surplus(ctx, t, b, found[1:])
	}
	if begun, err := time.Parse(time.RFC3339, t.Begun); err != nil || d.now().After(begun.Add(d.cfg.Horizon)) {
		return d.end(ctx, t, record.Failed, "中心没有这笔结算")
	}
	return d.write(ctx, t)
}

// unclaimed reverses a settlement of which the hall was never told: it took the
// patient's money in full.
func (d *Desk) unclaimed(ctx context.Context, a *account, t *task, b ncms.Bill) error {
	r := ncms.Reversal{Visit: b.Visit, ID: t.Result, Invoice: b.Invoice, Card: b.Card, Year: b.Year, Drgs: b.Drgs}
	back, err := d.begin(ctx, record.Task{Step: record.Reverse, Hospital: t.Hospital, Number: t.Number, Invoice: t.Invoice, State: record.Sent, Request: ncms.EncodeJSON(r)})
	if err != nil {
		return err
	}
	if err := d.reverse(ctx, a, back, r); err != nil {
		if werr := d.write(ctx, t); werr != nil {
			return werr
		}
		return err
	}
	return d.end(ctx, t, record.Undone, "医院没有认领，已自动作废")
}
