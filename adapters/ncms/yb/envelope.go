package yb

import (
	"encoding/json"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/fault"
)

type text = ncms.Text

// request is the envelope of every question.
type request struct {
	Infno        text            `json:"infno"`
	MsgID        text            `json:"msgid"`
	Area         text            `json:"mdtrtarea_admvs"`
	PersonArea   text            `json:"insuplc_admdvs"`
	Receiver     text            `json:"recer_sys_code"`
	Device       text            `json:"dev_no"`
	DeviceSafe   text            `json:"dev_safe_info"`
	CA           text            `json:"cainfo"`
	SignType     text            `json:"signtype"`
	Version      text            `json:"infver"`
	OperatorType text            `json:"opter_type"`
	Operator     text            `json:"opter"`
	OperatorName text            `json:"opter_name"`
	Time         text            `json:"inf_time"`
	Hospital     text            `json:"fixmedins_code"`
	HospitalName text            `json:"fixmedins_name"`
	SignNo       text            `json:"sign_no"`
	Software     text            `json:"fixmedins_soft_fcty"`
	Input        json.RawMessage `json:"input"`
}

func (r request) caller() ncms.Caller {
	return ncms.Caller{Hospital: r.Hospital.String(), HospitalName: r.HospitalName.String(), Operator: r.Operator.String(), OperatorName: r.OperatorName.String()}
}

// reply is the envelope of every answer.
type reply struct {
	Code      code            `json:"infcode"`
	RefMsgID  text            `json:"inf_refmsgid"`
	RefTime   text            `json:"refmsg_time"`
	Responded text            `json:"respond_time"`
	Error     text            `json:"err_msg"`
	Output    json.RawMessage `json:"output"`
}

// code is 0 or -1; written as a number, read from numbers and text.
type code string

// UnmarshalJSON implements json.Unmarshaler.
func (c *code) UnmarshalJSON(b []byte) error {
	var t text
	err := t.UnmarshalJSON(b)
	*c = code(t)
	return err
}

// MarshalJSON implements json.Marshaler.
func (c code) MarshalJSON() ([]byte, error) { return []byte(c), nil }

const (
	codeOK   code = "0"
	codeFail code = "-1"
)

// data is the usual wrapper of input and output.
type data[T any] struct {
	Data T `json:"data"`
}

// read takes the members of an answer. What cannot be understood is *ncms.Lost.
func (r reply) read(into any) error {
	switch {
	case r.Code == "":
		return &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's answer has no infcode")}
	case r.Code != codeOK:
		return ncms.Refuse(r.Error.String())
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(r.Output, into); err != nil {
		return &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's output has another shape: %w", err)}
	}
	return nil
}

// amount is money written as a JSON number and read from numbers and text.
type amount string

// UnmarshalJSON implements json.Unmarshaler.
func (a *amount) UnmarshalJSON(b []byte) error {
	var t text
	err := t.UnmarshalJSON(b)
	*a = amount(t)
	return err
}

// MarshalJSON implements json.Marshaler.
func (a amount) MarshalJSON() ([]byte, error) {
	m, err := ncms.ParseMoney("amount", string(a))
	if err != nil {
		return nil, err
	}
	return []byte(ncms.FormatMoney(m)), nil
}

func amountOf(m ncms.Money) amount { return amount(ncms.FormatMoney(m)) }

func (a amount) money(member string) (ncms.Money, error) { return ncms.ParseMoney(member, string(a)) }
