package yb

import (
	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// bill is the input of 2206 and 2207.
type bill struct {
	Person    text   `json:"psn_no"`
	CertType  text   `json:"mdtrt_cert_type"`
	CertNo    text   `json:"mdtrt_cert_no"`
	Type      text   `json:"med_type"`
	Total     amount `json:"medfee_sumamt"`
	Way       text   `json:"psn_setlway"`
	Visit     text   `json:"mdtrt_id"`
	Batch     text   `json:"chrg_bchno"`
	Insurance text   `json:"insutype"`
	Account   text   `json:"acct_used_flag"`
	Invoice   text   `json:"invono,omitempty"`
}

func billOf(b ncms.Bill, insurance string) bill {
	return bill{Person: text(b.Person), CertType: text(certKind(b.Card)), CertNo: text(b.Card), Type: medType(b.Inpatient), Total: amountOf(b.Total),
		Way: ownSettlement, Visit: text(b.Number), Batch: text(b.Number), Insurance: text(insurance), Account: "0", Invoice: text(b.Invoice)}
}

func (b bill) port(who ncms.Caller, day string) (ncms.Bill, error) {
	total, err := b.Total.money("medfee_sumamt")
	out := ncms.Bill{Visit: ncms.Visit{Caller: who, Number: b.Visit.String(), Person: b.Person.String(), Inpatient: inpatient(b.Type)}, Card: b.CertNo.String(),
		Total: total, Invoice: b.Invoice.String(), InvoiceDate: day}
	if len(day) >= 4 {
		out.Year = day[:4]
	}
	return out, err
}

// settled is setlinfo, the output of 2206 and 2207.
type settled struct {
	Visit    text   `json:"mdtrt_id"`
	ID       text   `json:"setl_id,omitempty"`
	Person   text   `json:"psn_no"`
	Time     text   `json:"setl_time"`
	Total    amount `json:"medfee_sumamt"`
	InScope  amount `json:"inscp_scp_amt"`
	Pool     amount `json:"hifp_pay"`
	Aid      amount `json:"maf_pay"`
	Fund     amount `json:"fund_pay_sumamt"`
	Personal amount `json:"psn_part_amt"`
	Cash     amount `json:"psn_cash_pay"`
}

// fund is a line of setldetail.
type fund struct {
	Kind text   `json:"fund_pay_type"`
	Paid amount `json:"fund_payamt"`
	Name text   `json:"fund_pay_type_name"`
}

type settledOut struct {
	Info  settled `json:"setlinfo"`
	Funds []fund  `json:"setldetail"`
}

// sums are the parts of setlinfo in the port's numbering.
func (s settled) sums() (ncms.Sums, error) {
	out := ncms.Sums{}
	for _, p := range []struct {
		key    string
		member string
		value  amount
	}{{ncms.SumTotal, "medfee_sumamt", s.Total}, {ncms.SumScheme, "fund_pay_sumamt", s.Fund}, {ncms.SumPatient, "psn_part_amt", s.Personal},
		{"sum04", "inscp_scp_amt", s.InScope}, {"sum11", "maf_pay", s.Aid}, {"sum20", "hifp_pay", s.Pool}, {"sum32", "psn_cash_pay", s.Cash}} {
		if p.value == "" {
			continue
		}
		m, err := p.value.money(p.member)
		if err != nil {
			return nil, err
		}
		out[p.key] = ncms.FormatMoney(m)
	}
	return out, nil
}

func settledOf(s ncms.Sums, number, id, person, now string) settledOut {
	at := func(key string) amount {
		if s[key] == "" {
			return "0"
		}
		return amount(s[key])
	}
	return settledOut{Info: settled{Visit: text(number), ID: text(id), Person: text(person), Time: text(now), Total: at(ncms.SumTotal), InScope: at("sum04"),
		Pool: at("sum20"), Aid: at("sum11"), Fund: at(ncms.SumScheme), Personal: at(ncms.SumPatient), Cash: at("sum32")},
		Funds: []fund{{Kind: "390100", Paid: at(ncms.SumScheme), Name: "城乡居民基本医疗保险基金"}}}
}

// dayQuery is the input of 3201 and 3202.
type dayQuery struct {
	From  text   `json:"stmt_begndate"`
	To    text   `json:"stmt_enddate"`
	Type  text   `json:"med_type,omitempty"`
	Total amount `json:"medfee_sumamt,omitempty"`
	Fund  amount `json:"fund_pay_sumamt,omitempty"`
	Count text   `json:"fixmedins_setl_cnt,omitempty"`
}

// dayLine is a member of 3202's output.
type dayLine struct {
	ID      text   `json:"setl_id"`
	Visit   text   `json:"mdtrt_id"`
	Invoice text   `json:"invono"`
	CertNo  text   `json:"mdtrt_cert_no"`
	Total   amount `json:"medfee_sumamt"`
	Fund    amount `json:"fund_pay_sumamt"`
	Time    text   `json:"setl_time"`
	Refund  text   `json:"refd_setl_flag"` // 1 = reversed
}

func dayLineOf(e ncms.Entry) dayLine {
	refund := text("0")
	if e.Void {
		refund = "1"
	}
	return dayLine{text(e.ID), text(e.Visit), text(e.Invoice), text(e.Card), amountOf(e.Total), amountOf(e.Paid), text(e.Time), refund}
}

func (l dayLine) port() (ncms.Entry, error) {
	total, err := l.Total.money("medfee_sumamt")
	if err != nil {
		return ncms.Entry{}, err
	}
	paid, err := l.Fund.money("fund_pay_sumamt")
	return ncms.Entry{ID: l.ID.String(), Invoice: l.Invoice.String(), Visit: l.Visit.String(), Card: l.CertNo.String(), Total: total, Paid: paid,
		Time: l.Time.String(), Void: l.Refund == "1"}, err
}
