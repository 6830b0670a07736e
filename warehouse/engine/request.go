package engine

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/google/uuid"
)

// request is one HTTP request, read as ClickHouse reads it.
type request struct {
	id       string // query_id
	database string
	format   string // default_format; the FORMAT clause wins
	settings []setting
	params   params
	external []string // names of the tables sent along as multipart files

	session string
	timeout time.Duration // of the session
	exists  bool          // session_check: it must be there already

	query    string // from the URL
	body     io.Reader
	readonly bool // GET changes nothing
	urgent   bool // see Urgent
	wait     bool // wait_end_of_query: send nothing before the end
	progress bool // send_progress_in_http_headers
	encoding string
	framing  compress.Method
}

type setting struct{ name, value string }

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ignored are parameters that are neither settings nor ours.
var ignored = []string{"user", "password", "quota_key", "stacktrace", "role", "client_protocol_version",
	"buffer_size", "close_session", "http_headers_progress_interval_ms"}

// readRequest takes r apart. Nothing of the body is read yet.
func readRequest(r *http.Request) (*request, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &Exception{Code: codeBadArguments, Message: "Cannot parse the URL: " + err.Error() + ". (BAD_ARGUMENTS)"}
	}
	q := &request{
		id:       values.Get("query_id"),
		database: first(values.Get("database"), r.Header.Get("X-ClickHouse-Database")),
		format:   first(values.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated"),
		query:    values.Get("query"),
		session:  values.Get("session_id"),
		exists:   values.Get("session_check") == "1",
		timeout:  time.Minute,
		readonly: r.Method == http.MethodGet || r.Method == http.MethodHead,
		urgent:   r.Header.Get(Urgent) != "",
		wait:     on(values.Get("wait_end_of_query")),
		progress: on(values.Get("send_progress_in_http_headers")),
	}
	if q.id == "" {
		q.id = uuid.NewString()
	}
	if t, err := strconv.Atoi(values.Get("session_timeout")); err == nil && t > 0 && t <= 3600 {
		q.timeout = time.Duration(t) * time.Second
	}
	if values.Get("enable_http_compression") != "0" {
		q.encoding = acceptable(r)
	}
	if on(values.Get("compress")) {
		q.framing = compress.LZ4
		if strings.EqualFold(values.Get("network_compression_method"), "ZSTD") {
			q.framing = compress.ZSTD
		}
	}
	if err := q.readBody(r, values); err != nil {
		return nil, err
	}
	return q, q.readSettings(values)
}

// readBody finds the body, undone of its encodings. Multipart forms carry the
// query and tables.
func (q *request) readBody(r *http.Request, values url.Values) error {
	body, err := decode(r.Body, r.Header.Get("Content-Encoding"), on(values.Get("decompress")))
	if err != nil {
		return err
	}
	q.body = body
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "multipart/form-data" {
		return nil
	}
	if err := r.ParseMultipartForm(memorySpool); err != nil {
		return &Exception{Code: codeBadArguments, Message: "Cannot read the form: " + err.Error() + ". (BAD_ARGUMENTS)"}
	}
	q.body = strings.NewReader("")
	for name, v := range r.MultipartForm.Value {
		if name == "query" {
			q.query += v[0]
			continue
		}
		values.Set(name, v[0])
	}
	for name := range r.MultipartForm.File {
		q.external = append(q.external, name)
	}
	slices.Sort(q.external)
	return nil
}

// readSettings sorts the other parameters into query parameters and settings.
func (q *request) readSettings(values url.Values) error {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := values[name][len(values[name])-1]
		if p, ok := strings.CutPrefix(name, "param_"); ok {
			q.params.names = append(q.params.names, p)
			q.params.values = append(q.params.values, value)
			continue
		}
		if q.ours(name) {
			continue
		}
		if !settingName.MatchString(name) {
			return &Exception{Code: codeSetting, Message: "Unknown setting '" + name + "'. (UNKNOWN_SETTING)"}
		}
		q.settings = append(q.settings, setting{name, value})
	}
	return nil
}

// ours says that name is a parameter of the interface, not a setting.
func (q *request) ours(name string) bool {
	switch name {
	case "query", "database", "default_format", "query_id", "session_id", "session_timeout", "session_check",
		"compress", "decompress", "wait_end_of_query", "enable_http_compression", "send_progress_in_http_headers":
		return true
	}
	for _, table := range q.external {
		if rest, ok := strings.CutPrefix(name, table); ok && slices.Contains([]string{"_format", "_structure", "_types"}, rest) {
			return true
		}
	}
	return slices.Contains(ignored, name)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func on(v string) bool { return v == "1" || strings.EqualFold(v, "true") }
