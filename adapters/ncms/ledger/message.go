package ledger

import (
	"encoding/json"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/ncms/record"
	"github.com/qihuang-health/qihuang/adapters/ncms/xnh"
	"github.com/qihuang-health/qihuang/adapters/ncms/yb"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// message reads a settlement or reversal as a billing system saw it: request and
// answer of one transaction, `{serviceId, request, reply}` in the xnh dialect or
// `{infno, fixmedins_code, input, output}` in yb.
func (l *Ledger) message(text []byte) (*settlement, error) {
	var in struct {
		Infno    ncms.Text       `json:"infno"`
		Hospital ncms.Text       `json:"fixmedins_code"`
		Service  ncms.Text       `json:"serviceId"`
		Request  json.RawMessage `json:"request"`
		Reply    json.RawMessage `json:"reply"`
		Input    json.RawMessage `json:"input"`
		Output   json.RawMessage `json:"output"`
	}
	if err := ncms.DecodeJSON(text, &in); err != nil {
		return nil, err
	}
	var told *ncms.Told
	var err error
	if in.Infno != "" {
		told, err = yb.ReadTold(in.Infno.String(), in.Hospital.String(), in.Input, in.Output)
	} else {
		told, err = xnh.ReadTold(in.Service.String(), in.Request, in.Reply)
	}
	if err != nil {
		return nil, err
	}
	if told.ID == "" {
		return nil, fault.New(fault.Invalid, "报文没有结算编号").With(fault.Issue{Severity: "error", Code: "required", Key: "missing-settlement", Text: "报文没有结算编号", Expression: "reply"})
	}
	e := record.Benefit{Source: l.cfg.Source, ID: told.ID, Invoice: told.Invoice, Number: told.Visit.Number, Hospital: told.Visit.Hospital, Card: told.Card,
		Person: told.Visit.Person, Inpatient: told.Visit.Inpatient, Sums: told.Sums, Cancelled: told.Void, Teller: record.ByFile}
	if e.At, err = l.dateTime(row{get: func(string) string { return told.Time }, place: func(c string) string { return c }}, "setl_time"); err != nil {
		return nil, err
	}
	return &settlement{card: record.Card{Source: l.cfg.Source, Person: ncms.Person{Number: told.Visit.Person, Card: told.Card, Insurance: "380"}}, benefit: e}, nil
}
