package xnh

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/adapters/ncms"
	"github.com/qihuang-health/qihuang/adapters/soap"
	"github.com/qihuang-health/qihuang/internal/charset"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxRequest bounds a request: a bill of thousands of items is below it.
const maxRequest = 16 << 20

// Server lets hospital systems use a scheme through this dialect. It implements
// http.Handler: POST an operation, GET ?wsdl.
type Server struct {
	scheme ncms.Scheme
	limit  time.Duration
	log    *slog.Logger
	table  map[string]handler // operation in lower case without "do"
}

// handler serves one operation.
type handler struct {
	operation
	serve func(s *Server, ctx context.Context, op operation, args []string) (string, error)
}

// NewServer returns a server over scheme. Every operation answers within limit.
func NewServer(scheme ncms.Scheme, limit time.Duration, log *slog.Logger) *Server {
	s := &Server{scheme, limit, log, map[string]handler{}}
	for _, op := range operations() {
		s.table[key(op.name)] = handler{op, serving[op.name]}
	}
	return s
}

// serving says how each operation is done.
var serving = map[string]func(*Server, context.Context, operation, []string) (string, error){
	opEligible.name: (*Server).eligible, opRegister.name: (*Server).register, opAdmit.name: (*Server).register, opCancel.name: (*Server).cancel,
	opUpload.name: (*Server).upload, opTry.name: (*Server).try, opTryDrgs.name: (*Server).try, opSettle.name: (*Server).settle,
	opSettleDrg.name: (*Server).settle, opReverse.name: (*Server).reverse, opReverseDr.name: (*Server).reverse, opDay.name: (*Server).day,
	opDrugs.name: (*Server).catalogue, opServices.name: (*Server).catalogue, opDiseases.name: (*Server).catalogue, opDrgGroups.name: (*Server).catalogue,
	opPropose.name: (*Server).propose, opApproval.name: (*Server).approval,
}

// key makes the spelling of an operation's name irrelevant.
func key(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "")
	return strings.TrimPrefix(name, "do")
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet:
		s.describe(w, r)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "请用 POST 调用，或 GET ?wsdl", http.StatusMethodNotAllowed)
		return
	}
	call, err := s.read(w, r)
	if err != nil {
		w.Header().Set("Content-Type", call.Version.ContentType())
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(call.Fault(true, words(err), ""))
		return
	}
	result := s.answer(r.Context(), call)
	w.Header().Set("Content-Type", call.Version.ContentType())
	_, _ = w.Write(call.Return(result))
}

// read decodes the envelope; without an operation there is nothing to answer but
// a fault.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (*soap.Call, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return &soap.Call{}, fault.New(fault.TooCostly, "请求太大或中断")
	}
	text, _, err := charset.Decode(body, declared(r))
	if err != nil {
		return &soap.Call{}, err
	}
	call, err := soap.Parse(text)
	if err != nil {
		return &soap.Call{}, err
	}
	if call.Namespace == "" {
		call.Namespace = Namespace
	}
	if _, known := s.table[key(call.Operation)]; !known || call.Operation == "" {
		return call, fault.New(fault.Unsupported, "没有 %.40q 这个操作，见 ?wsdl", call.Operation)
	}
	return call, nil
}

// declared is the character set the request claims for its body.
func declared(r *http.Request) string {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return params["charset"]
}

// answer serves a known operation; whatever goes wrong becomes code -1.
func (s *Server) answer(ctx context.Context, call *soap.Call) string {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limit) // who hangs up does not stop a settlement
	defer cancel()
	h := s.table[key(call.Operation)]
	args := make([]string, len(call.Params))
	for i, p := range call.Params {
		args[i] = p.Value
	}
	if len(args) == 0 {
		args = []string{""}
	}
	result, err := h.serve(s, ctx, h.operation, args)
	if err == nil {
		return result
	}
	kind := fault.KindOf(err)
	s.log.WarnContext(ctx, "settlement request not served", "operation", h.service, "fault", kind.String(), "lost", ncms.IsLost(err), "ms", time.Since(begin).Milliseconds())
	return failure(err)
}

// failure is this edge's one translation of faults: code -1 with words. A
// settlement refused because another invoice holds the visit names what holds.
func failure(err error) string {
	out := struct {
		status
		ID string `json:"bxid,omitempty"`
	}{status{codeFail, text(words(err))}, ""}
	var settled *ncms.Settled
	if errors.As(err, &settled) {
		out.ID = settled.ID
	}
	return encode(out)
}

// words says in one sentence what is wrong: the centre's own words where it
// refused.
func words(err error) string {
	if r := ncms.RefusedBy(err); r != nil {
		return r.Words
	}
	var e *fault.Error
	switch kind := fault.KindOf(err); {
	case kind == fault.Internal && errors.Is(err, context.DeadlineExceeded):
		return "农合中心没有及时回应，请稍后重试"
	case kind == fault.Internal:
		return "平台内部错误，请联系管理员"
	case len(fault.IssuesOf(err)) > 0:
		return fault.IssuesOf(err)[0].Text
	case errors.As(err, &e):
		return e.Msg
	}
	return "操作没有完成"
}

func (s *Server) describe(w http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	address := scheme + "://" + r.Host + r.URL.Path
	if _, want := r.URL.Query()["wsdl"]; !want {
		if _, want = r.URL.Query()["WSDL"]; !want {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "新农合结算接口 HCNWebservicesService。描述："+address+"?wsdl\n")
			return
		}
	}
	service := soap.DocumentService{Name: "HCNWebservicesService", Port: "HCNWebservices", Namespace: Namespace, Address: address}
	for _, op := range operations() {
		service.Operations = append(service.Operations, soap.DocumentOperation{Name: op.name, Params: max(op.params, 1)})
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write(service.WSDL())
}
