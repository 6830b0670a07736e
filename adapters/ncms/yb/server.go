package yb

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxRequest bounds a request: a bill of thousands of items is below it.
const maxRequest = 16 << 20

// Server lets hospital systems use a scheme through this dialect. It implements
// http.Handler: POST an envelope.
type Server struct {
	scheme ncms.Scheme
	limit  time.Duration
	zone   *time.Location
	clock  clock.Clock
	log    *slog.Logger
}

// NewServer returns a server over scheme. Every transaction answers within limit.
func NewServer(scheme ncms.Scheme, limit time.Duration, zone *time.Location, c clock.Clock, log *slog.Logger) *Server {
	return &Server{scheme, limit, zone, c, log}
}

// serving says how each transaction is done.
var serving = map[string]func(*Server, context.Context, request) (any, error){
	infSignIn: (*Server).signIn, infPerson: (*Server).person, infRegister: (*Server).register, infCancel: (*Server).cancel, infDiagnose: (*Server).diagnose,
	infUpload: (*Server).upload, infRetract: (*Server).retract, infTry: (*Server).try, infSettle: (*Server).settle, infReverse: (*Server).reverse,
	infTotals: (*Server).totals, infDay: (*Server).day,
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "请用 POST 发送报文", http.StatusMethodNotAllowed)
		return
	}
	begin := s.now()
	out, err := s.answer(w, r)
	answer := reply{Code: codeOK, RefTime: text(begin.Format("20060102150405.000")), Output: json.RawMessage("{}")}
	if err != nil {
		answer.Code, answer.Error = codeFail, text(words(err))
	} else if out != nil {
		answer.Output = ncms.EncodeJSON(out)
	}
	end := s.now()
	answer.RefTime = text(strings.ReplaceAll(answer.RefTime.String(), ".", ""))
	answer.Responded = text(strings.ReplaceAll(end.Format("20060102150405.000"), ".", ""))
	answer.RefMsgID = text("000000" + end.Format("20060102150405") + end.Format("0000000000")[:6] + end.Format(".0000")[1:])
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(ncms.EncodeJSON(answer))
}

func (s *Server) now() time.Time { return s.clock.Now().In(s.zone) }

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, fault.New(fault.TooCostly, "请求太大或中断")
	}
	var in request
	if err := ncms.DecodeJSON(body, &in); err != nil {
		return nil, err
	}
	serve := serving[in.Infno.String()]
	if serve == nil {
		return nil, fault.New(fault.Unsupported, "没有交易 %.10q", in.Infno)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.limit) // who hangs up does not stop a settlement
	defer cancel()
	out, err := serve(s, ctx, in)
	if err != nil {
		s.log.WarnContext(ctx, "settlement request not served", "operation", in.Infno.String(), "fault", fault.KindOf(err).String(), "lost", ncms.IsLost(err))
	}
	return out, err
}

// words is this edge's one translation of faults, the err_msg of infcode -1.
func words(err error) string {
	if r := ncms.RefusedBy(err); r != nil {
		return r.Words
	}
	var e *fault.Error
	switch kind := fault.KindOf(err); {
	case kind == fault.Internal && errors.Is(err, context.DeadlineExceeded):
		return "医保中心没有及时回应，请稍后重试"
	case kind == fault.Internal:
		return "平台内部错误，请联系管理员"
	case len(fault.IssuesOf(err)) > 0:
		return fault.IssuesOf(err)[0].Text
	case errors.As(err, &e):
		return e.Msg
	}
	return "交易没有完成"
}

// input reads the members of a question, in input.data or in input itself.
func input(r request, into any) error {
	var wrapped data[json.RawMessage]
	if err := ncms.DecodeJSON(r.Input, &wrapped); err != nil {
		return err
	}
	if len(wrapped.Data) > 0 {
		return ncms.DecodeJSON(wrapped.Data, into)
	}
	return ncms.DecodeJSON(r.Input, into)
}

func need(member string, v text) error {
	if v != "" {
		return nil
	}
	return fault.New(fault.Invalid, "缺少 %s", member).With(fault.Issue{Severity: "error", Code: "required", Key: "missing-member",
		Text: "缺少 " + member, TextEN: member + " is missing", Expression: member})
}

