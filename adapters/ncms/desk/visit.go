package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Eligible implements [ncms.Enrolment]: the answer becomes Coverage, and the pair
// of request and response.
func (d *Desk) Eligible(ctx context.Context, q ncms.Card) ([]ncms.Person, error) {
	people, err := d.parts.Scheme.Eligible(ctx, q)
	if r := ncms.RefusedBy(err); r != nil {
		e := record.Eligibility{Card: record.Card{Source: d.cfg.Source, Person: ncms.Person{Card: q.Number}}, Hospital: q.Hospital, Year: q.Year, At: d.dateTime(), Refused: r.Words}
		if serr := d.save(ctx, e.Resources()...); serr != nil {
			return nil, serr
		}
	}
	if err != nil {
		return nil, err
	}
	var rs []tcm.Resource
	for _, p := range people {
		if p.Card == "" {
			p.Card = q.Number
		}
		pid, err := d.patient(ctx, q.Hospital, p)
		if err != nil {
			return nil, err
		}
		card := record.Card{Source: d.cfg.Source, Person: p, PatientID: pid}
		rs = append(rs, card.Resources()...)
		rs = append(rs, record.Eligibility{Card: card, Hospital: q.Hospital, Year: q.Year, At: d.dateTime()}.Resources()...)
	}
	return people, d.save(ctx, rs...)
}

