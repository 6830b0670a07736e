package engine

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Exception is an error of the engine or of this interface, with ClickHouse's
// own code, so that clients of a real server understand it.
type Exception struct {
	Code    int    // as in ClickHouse's ErrorCodes; 1002 = unknown
	Message string // without "Code: N. DB::Exception: "
}

// Error gives the form that ClickHouse servers send.
func (e *Exception) Error() string {
	return fmt.Sprintf("Code: %d. DB::Exception: %s", e.Code, e.Message)
}

// The codes this interface itself answers with (ClickHouse ErrorCodes.cpp).
const (
	codeBadArguments  = 36
	codeSyntax        = 62
	codeQueryType     = 78
	codeSetting       = 115
	codeReadonly      = 164
	codeTooMany       = 202
	codeSameID        = 216
	codeTooLarge      = 229
	codeDecompress    = 271
	codeOutfile       = 358
	codeNoSession     = 372
	codeSessionLocked = 373
	codeCancelled     = 394
	codeAccess        = 497
	codePassword      = 516
	codeUnknown       = 1002
)

var exceptionPattern = regexp.MustCompile(`^Code: (\d+)\. DB::[A-Za-z]*Exception: `)

// parseException reads the engine's own text.
func parseException(text string) *Exception {
	text = strings.TrimSpace(text)
	e := &Exception{Code: codeUnknown, Message: text}
	for { // an insert's error arrives wrapped in itself
		m := exceptionPattern.FindStringSubmatch(e.Message)
		if m == nil {
			return e
		}
		e.Code, _ = strconv.Atoi(m[1])
		e.Message = e.Message[len(m[0]):]
	}
}

// asException gives any error a code.
func asException(err error) *Exception {
	var e *Exception
	if errors.As(err, &e) {
		return e
	}
	return &Exception{Code: codeUnknown, Message: err.Error() + " (UNKNOWN_EXCEPTION)"}
}

// statusCodes gives the HTTP status of exception codes, as ClickHouse's
// exceptionCodeToHTTPStatus does; all others are 500.
var statusCodes = map[int][]int{
	http.StatusUnauthorized: {194},
	http.StatusForbidden:    {192, 193, 497, 512, 516},
	http.StatusBadRequest: {6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 76, 117, 123, 167, 168, 223, 271,
		321, 376, 427, 441, 675, 676},
	http.StatusNotFound:              {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 139, 152, 336, 372},
	http.StatusRequestEntityTooLarge: {229},
	http.StatusNotImplemented:        {48},
	http.StatusRequestTimeout:        {159},
	http.StatusServiceUnavailable:    {209, 439},
}

func (e *Exception) status() int {
	for status, codes := range statusCodes {
		if slices.Contains(codes, e.Code) {
			return status
		}
	}
	return http.StatusInternalServerError
}
