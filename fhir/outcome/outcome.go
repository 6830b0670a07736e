// Package outcome is the REST edge's one table of errors: fault kinds become
// HTTP statuses and OperationOutcome resources, in Chinese or English
// (https://hl7.org/fhir/R4/operationoutcome.html, http.html#Status-Codes).
package outcome

import (
	"errors"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// The keys of issues that name one HTTP status exactly.
const (
	KeyMethod     = "method-not-allowed"  // 405
	KeyAccept     = "not-acceptable"      // 406
	KeyTooLarge   = "body-too-large"      // 413
	KeyMediaType  = "media-type"          // 415
	KeyNotDone    = "not-supported"       // 501
	KeyNotUnique  = "multiple-matches"    // 412 whatever the kind
	KeyIdempotent = "idempotency-key"     // 422: one key, two contents
	KeyVersion    = "version-in-the-past" // 412
)

// row is what one fault kind looks like at the REST edge.
type row struct {
	status int
	code   string // IssueType
	zh, en string
}

// table translates every fault.Kind; it is indexed by kind.
var table = [...]row{
	fault.Internal:     {500, "exception", "服务器内部错误，请把请求编号告诉管理员", "internal error: give the request id to the operator"},
	fault.Invalid:      {400, "invalid", "请求内容有误，请改正后重试", "the request is not valid: correct it and try again"},
	fault.NotFound:     {404, "not-found", "没有找到", "not found"},
	fault.Gone:         {410, "deleted", "该资源已被删除", "it was deleted"},
	fault.Conflict:     {409, "conflict", "与现有数据冲突", "it conflicts with what is stored"},
	fault.Precondition: {412, "conflict", "前提条件不成立（资源已被他人修改或条件不唯一）", "a stated precondition does not hold"},
	fault.Forbidden:    {403, "forbidden", "没有权限", "not allowed"},
	fault.Unauthorized: {401, "login", "请先登录", "log in first"},
	fault.Unsupported:  {400, "not-supported", "不支持该功能", "not supported"},
	fault.TooCostly:    {422, "too-costly", "请求代价过高，请缩小范围", "too costly: narrow the request"},
	fault.Busy:         {429, "throttled", "系统繁忙，请稍后重试", "busy: try again later"},
	fault.Unavailable:  {503, "transient", "所需的部件暂时不可用，请稍后重试", "a needed part is away: try again later"},
}

// byKey gives the status of an issue key that names one, else 0.
func byKey(key string) int {
	switch key {
	case KeyMethod:
		return 405
	case KeyAccept:
		return 406
	case KeyTooLarge:
		return 413
	case KeyMediaType:
		return 415
	case KeyNotDone:
		return 501
	case KeyNotUnique, KeyVersion:
		return 412
	case KeyIdempotent:
		return 422
	}
	return 0
}

// Status returns the HTTP status of err. Invalid input that parsed but breaks a
// rule beyond basic structure (invariants, bindings, business rules) is 422.
func Status(err error) int {
	k := fault.KindOf(err)
	issues := fault.IssuesOf(err)
	for _, is := range issues {
		if s := byKey(is.Key); s != 0 {
			return s
		}
	}
	if k == fault.Invalid && onlyRules(issues) {
		return 422
	}
	return lookup(k).status
}

// onlyRules reports whether every error among the issues is a broken rule.
func onlyRules(issues []fault.Issue) bool {
	errs := 0
	for _, is := range issues {
		if is.Severity != "error" && is.Severity != "fatal" && is.Severity != "" {
			continue
		}
		switch is.Code {
		case "invariant", "business-rule", "code-invalid":
			errs++
		default:
			return false
		}
	}
	return errs > 0
}

func lookup(k fault.Kind) row {
	if int(k) < len(table) {
		return table[k]
	}
	return table[fault.Internal]
}

// Options says how an outcome is worded.
type Options struct {
	English   bool   // English first; else Chinese
	RequestID string // told to the user, so that the operator finds the cause
}

// Of returns the OperationOutcome of err as JSON. An Internal error shows only
// the request id, never its cause.
func Of(err error, o Options) []byte {
	issues := fault.IssuesOf(err)
	k := fault.KindOf(err)
	if k == fault.Internal || len(issues) == 0 {
		issues = []fault.Issue{generic(err, k, o)}
	}
	return Issues(issues, o)
}

// generic is the issue of an error that brought none.
func generic(err error, k fault.Kind, o Options) fault.Issue {
	r := lookup(k)
	is := fault.Issue{Severity: "error", Code: r.code, Key: k.String(), Text: r.zh, TextEN: r.en}
	if k == fault.Internal {
		is.Hint = o.RequestID
		return is
	}
	var e *fault.Error
	if errors.As(err, &e) {
		is.Hint = e.Msg
	}
	return is
}

// Issues returns an OperationOutcome of the findings as JSON; with none it says
// that all is well, since issue is 1..*.
func Issues(issues []fault.Issue, o Options) []byte {
	if len(issues) == 0 {
		issues = []fault.Issue{{Severity: "information", Code: "informational", Key: "ok", Text: "没有发现问题", TextEN: "all is well"}}
	}
	b := make([]byte, 0, 256*len(issues))
	b = append(b, `{"resourceType":"OperationOutcome","issue":[`...)
	for i := range issues {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendIssue(b, &issues[i], o)
	}
	return append(b, "]}"...)
}

// Info returns an OperationOutcome with one information issue.
func Info(zh, en string, o Options) []byte {
	return Issues([]fault.Issue{{Severity: "information", Code: "informational", Key: "ok", Text: zh, TextEN: en}}, o)
}

func appendIssue(b []byte, is *fault.Issue, o Options) []byte {
	b = append(b, `{"severity":`...)
	b = fhir.AppendString(b, or(is.Severity, "error"))
	b = append(b, `,"code":`...)
	b = fhir.AppendString(b, or(is.Code, "invalid"))
	text := is.Text
	if o.English {
		text = or(is.TextEN, is.Text)
	}
	if text != "" || is.Key != "" {
		b = append(b, `,"details":{`...)
		if is.Key != "" {
			b = append(b, `"coding":[{"system":"https://qihuang.health/fhir/CodeSystem/message","code":`...)
			b = fhir.AppendString(b, is.Key)
			b = append(b, `}],`...)
		}
		b = append(b, `"text":`...)
		b = fhir.AppendString(b, or(text, is.Key))
		b = append(b, '}')
	}
	if d := diagnostics(is); d != "" {
		b = append(b, `,"diagnostics":`...)
		b = fhir.AppendString(b, d)
	}
	if is.Expression != "" {
		b = append(b, `,"expression":[`...)
		b = fhir.AppendString(b, is.Expression)
		b = append(b, ']')
	}
	return append(b, '}')
}

// diagnostics joins the place in the text and the hint.
func diagnostics(is *fault.Issue) string {
	var parts []string
	if is.Line > 0 {
		parts = append(parts, "line "+strconv.Itoa(is.Line)+", column "+strconv.Itoa(is.Col))
	}
	if is.Hint != "" {
		parts = append(parts, is.Hint)
	}
	return strings.Join(parts, "; ")
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
