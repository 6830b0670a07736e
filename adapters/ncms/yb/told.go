package yb

import (
	"encoding/json"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// ReadTold reads one transaction that was done elsewhere: 2207 or 2208 with its
// output.
func ReadTold(infno, hospital string, in, out []byte) (*ncms.Told, error) {
	var output settledOut
	if err := ncms.DecodeJSON(out, &output); err != nil {
		return nil, err
	}
	r := request{Input: json.RawMessage(in)}
	who := ncms.Caller{Hospital: hospital}
	switch infno {
	case infSettle:
		var b bill
		if err := input(r, &b); err != nil {
			return nil, err
		}
		sums, err := output.Info.sums()
		if err != nil {
			return nil, err
		}
		return &ncms.Told{Visit: ncms.Visit{Caller: who, Number: b.Visit.String(), Person: b.Person.String(), Inpatient: inpatient(b.Type)}, ID: output.Info.ID.String(),
			Invoice: b.Invoice.String(), Card: b.CertNo.String(), Time: output.Info.Time.String(), Sums: sums}, nil
	case infReverse:
		var v registered
		if err := input(r, &v); err != nil {
			return nil, err
		}
		return &ncms.Told{Visit: ncms.Visit{Caller: who, Number: v.Number.String(), Person: v.Person.String()}, ID: v.ID.String(), Time: output.Info.Time.String(), Sums: ncms.Sums{}, Void: true}, nil
	}
	return nil, fault.New(fault.Unsupported, "不接收交易 %.10q：只接收 2207、2208", infno)
}
