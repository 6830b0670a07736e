package ncms

import (
	"errors"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Refused is the centre's no, in its own words.
type Refused struct {
	Words     string // msg, err_msg
	Duplicate bool   // the invoice number is taken
}

// Error returns the centre's words.
func (r *Refused) Error() string { return "农合中心拒绝：" + r.Words }

// Unwrap gives the refusal its kind.
func (r *Refused) Unwrap() error {
	kind := fault.Precondition
	if r.Duplicate {
		kind = fault.Conflict
	}
	return fault.New(kind, "%s", r.Error()).With(fault.Issue{Severity: "error", Code: "business-rule", Key: "scheme-refused", Text: r.Error()})
}

// Refuse makes the refusal of a centre's message.
func Refuse(words string) *Refused {
	if words = strings.TrimSpace(words); words == "" {
		words = "没有说明原因"
	}
	return &Refused{Words: words, Duplicate: strings.Contains(words, "已存在发票号码相同")}
}

// Lost says that a request was sent and no answer understood: it may have taken
// effect. Only the centre's list tells.
type Lost struct{ Cause error }

// Error says so without the cause, which may hold addresses.
func (l *Lost) Error() string { return "农合中心没有回应，结果不明" }

// Unwrap gives the loss its kind and its cause.
func (l *Lost) Unwrap() []error {
	return []error{fault.New(fault.Unavailable, "%s", l.Error()), l.Cause}
}

// IsLost reports whether the effect of a request is unknown.
func IsLost(err error) bool {
	var l *Lost
	return errors.As(err, &l)
}

// RefusedBy returns the refusal in err, nil if the centre refused nothing.
func RefusedBy(err error) *Refused {
	var r *Refused
	errors.As(err, &r)
	return r
}

// Settled says that the visit is settled already, under another invoice than
// asked for.
type Settled struct {
	ID, Invoice string
}

// Error names what holds.
func (s *Settled) Error() string {
	return "该登记已用发票 " + s.Invoice + " 结算，报销编码 " + s.ID + "；请用原发票号重试，或先作废"
}

// Unwrap gives it its kind.
func (s *Settled) Unwrap() error { return fault.New(fault.Conflict, "%s", s.Error()) }
