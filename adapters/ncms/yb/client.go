package yb

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config of a centre.
type Config struct {
	Address   string        // URL every transaction is posted to
	Timeout   time.Duration // of one exchange
	Area      string        // mdtrtarea_admvs 就医地医保区划
	Receiver  string        // recer_sys_code
	Insurance string        // insutype of those of whom it is not known
	Zone      *time.Location
}

// Client is a centre that speaks this dialect. It implements [ncms.Scheme] and
// [ncms.Diagnoser]; safe for concurrent use.
type Client struct {
	cfg    Config
	client ncms.Doer
	clock  clock.Clock

	mu     sync.Mutex
	serial int
	signed map[string]signature // by hospital
}

// signature is a day's sign-in.
type signature struct{ day, number string }

// NewClient returns a client; what cfg leaves out is that of a county of
// residents (390).
func NewClient(cfg Config, client ncms.Doer, c clock.Clock) (*Client, error) {
	if u, err := url.Parse(cfg.Address); err != nil || u.Host == "" {
		return nil, fault.New(fault.Invalid, "医保中心的地址 %q 应为完整的 URL", cfg.Address)
	}
	if cfg.Insurance == "" {
		cfg.Insurance = "390"
	}
	if cfg.Zone == nil {
		cfg.Zone = time.FixedZone("CST", 8*3600)
	}
	return &Client{cfg: cfg, client: client, clock: c, signed: map[string]signature{}}, nil
}

func (c *Client) now() string { return c.clock.Now().In(c.cfg.Zone).Format(time.DateTime) }

// call posts one transaction and reads its output into out (nil = none).
func (c *Client) call(ctx context.Context, who ncms.Caller, infno string, in, out any) error {
	sign, err := c.signIn(ctx, who)
	if err != nil {
		return err
	}
	return c.post(ctx, who, infno, sign, in, out)
}

// signIn signs a hospital in once a day (9001). A centre that knows no sign-in
// refuses it: then there is no number to send.
func (c *Client) signIn(ctx context.Context, who ncms.Caller) (string, error) {
	day := c.now()[:10]
	c.mu.Lock()
	have, ok := c.signed[who.Hospital]
	c.mu.Unlock()
	if ok && have.day == day {
		return have.number, nil
	}
	var in struct {
		SignIn struct {
			Operator text `json:"opter_no"`
			MAC      text `json:"mac"`
			IP       text `json:"ip"`
		} `json:"signIn"`
	}
	in.SignIn.Operator, in.SignIn.IP = text(who.Operator), text(who.IP)
	var out struct {
		Signed struct {
			Number text `json:"sign_no"`
		} `json:"signinoutb"`
	}
	if err := c.post(ctx, who, infSignIn, "", in, &out); err != nil && ncms.RefusedBy(err) == nil {
		return "", fault.New(fault.Unavailable, "医保中心签到没有完成：%w", err) // nothing was asked for yet
	}
	c.mu.Lock()
	c.signed[who.Hospital] = signature{day, out.Signed.Number.String()}
	c.mu.Unlock()
	return out.Signed.Number.String(), nil
}

func (c *Client) post(ctx context.Context, who ncms.Caller, infno, sign string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	now := c.clock.Now().In(c.cfg.Zone)
	c.mu.Lock()
	c.serial++
	serial := c.serial % 10000
	c.mu.Unlock()
	body := ncms.EncodeJSON(request{Infno: text(infno), MsgID: text(fmt.Sprintf("%s%s%04d", who.Hospital, now.Format("20060102150405"), serial)),
		Area: text(c.cfg.Area), PersonArea: text(c.cfg.Area), Receiver: text(c.cfg.Receiver), Version: "V1.0", OperatorType: "1",
		Operator: text(who.Operator), OperatorName: text(who.OperatorName), Time: text(now.Format(time.DateTime)), Hospital: text(who.Hospital),
		HospitalName: text(who.HospitalName), SignNo: text(sign), Software: "岐黄", Input: ncms.EncodeJSON(in)})
	answer, err := ncms.Exchange(ctx, c.client, c.cfg.Address, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, body)
	if err != nil {
		return fmt.Errorf("%s: %w", infno, err)
	}
	var r reply
	if err := json.Unmarshal(answer, &r); err != nil {
		return &ncms.Lost{Cause: fault.New(fault.Invalid, "%s: the answer is no JSON envelope", infno)}
	}
	return r.read(out)
}

// Eligible implements [ncms.Enrolment].
func (c *Client) Eligible(ctx context.Context, q ncms.Card) ([]ncms.Person, error) {
	var out personOut
	if err := c.call(ctx, q.Caller, infPerson, data[identity]{identityOf(q, c.now())}, &out); err != nil {
		return nil, err
	}
	if !out.active() {
		return nil, ncms.Refuse("该人员未参保或已暂停参保")
	}
	return []ncms.Person{out.port(q.Number)}, nil
}