func (s *Server) signIn(_ context.Context, r request) (any, error) {
	number := "SN" + s.now().Format("20060102") + r.Hospital.String()
	return map[string]any{"signinoutb": map[string]string{"sign_time": s.now().Format(time.DateTime), "sign_no": number}}, nil
}

func (s *Server) person(ctx context.Context, r request) (any, error) {
	var in identity
	if err := input(r, &in); err != nil {
		return nil, err
	}
	number := in.Number
	if number == "" {
		number = in.CertNo
	}
	if err := need("mdtrt_cert_no", number); err != nil {
		return nil, err
	}
	people, err := s.scheme.Eligible(ctx, ncms.Card{Caller: r.caller(), Number: number.String(), Kind: in.Kind.String(), Year: s.now().Format("2006")})
	if err != nil {
		return nil, err
	}
	if len(people) == 0 {
		return nil, ncms.Refuse("没有这个参保人")
	}
	return personOutOf(people[0]), nil
}

func (s *Server) register(ctx context.Context, r request) (any, error) {
	var in registration
	if err := input(r, &in); err != nil {
		return nil, err
	}
	if err := need("psn_no", in.Person); err != nil {
		return nil, err
	}
	number, err := s.scheme.Register(ctx, ncms.Registration{Caller: r.caller(), Card: in.CertNo.String(), Person: in.Person.String(), Year: s.now().Format("2006"),
		Date: day(in.Begin, s.now()), VisitNo: in.VisitNo.String(), Insurance: in.Insurance.String(), Doctor: in.Doctor.String(), DoctorName: in.DoctorName.String(), Department: in.DeptName.String()})
	if err != nil {
		return nil, err
	}
	return data[registered]{registered{Number: text(number), Person: in.Person, VisitNo: in.VisitNo}}, nil
}

func day(t text, now time.Time) string {
	if len(t) >= 10 {
		return t.String()[:10]
	}
	return now.Format(time.DateOnly)
}

// visit reads the visit that 2202, 2205 and 2208 name.
func (s *Server) visit(r request) (ncms.Visit, registered, error) {
	var in registered
	if err := input(r, &in); err != nil {
		return ncms.Visit{}, in, err
	}
	return ncms.Visit{Caller: r.caller(), Number: in.Number.String(), Person: in.Person.String()}, in, need("mdtrt_id", in.Number)
}

func (s *Server) cancel(ctx context.Context, r request) (any, error) {
	v, _, err := s.visit(r)
	if err != nil {
		return nil, err
	}
	return nil, s.scheme.Cancel(ctx, v)
}

func (s *Server) diagnose(ctx context.Context, r request) (any, error) {
	var in diagnoses
	if err := input(r, &in); err != nil {
		return nil, err
	}
	if err := need("mdtrt_id", in.Visit.Number); err != nil {
		return nil, err
	}
	d, ok := s.scheme.(ncms.Diagnoser)
	if !ok {
		return nil, nil // a centre that takes none
	}
	v := ncms.Visit{Caller: r.caller(), Number: in.Visit.Number.String(), Person: in.Visit.Person.String(), Inpatient: inpatient(in.Visit.Type)}
	return nil, d.Diagnose(ctx, v, in.port())
}

func (s *Server) upload(ctx context.Context, r request) (any, error) {
	var in feeDetails
	if err := input(r, &in); err != nil {
		return nil, err
	}
	if len(in.List) == 0 {
		return nil, fault.New(fault.Invalid, "缺少 feedetail")
	}
	if err := need("mdtrt_id", in.List[0].Visit); err != nil {
		return nil, err
	}
	d := ncms.Details{Visit: ncms.Visit{Caller: r.caller(), Number: in.List[0].Visit.String(), Person: in.List[0].Person.String()}}
	type line struct {
		Line   text   `json:"feedetl_sn"`
		Amount amount `json:"det_item_fee_sumamt"`
		Count  amount `json:"cnt"`
		Price  text   `json:"pric"`
	}
	var out struct {
		Result []line `json:"result"`
	}
	for _, f := range in.List {
		i, err := f.port()
		if err != nil {
			return nil, err
		}
		d.Items = append(d.Items, i)
		out.Result = append(out.Result, line{f.Line, f.Amount, f.Count, f.Price})
	}
	return out, s.scheme.Upload(ctx, d)
}

