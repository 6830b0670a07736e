package ledger

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/tcm"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxBills bounds the hall's rows of one key, and of one reconciliation.
const (
	maxPerKey = 100
	maxBills  = 200_000
)

// Reconcile compares the centre's list of some days with a hall's rows, writes
// what it found and returns it. What the hub did not know of is written as the
// centre has it. fault.Unavailable when the centre does not answer.
func (l *Ledger) Reconcile(ctx context.Context, q ncms.Days) (*record.Reconciliation, error) {
	if err := checkDays(q); err != nil {
		return nil, err
	}
	if l.parts.Centre == nil {
		return nil, fault.New(fault.Unavailable, "没有配置结算中心（sources 的 ncms.centre），不能对账")
	}
	entries, err := l.parts.Centre.Day(ctx, q)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "取不到中心的对账清单：%w", err)
	}
	snap, err := l.parts.Store.Snapshot(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	r := &record.Reconciliation{Source: l.cfg.Source, Hospital: q.Hospital, From: q.From, To: q.To, Compared: len(entries),
		At: l.parts.Clock.Now().In(l.cfg.Zone).Format(time.RFC3339)}
	seen := map[string]bool{}
	for _, e := range net(entries) {
		bills, err := l.bills(ctx, snap, e, seen)
		if err != nil {
			return nil, err
		}
		if !e.Void {
			r.Paid = r.Paid.Add(e.Paid)
		}
		r.Findings = append(r.Findings, Compare(e, bills)...)
		if err := l.absorb(ctx, snap, q, e); err != nil {
			return nil, err
		}
	}
	if r.Orphans, err = l.orphans(ctx, snap, q, seen); err != nil {
		return nil, err
	}
	ops, err := l.puts(nil, r.Resources()...)
	if err != nil {
		return nil, err
	}
	return r, l.commit(ctx, "", ops)
}

func checkDays(q ncms.Days) error {
	from, ferr := time.Parse(time.DateOnly, q.From)
	to, terr := time.Parse(time.DateOnly, q.To)
	switch {
	case ferr != nil || terr != nil:
		return fault.New(fault.Invalid, "from 与 to 应为 2026-10-12 这样的日期")
	case to.Before(from) || to.Sub(from) > 366*24*time.Hour:
		return fault.New(fault.Invalid, "to 不能早于 from，且不超过一年")
	case q.Hospital == "":
		return fault.New(fault.Invalid, "缺少 hospital（医院编号）")
	}
	return nil
}

// net gives each settlement one entry: a list that shows the payment and its
// reversal apart means a reversed one.
func net(entries []ncms.Entry) []ncms.Entry {
	void := map[string]bool{}
	for _, e := range entries {
		void[e.ID] = void[e.ID] || e.Void
	}
	seen := map[string]bool{}
	out := make([]ncms.Entry, 0, len(entries))
	for _, e := range entries {
		if seen[e.ID] && e.ID != "" {
			continue
		}
		seen[e.ID] = true
		e.Void = void[e.ID]
		out = append(out, e)
	}
	return out
}

// Compare finds how one entry of the centre and the hall's rows of the same
// FPHM + DJLSH differ; nil if they agree. A reversal of which the hall has no row
// is none: its cashier never saved the bill.
func Compare(e ncms.Entry, bills []record.Bill) []record.Finding {
	var paid, void []record.Bill
	for _, b := range bills {
		if b.Void {
			void = append(void, b)
		} else {
			paid = append(paid, b)
		}
	}
	found := func(k record.Mismatch, b *record.Bill) record.Finding {
		return record.Finding{Kind: k, Entry: e, Bill: b}
	}
	switch {
	case e.Void && len(void) > 1:
		return []record.Finding{found(record.VoidTwiceAtHall, nil)}
	case e.Void && len(void) == 0 && len(paid) > 0:
		return []record.Finding{found(record.VoidAtCentreOnly, &paid[0])}
	case e.Void:
		return nil
	case len(paid) == 0:
		return []record.Finding{found(record.MissingAtHall, nil)}
	case len(paid) > 1:
		return []record.Finding{found(record.PaidTwiceAtHall, nil)}
	}
	var out []record.Finding
	if m, err := paid[0].Sums.Money(ncms.SumScheme); err != nil || !m.Equal(e.Paid) {
		out = append(out, found(record.PaidDiffers, &paid[0]))
	}
	if m, err := paid[0].Sums.Money(ncms.SumTotal); err != nil || !m.Equal(e.Total) {
		out = append(out, found(record.TotalDiffers, &paid[0]))
	}
	return out
}