// Register implements [ncms.Registry]: 2201, then 2203 with the diagnoses. A
// visit whose diagnoses do not get there is cancelled again.
func (c *Client) Register(ctx context.Context, r ncms.Registration) (string, error) {
	insurance, visitNo := r.Insurance, r.VisitNo
	if insurance == "" {
		insurance = c.cfg.Insurance
	}
	if visitNo == "" {
		visitNo = r.StayNo
	}
	in := registration{Person: text(r.Person), Insurance: text(insurance), Begin: text(c.now()), CertType: text(certKind(r.Card)), CertNo: text(r.Card),
		VisitNo: text(visitNo), Doctor: text(r.Doctor), DoctorName: text(r.DoctorName), DeptName: text(r.Department)}
	var out data[registered]
	if err := c.call(ctx, r.Caller, infRegister, data[registration]{in}, &out); err != nil {
		return "", err
	}
	number := out.Data.Number.String()
	if number == "" {
		return "", &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's answer has no mdtrt_id")}
	}
	if len(r.Diagnoses) == 0 {
		return number, nil
	}
	v := ncms.Visit{Caller: r.Caller, Number: number, Person: r.Person, Inpatient: r.Inpatient}
	if err := c.Diagnose(ctx, v, r.Diagnoses); err != nil {
		_ = c.Cancel(context.WithoutCancel(ctx), v) // an open visit costs nothing
		return "", err
	}
	return number, nil
}

// Diagnose implements [ncms.Diagnoser].
func (c *Client) Diagnose(ctx context.Context, v ncms.Visit, list []ncms.Diagnosis) error {
	return c.call(ctx, v.Caller, infDiagnose, diagnosesOf(v, list, c.now()), nil)
}

// Cancel implements [ncms.Registry].
func (c *Client) Cancel(ctx context.Context, v ncms.Visit) error {
	return c.call(ctx, v.Caller, infCancel, data[registered]{registered{Number: text(v.Number), Person: text(v.Person)}}, nil)
}

// Upload implements [ncms.Registry].
func (c *Client) Upload(ctx context.Context, d ncms.Details) error {
	in, err := feeDetailsOf(d, c.now())
	if err != nil {
		return err
	}
	return c.call(ctx, d.Caller, infUpload, in, nil)
}

// Retract implements [ncms.Registry].
func (c *Client) Retract(ctx context.Context, v ncms.Visit) error {
	return c.call(ctx, v.Caller, infRetract, data[registered]{registered{Number: text(v.Number), Person: text(v.Person), Batch: text(v.Number), Items: allItems}}, nil)
}

// Try implements [ncms.Cashier].
func (c *Client) Try(ctx context.Context, b ncms.Bill) (*ncms.Trial, error) {
	b.Invoice = ""
	var out settledOut
	if err := c.call(ctx, b.Caller, infTry, data[bill]{billOf(b, c.cfg.Insurance)}, &out); err != nil {
		return nil, err
	}
	sums, err := out.Info.sums()
	if err != nil {
		return nil, &ncms.Lost{Cause: err}
	}
	return &ncms.Trial{Sums: sums}, nil
}

// Settle implements [ncms.Cashier].
func (c *Client) Settle(ctx context.Context, b ncms.Bill) (*ncms.Settlement, error) {
	var out settledOut
	if err := c.call(ctx, b.Caller, infSettle, data[bill]{billOf(b, c.cfg.Insurance)}, &out); err != nil {
		return nil, err
	}
	sums, err := out.Info.sums()
	if err != nil || out.Info.ID == "" {
		return nil, &ncms.Lost{Cause: fault.New(fault.Invalid, "the centre's answer has no setl_id or wrong amounts")}
	}
	return &ncms.Settlement{ID: out.Info.ID.String(), Sums: sums}, nil
}

// Reverse implements [ncms.Cashier].
func (c *Client) Reverse(ctx context.Context, r ncms.Reversal) error {
	return c.call(ctx, r.Caller, infReverse, data[registered]{registered{Number: text(r.Number), Person: text(r.Person), ID: text(r.ID)}}, nil)
}

// Day implements [ncms.Ledger].
func (c *Client) Day(ctx context.Context, q ncms.Days) ([]ncms.Entry, error) {
	var out data[[]dayLine]
	in := dayQuery{From: text(q.From), To: text(q.To), Type: medType(q.Inpatient)}
	if err := c.call(ctx, q.Caller, infDay, data[dayQuery]{in}, &out); err != nil {
		return nil, err
	}
	entries := make([]ncms.Entry, len(out.Data))
	for i, l := range out.Data {
		e, err := l.port()
		if err != nil {
			return nil, &ncms.Lost{Cause: err}
		}
		entries[i] = e
	}
	return entries, nil
}
