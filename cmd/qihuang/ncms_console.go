package main

import (
	"context"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/apps/console"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// settlementBook shows the settlement sources to the console.
type settlementBook struct{ h *hub }

// Sources implements console.Settlements.
func (b settlementBook) Sources() []string {
	names := make([]string, len(b.h.settlements))
	for i, s := range b.h.settlements {
		names[i] = s.name
	}
	return names
}

// stepNames and stateNames translate the steps of the settlement desk for people.
var (
	stepNames  = map[record.Step]string{record.Settle: "结算", record.Reverse: "作废", record.Retract: "撤销明细"}
	stateNames = map[record.State]string{record.Requested: "排队", record.Sent: "结果不明，正在查对", record.Unclaimed: "中心已结算，等医院认领"}
)

// Open implements console.Settlements.
func (b settlementBook) Open(ctx context.Context) ([]console.OpenStep, error) {
	var out []console.OpenStep
	for _, s := range b.h.settlements {
		list, err := s.desk.Open(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			out = append(out, console.OpenStep{ID: t.ID(), Source: s.name, Hospital: t.Hospital, Visit: t.Number, Invoice: t.Invoice, Step: stepNames[t.Step],
				State: stateNames[t.State], Words: t.Words, Since: t.Begun, Tries: t.Tries})
		}
	}
	return out, nil
}

// Reconcile implements console.Settlements.
func (b settlementBook) Reconcile(ctx context.Context, source, hospital, from, to string) (*console.Reconciliation, error) {
	for _, s := range b.h.settlements {
		if s.name != source {
			continue
		}
		r, err := s.ledger.Reconcile(ctx, ncms.Days{Caller: ncms.Caller{Hospital: hospital, Operator: "all"}, From: from, To: to})
		if err != nil {
			return nil, err
		}
		out := &console.Reconciliation{Source: source, Hospital: hospital, From: from, To: to, ID: r.ID(), Compared: r.Compared, Paid: ncms.FormatMoney(r.Paid), Orphans: r.Orphans}
		for _, f := range r.Findings {
			out.Mismatches = append(out.Mismatches, mismatch(source, f))
		}
		return out, nil
	}
	return nil, fault.New(fault.NotFound, "没有结算来源 %.40q", source)
}

// mismatch shows one finding with both sides.
func mismatch(source string, f record.Finding) console.Mismatch {
	states := map[bool]string{false: "有效", true: "已作废"}
	e := f.Entry
	m := console.Mismatch{Code: string(f.Kind), Name: record.MismatchNames[f.Kind], ID: e.ID, Benefit: record.BenefitID(source, e.ID), Invoice: e.Invoice, Visit: e.Visit, Card: e.Card,
		Time: e.Time, CentreState: states[e.Void], CentreTotal: ncms.FormatMoney(e.Total), CentrePaid: ncms.FormatMoney(e.Paid)}
	if b := f.Bill; b != nil {
		m.HallState, m.HallTotal, m.HallPaid = states[b.Void], b.Sums[ncms.SumTotal], b.Sums[ncms.SumScheme]
	}
	return m
}
