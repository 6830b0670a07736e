package desk

import (
	"context"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Settle implements [ncms.Cashier]: at most once for a visit, see DESIGN.md.
func (d *Desk) Settle(ctx context.Context, b ncms.Bill) (*ncms.Settlement, error) {
	defer d.lock(b.Number)()
	a, err := d.account(ctx, b.Number)
	if err != nil {
		return nil, err
	}
	t := a.task(record.Settle, b.Invoice)
	if err := a.reversing(); err != nil {
		return nil, err
	}
	if have := a.active(b.Invoice, b.Interim); have != nil {
		return d.again(ctx, t, have, b.Invoice)
	}
	if err := a.free(b); err != nil {
		return nil, err
	}
	b = a.complete(b)
	if t != nil && t.State.Open() { // asked before: what became of it?
		s, err := d.resolve(ctx, a, t, b)
		if s != nil || err != nil {
			return s, err
		}
	}
	if a.trial == nil { // the sums are known only by trying
		if err := d.tryFirst(ctx, a, b); err != nil {
			return nil, err
		}
	}
	if t, err = d.begin(ctx, record.Task{Step: record.Settle, Hospital: b.Hospital, Number: b.Number, Invoice: b.Invoice, State: record.Sent, Request: ncms.EncodeJSON(b)}); err != nil {
		return nil, err
	}
	return d.ask(ctx, a, t, b)
}

// again answers a retry of what is settled.
func (d *Desk) again(ctx context.Context, t *task, have *record.Benefit, invoice string) (*ncms.Settlement, error) {
	if have.Invoice != invoice && have.Invoice != "" {
		return nil, &ncms.Settled{ID: have.ID, Invoice: have.Invoice}
	}
	if t != nil && t.State.Open() { // found in the list before the hall asked again
		t.Result = have.ID
		if err := d.end(ctx, t, record.Done, ""); err != nil {
			return nil, err
		}
	}
	return &ncms.Settlement{ID: have.ID, Sums: have.Sums}, nil
}

// surplusMark parts the invoice from the number in the task that reverses one of
// two settlements of a visit: the other one stands.
const surplusMark = "#"

// reversing reports whether the visit's settlement is to be taken back.
func (a *account) reversing() error {
	for _, t := range a.tasks {
		if t.Step == record.Reverse && t.State.Open() && !strings.Contains(t.Invoice, surplusMark) {
			return fault.New(fault.Conflict, "该登记的上一次结算正在作废，请稍后重试")
		}
	}
	return nil
}

// free reports whether another step of the visit forbids settling it.
func (a *account) free(b ncms.Bill) error {
	if a.open(record.Retract) != nil {
		return fault.New(fault.Conflict, "该登记的明细正在撤销，请重新上传后再结算")
	}
	for _, t := range a.tasks {
		if t.Step == record.Settle && t.State.Open() && t.Invoice != b.Invoice && !b.Interim {
			return fault.New(fault.Conflict, "发票 %s 的结算结果不明，请用该发票号重试", t.Invoice)
		}
	}
	return nil
}

// tryFirst learns the sums of a bill that nobody tried. A centre that refuses to
// try may still settle: then the sums come from its answer or its list.
func (d *Desk) tryFirst(ctx context.Context, a *account, b ncms.Bill) error {
	t, err := d.parts.Scheme.Try(ctx, b)
	if ncms.RefusedBy(err) != nil {
		return nil
	}
	if err != nil {
		return err
	}
	a.trial = t.Sums
	return d.save(ctx, record.Trial{Claim: a.claimFor(b.Visit), Sums: t.Sums, Note: t.Note, At: d.dateTime()}.Resources()...)
}

// ask asks the centre to pay, after the task is written.
func (d *Desk) ask(ctx context.Context, a *account, t *task, b ncms.Bill) (*ncms.Settlement, error) {
	s, err := d.parts.Scheme.Settle(ctx, b)
	refused := ncms.RefusedBy(err)
	switch {
	case err == nil:
		if len(s.Sums) == 0 {
			s.Sums = d.sums(ctx, a, t, b)
		}
		return s, d.settled(ctx, a, t, b, s, record.Done, "")
	case refused != nil && !refused.Duplicate:
		return nil, d.fail(ctx, t, refused.Words, err)
	case refused != nil: // the invoice number is taken: by us, if an answer was lost
		if s, lerr := d.resolve(ctx, a, t, b); s != nil || lerr != nil {
			return s, lerr
		}
		return nil, d.fail(ctx, t, refused.Words, err)
	case ncms.IsLost(err):
		s, lerr := d.resolve(ctx, a, t, b)
		if s != nil {
			return s, nil
		}
		d.parts.Log.WarnContext(ctx, "settlement without an answer", "source", d.cfg.Source, "task", t.ID(), "listed", lerr == nil)
		return nil, fault.New(fault.Unavailable, "结算没有得到回应，结果不明；请稍后用同一发票号重试，不会重复结算：%w", err)
	default:
		return nil, d.fail(ctx, t, "请求没有送达", err)
	}
}

// sums are the amounts of a settlement whose answer has none: as tried, else as
// listed; empty when neither is known.
func (d *Desk) sums(ctx context.Context, a *account, t *task, b ncms.Bill) ncms.Sums {
	if a.trial != nil {
		return a.trial
	}
	found, err := d.listed(ctx, t, b)
	if err != nil || len(found) == 0 {
		return ncms.Sums{}
	}
	return ncms.SumsOf(found[0].Total, found[0].Paid)
}

// fail ends a step that had no effect and returns why.
func (d *Desk) fail(ctx context.Context, t *task, words string, err error) error {
	if werr := d.end(ctx, t, record.Failed, words); werr != nil {
		return werr
	}
	return err
}

// settled writes a settlement and the end of its step in one transaction.
func (d *Desk) settled(ctx context.Context, a *account, t *task, b ncms.Bill, s *ncms.Settlement, state record.State, note string) error {
	c := a.claimFor(b.Visit)
	c.Settled = true
	if c.Card == "" {
		c.Card = b.Card
	}
	benefit := record.Benefit{Source: d.cfg.Source, ID: s.ID, Invoice: b.Invoice, Number: b.Number, Hospital: b.Hospital, Card: c.Card, Person: c.Person,
		PatientID: c.PatientID, Inpatient: b.Inpatient, Sums: s.Sums, At: d.dateTime(), Note: note, Trialled: a.trial != nil, Teller: record.ByCentre}
	ops, err := d.puts(append(benefit.Resources(), c.Resources()...)...)
	if err != nil {
		return err
	}
	t.State, t.Result, t.Words = state, s.ID, ""
	return d.write(ctx, t, ops...)
}

// resolve looks for a settlement in the centre's list. Found, it is written as
// settled and returned; not found, both are nil.
func (d *Desk) resolve(ctx context.Context, a *account, t *task, b ncms.Bill) (*ncms.Settlement, error) {
	found, err := d.listed(ctx, t, b)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "结算结果不明，对账清单也取不到；请稍后用同一发票号重试，不会重复结算：%w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	s, note := settlementOf(found[0], a.trial)
	if err := d.settled(ctx, a, t, b, s, record.Done, note); err != nil {
		return nil, err
	}
	return s, d.surplus(ctx, t, b, found[1:])
}

// settlementOf makes a settlement of a line of the list. Its amounts stand, even
// where the trial promised others.
func settlementOf(e ncms.Entry, trial ncms.Sums) (*ncms.Settlement, string) {
	total, terr := trial.Money(ncms.SumTotal)
	paid, perr := trial.Money(ncms.SumScheme)
	if trial != nil && terr == nil && perr == nil && total.Equal(e.Total) && paid.Equal(e.Paid) {
		return &ncms.Settlement{ID: e.ID, Sums: trial}, ""
	}
	note := ""
	if trial != nil {
		note = "中心清单的金额与预结算不符，以清单为准"
	}
	return &ncms.Settlement{ID: e.ID, Sums: ncms.SumsOf(e.Total, e.Paid)}, note
}

// listed returns the centre's settlements of a visit and invoice that stand.
func (d *Desk) listed(ctx context.Context, t *task, b ncms.Bill) ([]ncms.Entry, error) {
	entries, err := d.list(ctx, t, b.Caller, b.InvoiceDate, b.Inpatient)
	if err != nil {
		return nil, err
	}
	return standing(entries, func(e ncms.Entry) bool {
		return e.Invoice == b.Invoice && (e.Visit == b.Number || e.Visit == "")
	}), nil
}

// standing are the entries that fit and were not reversed, each settlement once.
func standing(entries []ncms.Entry, fits func(ncms.Entry) bool) []ncms.Entry {
	seen := map[string]bool{}
	for _, e := range entries {
		if e.Void {
			seen[e.ID] = true
		}
	}
	var out []ncms.Entry
	for _, e := range entries {
		if fits(e) && !seen[e.ID] {
			seen[e.ID] = true
			out = append(out, e)
		}
	}
	return out
}

// list asks for the days from before the step was begun, by either clock.
func (d *Desk) list(ctx context.Context, t *task, who ncms.Caller, day string, inpatient bool) ([]ncms.Entry, error) {
	from, to := d.now().AddDate(0, 0, -1).Format(time.DateOnly), d.now().Format(time.DateOnly)
	if begun, err := time.Parse(time.RFC3339, t.Begun); err == nil {
		from = min(from, begun.In(d.cfg.Zone).AddDate(0, 0, -1).Format(time.DateOnly))
	}
	if len(day) >= 10 {
		from, to = min(from, day[:10]), max(to, day[:10])
	}
	return d.parts.Scheme.Day(ctx, ncms.Days{Caller: who, From: from, To: to, Inpatient: inpatient})
}

// surplus has further settlements of one visit and invoice reversed.
func (d *Desk) surplus(ctx context.Context, t *task, b ncms.Bill, extra []ncms.Entry) error {
	var ops []store.Op
	for _, e := range extra {
		r := ncms.Reversal{Visit: b.Visit, ID: e.ID, Invoice: e.Invoice, Card: b.Card, Year: b.Year, Drgs: b.Drgs}
		again := record.Task{Source: d.cfg.Source, Step: record.Reverse, Hospital: t.Hospital, Number: t.Number, Invoice: e.Invoice + surplusMark + e.ID,
			State: record.Requested, Request: ncms.EncodeJSON(r), Begun: d.instant(), Changed: d.instant()}
		ops = append(ops, store.Op{Method: store.Update, Type: "Task", ID: again.ID(), Resource: again.JSON()})
		d.parts.Log.ErrorContext(ctx, "the centre settled a visit twice, one is reversed", "source", d.cfg.Source, "task", again.ID())
	}
	if len(ops) == 0 {
		return nil
	}
	_, err := d.commit(ctx, ops...)
	return err
}
