package outcome

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

func TestStatus(t *testing.T) {
	rule := fault.Issue{Severity: "error", Code: "invariant"}
	structure := fault.Issue{Severity: "error", Code: "structure"}
	warning := fault.Issue{Severity: "warning", Code: "structure"}
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), 500},
		{fault.New(fault.Invalid, "x"), 400},
		{fault.New(fault.Invalid, "x").With(rule), 422},
		{fault.New(fault.Invalid, "x").With(rule, warning), 422},
		{fault.New(fault.Invalid, "x").With(rule, structure), 400},
		{fault.New(fault.NotFound, "x"), 404},
		{fault.New(fault.Gone, "x"), 410},
		{fault.New(fault.Conflict, "x"), 409},
		{fault.New(fault.Precondition, "x"), 412},
		{fault.New(fault.TooCostly, "x"), 422},
		{fault.New(fault.TooCostly, "x").With(fault.Issue{Key: KeyTooLarge}), 413},
		{fault.New(fault.Unsupported, "x").With(fault.Issue{Key: KeyMethod}), 405},
		{fault.New(fault.Unsupported, "x").With(fault.Issue{Key: KeyAccept}), 406},
		{fault.New(fault.Unsupported, "x").With(fault.Issue{Key: KeyMediaType}), 415},
		{fault.New(fault.Busy, "x"), 429},
		{fault.New(fault.Unavailable, "x"), 503},
	} {
		if got := Status(c.err); got != c.want {
			t.Errorf("%v: status %d, want %d", c.err, got, c.want)
		}
	}
}

func TestOf(t *testing.T) {
	secret := fault.New(fault.Internal, "read Patient/1: %w", errors.New("disk of 张三 on fire"))
	out := string(Of(secret, Options{RequestID: "r-1"}))
	if strings.Contains(out, "张三") || !strings.Contains(out, "r-1") {
		t.Errorf("internal error must show the request id and hide the cause: %s", out)
	}
	err := fault.New(fault.Invalid, "bad").With(fault.Issue{Severity: "fatal", Code: "structure", Key: "json-syntax",
		Text: "此处应为逗号", TextEN: "expected a comma", Line: 2, Col: 7, Expression: "Patient.name[0]", Hint: `add ","`})
	for _, c := range []struct {
		english bool
		text    string
	}{{false, "此处应为逗号"}, {true, "expected a comma"}} {
		var oo struct {
			Issue []struct {
				Severity, Code, Diagnostics string
				Expression                  []string
				Details                     struct{ Text string }
			}
		}
		if err := json.Unmarshal(Of(err, Options{English: c.english}), &oo); err != nil {
			t.Fatal(err)
		}
		is := oo.Issue[0]
		if is.Severity != "fatal" || is.Code != "structure" || is.Details.Text != c.text ||
			is.Diagnostics != `line 2, column 7; add ","` || is.Expression[0] != "Patient.name[0]" {
			t.Errorf("%+v", is)
		}
	}
	if !strings.Contains(string(Issues(nil, Options{})), `"information"`) {
		t.Error("no findings must still make an issue")
	}
}