func (s *Server) retract(ctx context.Context, r request) (any, error) {
	v, in, err := s.visit(r)
	if err != nil {
		return nil, err
	}
	if in.Items != "" && in.Items != allItems {
		return nil, fault.New(fault.Unsupported, "只支持撤销全部明细（feedetl_sn=0000）")
	}
	return nil, s.scheme.Retract(ctx, v)
}

func (s *Server) bill(r request) (ncms.Bill, error) {
	var in bill
	if err := input(r, &in); err != nil {
		return ncms.Bill{}, err
	}
	if err := need("mdtrt_id", in.Visit); err != nil {
		return ncms.Bill{}, err
	}
	return in.port(r.caller(), s.now().Format(time.DateOnly))
}

func (s *Server) try(ctx context.Context, r request) (any, error) {
	b, err := s.bill(r)
	if err != nil {
		return nil, err
	}
	t, err := s.scheme.Try(ctx, b)
	if err != nil {
		return nil, err
	}
	return settledOf(t.Sums, b.Number, "", b.Person, s.now().Format(time.DateTime)), nil
}

func (s *Server) settle(ctx context.Context, r request) (any, error) {
	b, err := s.bill(r)
	if err != nil {
		return nil, err
	}
	if b.Invoice == "" { // the platform makes invoice numbers optional; the visit then stands for it
		b.Invoice = b.Number
	}
	out, err := s.scheme.Settle(ctx, b)
	if err != nil {
		return nil, err
	}
	return settledOf(out.Sums, b.Number, out.ID, b.Person, s.now().Format(time.DateTime)), nil
}

func (s *Server) reverse(ctx context.Context, r request) (any, error) {
	v, in, err := s.visit(r)
	if err != nil {
		return nil, err
	}
	if err := need("setl_id", in.ID); err != nil {
		return nil, err
	}
	if err := s.scheme.Reverse(ctx, ncms.Reversal{Visit: v, ID: in.ID.String(), Year: s.now().Format("2006")}); err != nil {
		return nil, err
	}
	return settledOut{Info: settled{Visit: in.Number, ID: in.ID, Person: in.Person, Time: text(s.now().Format(time.DateTime)), Total: "0", InScope: "0", Pool: "0", Aid: "0", Fund: "0", Personal: "0", Cash: "0"}}, nil
}

func (s *Server) entries(ctx context.Context, r request) (dayQuery, []ncms.Entry, error) {
	var in dayQuery
	if err := input(r, &in); err != nil {
		return in, nil, err
	}
	if err := need("stmt_begndate", in.From); err != nil {
		return in, nil, err
	}
	to := in.To
	if to == "" {
		to = in.From
	}
	entries, err := s.scheme.Day(ctx, ncms.Days{Caller: r.caller(), From: in.From.String(), To: to.String(), Inpatient: inpatient(in.Type)})
	return in, entries, err
}

func (s *Server) day(ctx context.Context, r request) (any, error) {
	_, entries, err := s.entries(ctx, r)
	if err != nil {
		return nil, err
	}
	out := data[[]dayLine]{make([]dayLine, len(entries))}
	for i, e := range entries {
		out.Data[i] = dayLineOf(e)
	}
	return out, nil
}

// totals compares what a hospital says it settled with the list.
func (s *Server) totals(ctx context.Context, r request) (any, error) {
	in, entries, err := s.entries(ctx, r)
	if err != nil {
		return nil, err
	}
	var total, fund ncms.Money
	count := 0
	for _, e := range entries {
		if !e.Void {
			total, fund, count = total.Add(e.Total), fund.Add(e.Paid), count+1
		}
	}
	result := "0" // 平
	said, err := in.Total.money("medfee_sumamt")
	if err != nil {
		return nil, err
	}
	saidFund, err := in.Fund.money("fund_pay_sumamt")
	if err != nil {
		return nil, err
	}
	if !said.Equal(total) || !saidFund.Equal(fund) {
		result = "1" // 不平
	}
	return data[map[string]any]{map[string]any{"stmt_rslt": result, "medfee_sumamt": amountOf(total), "fund_pay_sumamt": amountOf(fund), "fixmedins_setl_cnt": count}}, nil
}