// patient finds the Patient that the hall already has for a person, by national
// id; "" if there is none.
func (d *Desk) patient(ctx context.Context, hospital string, p ncms.Person) (string, error) {
	if p.NationalID == "" {
		return "", nil
	}
	v, err := d.look(ctx)
	if err != nil {
		return "", err
	}
	defer v.close()
	ids, err := v.find(ctx, "Patient", "identifier="+token(tcm.SystemNationalID, p.NationalID)+"&organization=Organization/"+tcm.OrganizationID(hospital))
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// Register implements [ncms.Registry].
func (d *Desk) Register(ctx context.Context, r ncms.Registration) (string, error) {
	number, err := d.parts.Scheme.Register(ctx, r)
	if err != nil {
		return "", err
	}
	v, err := d.look(ctx)
	if err != nil {
		return "", err
	}
	defer v.close()
	c := record.Claim{Source: d.cfg.Source, Hospital: r.Hospital, Number: number, Card: r.Card, Person: r.Person, Year: r.Year, Date: r.Date,
		Inpatient: r.Inpatient, StayNo: r.StayNo, VisitNo: r.VisitNo, Insurance: r.Insurance, Diagnoses: r.Diagnoses}
	if len(c.Date) < 10 {
		c.Date = d.now().Format("2006-01-02")
	}
	c.Date = c.Date[:10]
	n, known, err := v.read("Coverage", record.CoverageID(d.cfg.Source, r.Card))
	if err != nil {
		return "", err
	}
	var rs []tcm.Resource
	if known > 0 {
		have := record.ReadCard(n)
		if c.PatientID = have.PatientID; c.Person == "" {
			c.Person = have.Person.Number
		}
	} else { // the card was not read here
		card := record.Card{Source: d.cfg.Source, Person: ncms.Person{Number: r.Person, Card: r.Card, Insurance: "380"}}
		c.PatientID, rs = card.Patient(), card.Resources()
	}
	return number, d.save(ctx, append(rs, c.Resources()...)...)
}

// Diagnose implements [ncms.Diagnoser]: recorded here, and told to centres that
// take it.
func (d *Desk) Diagnose(ctx context.Context, visit ncms.Visit, list []ncms.Diagnosis) error {
	if centre, ok := d.parts.Scheme.(ncms.Diagnoser); ok {
		if err := centre.Diagnose(ctx, visit, list); err != nil {
			return err
		}
	}
	return d.change(ctx, visit, func(c *record.Claim) { c.Diagnoses = list })
}

// Cancel implements [ncms.Registry].
func (d *Desk) Cancel(ctx context.Context, visit ncms.Visit) error {
	if err := d.parts.Scheme.Cancel(ctx, visit); err != nil {
		return err
	}
	return d.change(ctx, visit, func(c *record.Claim) { c.Cancelled = true })
}

// change rewrites a visit's Claim.
func (d *Desk) change(ctx context.Context, visit ncms.Visit, change func(*record.Claim)) error {
	v, err := d.look(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	c, _, err := v.claimOf(visit)
	if err != nil {
		return err
	}
	change(&c)
	return d.save(ctx, c.Resources()...)
}

// Upload implements [ncms.Registry]. That the items may have to be taken back is
// written before they leave: without an answer, or after a crash, they are, so
// that the hall can upload all again.
func (d *Desk) Upload(ctx context.Context, in ncms.Details) error {
	defer d.lock(in.Number)()
	a, err := d.account(ctx, in.Number)
	if err != nil {
		return err
	}
	if t := a.open(record.Retract); t != nil {
		if err := d.retract(ctx, t, in.Visit); err != nil {
			return fault.New(fault.Unavailable, "上次上传的明细还没有撤销，请稍后重新上传：%w", err)
		}
		a.claim.Items = nil
	}
	batch := digest(in.Items)
	if t := a.task(record.Retract, ""); t != nil && t.State == record.Undone && t.Result == batch {
		return nil // the same again: the hall did not hear that it was taken
	}
	t, err := d.begin(ctx, record.Task{Step: record.Retract, Hospital: in.Hospital, Number: in.Number, State: record.Requested, Request: ncms.EncodeJSON(in.Visit)})
	if err != nil {
		return err
	}
	err = d.parts.Scheme.Upload(ctx, in)
	switch {
	case err == nil:
		c := a.claimFor(in.Visit)
		c.Items = append(c.Items, in.Items...)
		ops, err := d.puts(c.Resources()...)
		if err != nil {
			return err
		}
		t.State, t.Words, t.Result = record.Undone, "已上传，不必撤销", batch
		return d.write(ctx, t, ops...)
	case !ncms.IsLost(err): // refused, or it did not leave
		if eerr := d.end(ctx, t, record.Undone, "没有上传"); eerr != nil {
			return eerr
		}
		return err
	}
	if rerr := d.retract(ctx, t, in.Visit); rerr != nil {
		return fault.New(fault.Unavailable, "明细上传结果不明，撤销已排队；请稍后重新上传该登记的全部明细：%w", err)
	}
	return fault.New(fault.Unavailable, "明细上传没有得到回应，已撤销；请重新上传该登记的全部明细：%w", err)
}

// digest names the items of one upload.
func digest(items []ncms.Item) string {
	sum := sha256.Sum256(ncms.EncodeJSON(items))
	return hex.EncodeToString(sum[:])
}

// Retract implements [ncms.Registry].
func (d *Desk) Retract(ctx context.Context, visit ncms.Visit) error {
	defer d.lock(visit.Number)()
	a, err := d.account(ctx, visit.Number)
	if err != nil {
		return err
	}
	t := a.open(record.Retract)
	if t == nil {
		if t, err = d.begin(ctx, record.Task{Step: record.Retract, Hospital: visit.Hospital, Number: visit.Number, State: record.Sent, Request: ncms.EncodeJSON(visit)}); err != nil {
			return err
		}
	}
	return d.retract(ctx, t, visit)
}

// retract takes all items back and ends the task; taking back twice does no harm.
func (d *Desk) retract(ctx context.Context, t *task, visit ncms.Visit) error {
	err := d.parts.Scheme.Retract(ctx, visit)
	switch {
	case err == nil:
		if err := d.change(ctx, visit, func(c *record.Claim) { c.Items = nil }); err != nil {
			return err
		}
		return d.end(ctx, t, record.Done, "")
	case ncms.RefusedBy(err) != nil:
		if eerr := d.end(ctx, t, record.Failed, ncms.RefusedBy(err).Words); eerr != nil {
			return eerr
		}
		return err
	default:
		if eerr := d.end(ctx, t, record.Requested, "结算中心不通"); eerr != nil {
			return eerr
		}
		return fault.New(fault.Unavailable, "结算中心不通，明细撤销已排队，恢复后自动执行：%w", err)
	}
}

// Try implements [ncms.Cashier].
func (d *Desk) Try(ctx context.Context, b ncms.Bill) (*ncms.Trial, error) {
	a, err := d.account(ctx, b.Number)
	if err != nil {
		return nil, err
	}
	t, err := d.parts.Scheme.Try(ctx, a.complete(b))
	if err != nil {
		return nil, err
	}
	return t, d.save(ctx, record.Trial{Claim: a.claimFor(b.Visit), Sums: t.Sums, Note: t.Note, At: d.dateTime()}.Resources()...)
}

// Day implements [ncms.Ledger].
func (d *Desk) Day(ctx context.Context, q ncms.Days) ([]ncms.Entry, error) {
	return d.parts.Scheme.Day(ctx, q)
}
