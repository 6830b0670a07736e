package fhirfeed

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// refusal is a peer's no to what it was sent.
type refusal struct {
	status      int
	text, place string // of its OperationOutcome
}

// Error tells status and reason.
func (r *refusal) Error() string { return "HTTP " + strconv.Itoa(r.status) + " " + r.text }

// fault is the refusal for the dead letters.
func (r *refusal) fault() error {
	text := "对方拒收（HTTP " + strconv.Itoa(r.status) + "）"
	if r.text != "" {
		text += "：" + r.text
	}
	return fault.New(fault.Invalid, "push refused").With(fault.Issue{Severity: "error", Code: "processing", Key: "push-refused", Text: text, Expression: r.place})
}

// busy is a peer that says when to come again.
type busy struct {
	error
	after time.Duration
}

// Unwrap returns the fault.
func (b *busy) Unwrap() error { return b.error }

func retryAfter(err error) time.Duration {
	var b *busy
	if errors.As(err, &b) {
		return b.after
	}
	return 0
}

// answered judges the answer to a transaction, the one table from a peer's status
// to a retry class: nil if everything was taken, *refusal where the content is
// to blame, any other error where the same may succeed later – the peer is away
// or busy, or it is our address or credentials that a person must mend.
func answered(res *http.Response, body []byte) error {
	tree, err := fhir.Parse(body)
	root, typ := fhir.Node{}, ""
	if err == nil {
		root = tree.Root()
		typ = root.ResourceType()
	}
	switch code := res.StatusCode; {
	case code/100 == 2 && typ == "Bundle":
		return entriesTaken(root)
	case code/100 == 2:
		return fault.New(fault.Unavailable, "对方对事务的应答不是 Bundle，请核对 base 是否为 FHIR 服务地址")
	case code == http.StatusBadRequest, code == http.StatusConflict, code == http.StatusPreconditionFailed, code == http.StatusRequestEntityTooLarge,
		code == http.StatusUnprocessableEntity, (code == http.StatusNotFound || code == http.StatusGone) && typ == "OperationOutcome":
		text, place := outcomeOf(root)
		return &refusal{code, text, place}
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		n, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return &busy{failed(res, "推送"), time.Duration(max(0, n)) * time.Second}
	}
	return failed(res, "推送")
}

// entriesTaken checks that no entry of a response failed: a server that took the
// transaction for a batch would lose it silently.
func entriesTaken(bundle fhir.Node) error {
	for e := range bundle.Get("entry").Children() {
		r := e.Get("response")
		if status := r.Get("status").Str(); r.Exists() && !strings.HasPrefix(status, "2") {
			text, place := outcomeOf(r.Get("outcome"))
			code, _ := strconv.Atoi(strings.Fields(status + " 0")[0])
			return &refusal{code, text, place}
		}
	}
	return nil
}

const maxReason = 500 // characters of a peer's words

// outcomeOf is the first error of an OperationOutcome and its place.
func outcomeOf(outcome fhir.Node) (text, place string) {
	for is := range outcome.Get("issue").Children() {
		if s := is.Get("severity").Str(); s != "error" && s != "fatal" {
			continue
		}
		text = is.Path("details", "text").Str()
		if d := is.Get("diagnostics").Str(); text == "" {
			text = d
		}
		for e := range is.Get("expression").Children() {
			place = e.Str()
			break
		}
		if r := []rune(text); len(r) > maxReason {
			text = string(r[:maxReason]) + "…"
		}
		return text, place
	}
	return "", ""
}
