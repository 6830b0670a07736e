package xnh

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Client is a centre that speaks this dialect. It implements [ncms.Scheme] and
// [ncms.Catalogues]; safe for concurrent use.
type Client struct {
	url    string
	limit  time.Duration
	client ncms.Doer
}

// NewClient returns a client of the service at address (with or without its
// path and ?wsdl). limit bounds one exchange.
func NewClient(address string, limit time.Duration, client ncms.Doer) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fault.New(fault.Invalid, "农合中心的地址 %q 应为完整的 URL", address)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = Path
	}
	u.RawQuery, u.Fragment = "", ""
	return &Client{u.String(), limit, client}, nil
}

// call sends one operation and returns its result string.
func (c *Client) call(ctx context.Context, op operation, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	params := make([]soap.Param, len(args))
	for i, a := range args {
		params[i] = soap.Param{Name: "arg" + strconv.Itoa(i), Value: a}
	}
	header := http.Header{"Content-Type": {"text/xml; charset=utf-8"}, "Soapaction": {`""`}}
	reply, err := ncms.Exchange(ctx, c.client, c.url, header, soap.Request(Namespace, op.name, params))
	if err != nil {
		return "", fmt.Errorf("%s: %w", op.service, err)
	}
	answer, err := soap.Parse(reply)
	if err != nil || answer.Operation == "" || answer.Operation == "Fault" {
		return "", &ncms.Lost{Cause: fault.New(fault.Unavailable, "%s: the centre answered a fault", op.service)}
	}
	return answer.First(), nil
}

// Eligible implements [ncms.Enrolment].
func (c *Client) Eligible(ctx context.Context, q ncms.Card) ([]ncms.Person, error) {
	reply, err := c.call(ctx, opEligible, q.Operator, q.Hospital, q.Number, q.Year, q.IP, q.Port)
	if err != nil {
		return nil, err
	}
	var r eligibleReply
	if err := readReply(reply, &r); err != nil {
		return nil, err
	}
	out := make([]ncms.Person, len(r.Patients))
	for i, p := range r.Patients {
		out[i] = p.port()
	}
	return out, nil
}

// Register implements [ncms.Registry].
func (c *Client) Register(ctx context.Context, r ncms.Registration) (string, error) {
	op := opRegister
	if r.Inpatient {
		op = opAdmit
	}
	reply, err := c.call(ctx, op, encode(registrationOf(r)))
	if err != nil {
		return "", err
	}
	var out registeredReply
	if err := readReply(reply, &out); err != nil {
		return "", err
	}
	if out.Number == "" {
		return "", &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's reply has no djid")}
	}
	return out.Number.String(), nil
}

// Cancel implements [ncms.Registry].
func (c *Client) Cancel(ctx context.Context, v ncms.Visit) error {
	return c.plain(ctx, opCancel, encode(visitOf(v, opCancel.service)))
}

// Upload implements [ncms.Registry].
func (c *Client) Upload(ctx context.Context, d ncms.Details) error {
	return c.plain(ctx, opUpload, encode(uploadOf(d)))
}

// Retract implements [ncms.Registry].
func (c *Client) Retract(ctx context.Context, v ncms.Visit) error {
	return c.plain(ctx, opUpload, encode(upload{visit: visitOf(v, opUpload.service), Act: "2"}))
}

// plain sends an operation whose reply is a status only.
func (c *Client) plain(ctx context.Context, op operation, message string) error {
	reply, err := c.call(ctx, op, message)
	if err != nil {
		return err
	}
	return readReply(reply, nil)
}

// Try implements [ncms.Cashier].
func (c *Client) Try(ctx context.Context, b ncms.Bill) (*ncms.Trial, error) {
	op := opTry
	if b.Drgs {
		op = opTryDrgs
	}
	reply, err := c.call(ctx, op, trialOf(b))
	if err != nil {
		return nil, err
	}
	return readSums(reply)
}

// Settle implements [ncms.Cashier].
func (c *Client) Settle(ctx context.Context, b ncms.Bill) (*ncms.Settlement, error) {
	op := opSettle
	if b.Drgs {
		op = opSettleDrg
	}
	reply, err := c.call(ctx, op, encode(settlementOf(b)))
	if err != nil {
		return nil, err
	}
	var r settledReply
	if err := readReply(reply, &r); err != nil {
		return nil, err
	}
	if r.ID == "" {
		return nil, &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's reply has no bxid")}
	}
	out := &ncms.Settlement{ID: r.ID.String()}
	if t, err := readSums(reply); err == nil && t.Sums[ncms.SumTotal] != "" {
		out.Sums = t.Sums
	}
	return out, nil
}

// Reverse implements [ncms.Cashier].
func (c *Client) Reverse(ctx context.Context, r ncms.Reversal) error {
	op := opReverse
	if r.Drgs {
		op = opReverseDr
	}
	return c.plain(ctx, op, encode(reversal{headOf(r.Caller, op.service), text(r.Invoice), text(r.Card), text(r.Year), text(r.ID), ""}))
}

// Day implements [ncms.Ledger].
func (c *Client) Day(ctx context.Context, q ncms.Days) ([]ncms.Entry, error) {
	q.Operator = "all"
	reply, err := c.call(ctx, opDay, encode(days{headOf(q.Caller, opDay.service), text(q.Hospital), text(q.From), text(q.To), kindOf(q.Inpatient)}))
	if err != nil {
		return nil, err
	}
	var r dayReply
	if err := readReply(reply, &r); err != nil {
		return nil, err
	}
	out := make([]ncms.Entry, len(r.Entries))
	for i, e := range r.Entries {
		if out[i], err = e.port(); err != nil {
			return nil, &ncms.Lost{Cause: err}
		}
	}
	return out, nil
}
