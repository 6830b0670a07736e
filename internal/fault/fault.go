// Package fault is the one vocabulary of errors in the hub.
//
// Every floor returns a [*Error] (or an error that wraps one); only the edges
// (REST, SOAP, MLLP, web, pipeline) turn a [Kind] into their own form, each in
// exactly one table.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what sort of failure it is, in terms every edge can translate.
type Kind uint8

// The kinds, from the caller's mistakes to ours.
const (
	Internal     Kind = iota // our mistake; the user gets a reference id
	Invalid                  // the input is wrong: change it and try again
	NotFound                 // no such thing
	Gone                     // it was there and is deleted
	Conflict                 // two things claim the same identity
	Precondition             // a stated condition (If-Match …) does not hold
	Forbidden                // known caller, not allowed
	Unauthorized             // unknown caller
	Unsupported              // we do not do this (method, media type, feature)
	TooCostly                // over a limit of size, time, depth or count
	Busy                     // try again later: queue full, rate limit
	Unavailable              // a part we need is away
)

var kindNames = [...]string{"internal", "invalid", "not-found", "gone", "conflict", "precondition",
	"forbidden", "unauthorized", "unsupported", "too-costly", "busy", "unavailable"}

// String returns the kind's stable lower-case name, as used in logs and metrics.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Issue is one finding with its place, in the shape of
// OperationOutcome.issue (https://hl7.org/fhir/R4/operationoutcome.html).
type Issue struct {
	Severity   string // fatal | error | warning | information
	Code       string // IssueType: invalid, structure, required, value, not-found …
	Key        string // stable message key of ours, e.g. "unknown-property"; also the doc anchor
	Text       string // for people, Chinese
	TextEN     string // for people, English; may be empty
	Expression string // FHIRPath of the place, e.g. Patient.name[0].given
	Line, Col  int    // place in the source text, 1-based; 0 = unknown
	Hint       string // the mend, e.g. `did you mean "birthDate"?`; may be empty
}

// Error is a failure with its kind, optional findings and cause.
type Error struct {
	Kind   Kind
	Msg    string  // what happened, one sentence, safe to show; never health data
	Issues []Issue // details, may be empty
	Cause  error   // may be nil
}

// Error joins the message and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Msg)
	for i, is := range e.Issues {
		if i == 3 {
			fmt.Fprintf(&b, "; … %d more", len(e.Issues)-i)
			break
		}
		b.WriteString("; ")
		if is.Expression != "" {
			b.WriteString(is.Expression + ": ")
		}
		b.WriteString(is.Text)
	}
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes an error of kind k; format and args as in fmt.Sprintf, where a
// final %w verb sets the cause as in fmt.Errorf.
func New(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: k, Msg: err.Error(), Cause: errors.Unwrap(err)}
	if e.Cause != nil {
		e.Msg = strings.TrimRight(strings.TrimSuffix(e.Msg, e.Cause.Error()), ": ：") // Error puts one back
	}
	return e
}

// With returns e with more findings.
func (e *Error) With(issues ...Issue) *Error {
	e.Issues = append(e.Issues, issues...)
	return e
}

// KindOf returns the kind of the first *Error in err's chain; Internal for an
// error that is none, so that an unknown failure is never blamed on the caller.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// IssuesOf returns the findings carried by err, or nil.
func IssuesOf(err error) []Issue {
	var e *Error
	if errors.As(err, &e) {
		return e.Issues
	}
	return nil
}

// Is reports whether err is of kind k; false for nil.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
