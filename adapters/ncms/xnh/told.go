package xnh

import (
	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// ReadTold reads one transaction that was done elsewhere: FybxJs with its reply
// (sums beside bxid where the teller adds them), or ReSaveFybx.
func ReadTold(service string, request, answer []byte) (*ncms.Told, error) {
	switch key(service) {
	case key(opSettle.service), key(opSettleDrg.service):
		var r settlement
		if err := decode(string(request), &r); err != nil {
			return nil, err
		}
		var out struct {
			settledReply
			Card text `json:"cardid"`
		}
		if err := readReply(string(answer), &out); err != nil {
			return nil, told(err)
		}
		t, err := readSums(string(answer))
		if err != nil {
			return nil, told(err)
		}
		b := r.port(false)
		return &ncms.Told{Visit: b.Visit, ID: out.ID.String(), Invoice: b.Invoice, Card: out.Card.String(), Time: b.InvoiceDate, Sums: t.Sums}, nil
	case key(opReverse.service), key(opReverseDr.service):
		var r reversal
		if err := decode(string(request), &r); err != nil {
			return nil, err
		}
		if err := readReply(string(answer), nil); err != nil {
			return nil, told(err)
		}
		return &ncms.Told{Visit: ncms.Visit{Caller: r.caller(), Number: r.Visit.String()}, ID: r.ID.String(), Invoice: r.Invoice.String(), Card: r.Card.String(), Sums: ncms.Sums{}, Void: true}, nil
	}
	return nil, fault.New(fault.Unsupported, "不接收 %.20q 报文：只接收 FybxJs、ReSaveFybx", service)
}

// told turns what would be a centre's failure into a wrong message: it is history.
func told(err error) error {
	if r := ncms.RefusedBy(err); r != nil {
		return fault.New(fault.Invalid, "中心拒绝的交易不能作为结算入库")
	}
	return fault.New(fault.Invalid, "应答报文不完整：%w", err)
}