var escaper = strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "=", "%3D", "#", "%23", " ", "%20",
	"|", "%5C%7C", ",", "%5C%2C", "$", "%5C%24", "\\", "%5C%5C")

// bills returns the hall's rows of an entry and notes their ids as seen.
func (l *Ledger) bills(ctx context.Context, snap store.Snapshot, e ncms.Entry, seen map[string]bool) ([]record.Bill, error) {
	system, value := record.MatchQuery(l.cfg.Source, e.Invoice, e.Visit)
	ids, err := l.parts.Search.IDs(ctx, snap.Index(), "Invoice", "identifier="+escaper.Replace(system)+"%7C"+escaper.Replace(value), maxPerKey)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	out := make([]record.Bill, 0, len(ids))
	for _, id := range ids {
		n, _, err := store.Current(snap, "Invoice", id)
		if err != nil {
			return nil, err
		}
		seen[id] = true
		out = append(out, record.ReadBill(n, l.cfg.Source))
	}
	return out, nil
}

// orphans are the hall's rows of the days that stand and that the centre does
// not list.
func (l *Ledger) orphans(ctx context.Context, snap store.Snapshot, q ncms.Days, seen map[string]bool) ([]string, error) {
	from, _ := time.ParseInLocation(time.DateOnly, q.From, l.cfg.Zone) // checkDays has read them
	to, _ := time.ParseInLocation(time.DateOnly, q.To, l.cfg.Zone)
	stamp := func(t time.Time) string { return escaper.Replace(t.Format(time.RFC3339)) }
	ids, err := l.parts.Search.IDs(ctx, snap.Index(), "Invoice", "issuer=Organization/"+tcm.OrganizationID(q.Hospital)+"&date=ge"+stamp(from)+
		"&date=lt"+stamp(to.AddDate(0, 0, 1))+"&status=issued", maxBills)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, id := range ids {
		if seen[id] {
			continue
		}
		n, _, err := store.Current(snap, "Invoice", id)
		if err != nil {
			return nil, err
		}
		if b := record.ReadBill(n, l.cfg.Source); b.ID != "" {
			out = append(out, b.ID)
		}
	}
	slices.Sort(out)
	return out, nil
}

// absorb writes a settlement that the hub knows otherwise or not at all, unless
// somebody else writes it at the same time.
func (l *Ledger) absorb(ctx context.Context, snap store.Snapshot, q ncms.Days, e ncms.Entry) error {
	if e.ID == "" {
		return nil
	}
	id := record.BenefitID(l.cfg.Source, e.ID)
	n, version, err := store.Current(snap, "ExplanationOfBenefit", id)
	if err != nil {
		return err
	}
	b := record.ReadBenefit(n, l.cfg.Source)
	if version > 0 && b.Cancelled == e.Void {
		return nil
	}
	var ops []store.Op
	if version == 0 {
		at, terr := time.ParseInLocation(time.DateTime, e.Time, l.cfg.Zone)
		if terr != nil {
			at = l.parts.Clock.Now().In(l.cfg.Zone)
		}
		b = record.Benefit{Source: l.cfg.Source, ID: e.ID, Invoice: e.Invoice, Number: e.Visit, Hospital: q.Hospital, Card: e.Card, Inpatient: q.Inpatient,
			Sums: ncms.SumsOf(e.Total, e.Paid), At: at.Format(time.RFC3339), Teller: record.ByCentre}
		pid, rs, err := l.owner(snap, record.Card{Source: l.cfg.Source, Person: ncms.Person{Card: e.Card, Insurance: "380"}})
		if err != nil {
			return err
		}
		if ops, err = l.puts(ops, rs...); err != nil {
			return err
		}
		b.PatientID = pid
	}
	b.Cancelled = e.Void
	if ops, err = l.puts(ops, b.Resources()...); err != nil {
		return err
	}
	last := &ops[len(ops)-1]
	last.IfMatch, last.IfNoneMatch = version, version == 0
	if err = l.commit(ctx, "", ops); fault.Is(err, fault.Precondition) || fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}
