package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Request is one interaction, come as an HTTP request or as an entry of a
// bundle. Interactions read it and never see gin.
type Request struct {
	Method string // GET, HEAD, POST, PUT, PATCH, DELETE
	Target
	Query     string      // raw query, without '?'
	Header    http.Header // conditional headers, Prefer, X-Qihuang-Offset …
	Body      []byte      // JSON: XML bodies are converted before; nil if none
	MediaType string      // of the body as sent, lower-case, without parameters
	Base      string      // absolute base URL without a slash at its end
	ID        string      // X-Request-Id
	Actor     string      // who asks, for the log; no health data
	Prefer    Prefer
	Format    Format
	English   bool  // the client prefers English to Chinese
	MinOffset int64 // the state must have applied at least this log position
	Nested    bool  // an entry of a bundle

	params url.Values
}

// Params returns the parsed query; malformed pairs are dropped.
func (r *Request) Params() url.Values {
	if r.params == nil {
		r.params, _ = url.ParseQuery(r.Query)
	}
	return r.params
}

// SetQuery replaces the query, as when the form of a POST search joins it.
func (r *Request) SetQuery(query string) { r.Query, r.params = query, nil }

// Param returns the first value of a query parameter, or "".
func (r *Request) Param(name string) string {
	if r.Query == "" || !strings.Contains(r.Query, name) {
		return ""
	}
	return r.Params().Get(name)
}

// Count returns the page size asked for by _count: def without one, at most max.
func (r *Request) Count(def, most int) (int, error) {
	v := r.Param("_count")
	if v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, BadParam("_count", v)
	}
	return min(n, most), nil
}

// IfMatch returns the version the resource must have: store.AnyVersion for
// If-Match: *, 0 without the field.
func (r *Request) IfMatch() (int64, error) {
	v := strings.TrimSpace(r.Header.Get("If-Match"))
	switch v {
	case "":
		return 0, nil
	case "*":
		return store.AnyVersion, nil
	}
	n, ok := parseETag(v)
	if !ok {
		return 0, fault.New(fault.Invalid, "bad If-Match").With(fault.Issue{Severity: "error", Code: "value", Key: "if-match",
			Text: `If-Match 应为 W/"版本号"`, TextEN: `If-Match must be W/"version"`, Hint: Clip(v)})
	}
	return n, nil
}

// parseETag reads W/"3", "3" or a bare 3.
func parseETag(s string) (int64, bool) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "W/")
	s = strings.Trim(s, `"`)
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n > 0
}

// NotModified reports whether the client's copy is current: If-None-Match
// first, else If-Modified-Since (RFC 9110 §13.2.2).
func (r *Request) NotModified(version int64, updated time.Time) bool {
	if inm := r.Header.Get("If-None-Match"); inm != "" {
		for tag := range strings.SplitSeq(inm, ",") {
			if n, ok := parseETag(tag); strings.TrimSpace(tag) == "*" || ok && n == version {
				return true
			}
		}
		return false
	}
	if ims := r.Header.Get("If-Modified-Since"); ims != "" {
		t, err := http.ParseTime(ims)
		return err == nil && !updated.Truncate(time.Second).After(t)
	}
	return false
}

// Prefer is the parsed Prefer header (http.html#ops "prefer"; RFC 7240).
type Prefer struct {
	Return  string // minimal | representation | OperationOutcome; "" = not said
	Lenient bool   // handling=lenient
	Strict  bool   // handling=strict
	Async   bool   // respond-async
}

// ParsePrefer reads the values of the Prefer header; what it does not know means nothing.
func ParsePrefer(values []string) (p Prefer) {
	for _, v := range values {
		for part := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ',' || c == ';' }) {
			key, val, _ := strings.Cut(strings.TrimSpace(part), "=")
			val = strings.Trim(strings.TrimSpace(val), `"`)
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "return":
				p.Return = val
			case "handling":
				p.Lenient, p.Strict = val == "lenient", val == "strict"
			case "respond-async":
				p.Async = true
			}
		}
	}
	return p
}

// BadParam is the error for a query parameter or header field with a wrong value.
func BadParam(name, value string) error {
	return fault.New(fault.Invalid, "bad parameter %s", name).With(fault.Issue{Severity: "error", Code: "value", Key: "parameter",
		Text: "参数 " + name + " 的值不对：" + Clip(value), TextEN: "parameter " + name + " has a wrong value: " + Clip(value)})
}
