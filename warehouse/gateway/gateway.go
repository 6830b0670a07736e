package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/login"
	"github.com/qihuang-health/qihuang/warehouse/engine"
)

// Codes this door answers with (ClickHouse ErrorCodes.cpp).
const (
	codeReadonly  = 164
	codeQuota     = 201
	codeTooMany   = 202
	codeTooLarge  = 229
	codeSetting   = 452
	codeAccess    = 497
	codeTables    = 724
	codePassword  = 516
	codeUpstream  = 210 // NETWORK_ERROR
	maxQuery      = 1 << 20
	rulesLifetime = time.Minute
)

func denied(what string) error {
	return &engine.Exception{Code: codeAccess, Message: "Not enough privileges for " + what + ". (ACCESS_DENIED)"}
}

// Entry is a query of the log. Its text may name people: the log is for
// administrators.
type Entry struct {
	At     time.Time
	User   string
	ID     string // query_id
	Code   int    // of the exception, 0 = answered
	Millis int64
	Query  string // cut to 4,000 bytes
}

// Recorder keeps the log of queries. Record must not block.
type Recorder interface{ Record(Entry) }

// Gateway is the door. It is an http.Handler.
type Gateway struct {
	cfg   Config
	clock clock.Clock
	log   *slog.Logger
	up    *url.URL
	proxy *httputil.ReverseProxy
	http  *http.Client

	mu    sync.Mutex
	use   map[string]*usage // user → use
	rules *rules
	read  time.Time // when the rules were read
}

// usage counts one user's queries.
type usage struct {
	running, hourly int
	hour            time.Time
}

// New makes a gateway.
func New(cfg Config, c clock.Clock, log *slog.Logger) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	up, err := url.Parse(cfg.Upstream)
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, clock: c, log: log, up: up, http: &http.Client{}, use: map[string]*usage{}}
	g.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = up.Scheme, up.Host, up.Host
			g.identify(p.Out)
		},
		FlushInterval: 200 * time.Millisecond,
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			refuse(w, &engine.Exception{Code: codeUpstream, Message: "The warehouse does not answer; try again. (NETWORK_ERROR)"})
		},
	}
	return g, nil
}

// identify makes a request the gateway's own, and no urgent one.
func (g *Gateway) identify(r *http.Request) {
	r.Header.Del("Authorization")
	r.Header.Del(engine.Urgent)
	r.Header.Set("X-ClickHouse-User", g.cfg.User)
	r.Header.Set("X-ClickHouse-Key", g.cfg.Password)
}

// refuse answers in ClickHouse's form.
func refuse(w http.ResponseWriter, err error) {
	var e *engine.Exception
	if !errors.As(err, &e) {
		e = &engine.Exception{Code: codeUpstream, Message: err.Error() + " (NETWORK_ERROR)"}
	}
	status := http.StatusInternalServerError
	switch e.Code {
	case codePassword:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="ClickHouse"`)
	case codeAccess, codeSetting, codeReadonly:
		status = http.StatusForbidden
	case codeQuota, codeTooMany:
		status = http.StatusTooManyRequests
	case codeTooLarge:
		status = http.StatusRequestEntityTooLarge
	case codeUpstream:
		status = http.StatusBadGateway
	default:
		status = http.StatusBadRequest
	}
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, e.Error()+"\n")
}

// ServeHTTP lets a known user's query through.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ping" || r.URL.Path == "/replicas_status" {
		g.proxy.ServeHTTP(w, r)
		return
	}
	u := g.user(r)
	if u == nil {
		refuse(w, &engine.Exception{Code: codePassword, Message: "Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"})
		return
	}
	q := r.URL.Query()
	q.Del("user")
	q.Del("password")
	r.URL.RawQuery = q.Encode()
	if u.Admin {
		g.proxy.ServeHTTP(w, r)
		return
	}
	done, err := g.enter(u)
	if err != nil {
		refuse(w, err)
		return
	}
	defer done()
	begun := g.clock.Now()
	text, err := g.admit(r, u)
	entry := Entry{At: begun, User: u.Name, Query: cut(text), Code: reason(err)}
	if err != nil {
		g.log.Info("query refused", "user", u.Name, "reason", entry.Code)
		refuse(w, err)
	} else {
		g.proxy.ServeHTTP(w, r)
		entry.ID, entry.Millis = w.Header().Get("X-ClickHouse-Query-Id"), g.clock.Now().Sub(begun).Milliseconds()
		entry.Code, _ = strconv.Atoi(w.Header().Get("X-ClickHouse-Exception-Code")) // absent = 0
		g.log.Info("query", "user", u.Name, "id", entry.ID, "ms", entry.Millis, "code", entry.Code)
	}
	if g.cfg.Recorder != nil {
		g.cfg.Recorder.Record(entry)
	}
}

// cut bounds the text of a query in the log, at a whole character.
func cut(text string) string {
	if len(text) <= 4000 {
		return text
	}
	return strings.ToValidUTF8(text[:4000], "")
}

// reason is the code of an error: its text may quote the query.
func reason(err error) int {
	var e *engine.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// user finds who asks, by any of the ways ClickHouse knows.
func (g *Gateway) user(r *http.Request) *User {
	if name, password, ok := r.BasicAuth(); ok {
		return login.Find(g.cfg.Users, name, password)
	}
	if name := r.Header.Get("X-ClickHouse-User"); name != "" {
		return login.Find(g.cfg.Users, name, r.Header.Get("X-ClickHouse-Key"))
	}
	return login.Find(g.cfg.Users, r.URL.Query().Get("user"), r.URL.Query().Get("password"))
}

// enter counts a query against the user's limits.
func (g *Gateway) enter(u *User) (func(), error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	use := g.use[u.Name]
	if use == nil {
		use = &usage{}
		g.use[u.Name] = use
	}
	if hour := g.clock.Now().Truncate(time.Hour); !use.hour.Equal(hour) {
		use.hour, use.hourly = hour, 0
	}
	switch {
	case use.running >= g.cfg.Limits.Queries:
		return nil, &engine.Exception{Code: codeTooMany, Message: fmt.Sprintf("Too many simultaneous queries of user %s. Maximum: %d. (TOO_MANY_SIMULTANEOUS_QUERIES)", u.Name, g.cfg.Limits.Queries)}
	case use.hourly >= g.cfg.Limits.Hourly:
		return nil, &engine.Exception{Code: codeQuota, Message: fmt.Sprintf("Quota of user %s for 1h has been exceeded: %d queries. (QUOTA_EXCEEDED)", u.Name, g.cfg.Limits.Hourly)}
	}
	use.running++
	use.hourly++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		use.running--
	}, nil
}

// passing are URL parameters an analyst may set; so are formats' settings.
var passing = []string{"query", "query_id", "database", "default_format", "session_id", "session_timeout", "session_check", "client_protocol_version",
	"compress", "network_compression_method", "network_zstd_compression_level", "enable_http_compression", "wait_end_of_query", "buffer_size",
	"http_write_exception_in_output_format", "send_progress_in_http_headers", "http_headers_progress_interval_ms", "session_timezone", "quota_key", "role",
	"max_execution_time", "max_result_rows", "result_overflow_mode", "extremes", "limit", "offset", "join_use_nulls", "max_threads", "max_block_size", "log_comment",
	"date_time_output_format", "cancel_http_readonly_queries_on_client_close", "add_http_cors_header"}

// admit checks the query and puts the user's limits and filters on it. It
// returns the query's text.
func (g *Gateway) admit(r *http.Request, u *User) (text string, err error) {
	q := r.URL.Query()
	for name := range q {
		if !slices.Contains(passing, name) && !strings.HasPrefix(name, "param_") && !strings.HasPrefix(name, "output_format_") {
			return "", &engine.Exception{Code: codeSetting, Message: "Setting " + name + " shouldn't be changed. (SETTING_CONSTRAINT_VIOLATION)"}
		}
	}
	if r.Header.Get("Content-Encoding") != "" || strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return "", denied("compressed and multipart queries")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxQuery+1))
	if err != nil || len(body) > maxQuery {
		return "", &engine.Exception{Code: codeTooLarge, Message: "Query is too large. (QUERY_IS_TOO_LARGE)"}
	}
	text = q.Get("query")
	if len(body) > 0 {
		text = strings.TrimLeft(text+"\n"+string(body), "\n")
	}
	if err := g.inspect(r.Context(), u, text, q); err != nil {
		return text, err
	}
	q.Del("query")
	g.bound(u, q)
	r.Method, r.URL.RawQuery = http.MethodPost, q.Encode()
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return text, nil
}

// bound sets the limits and filters; readonly keeps the query from undoing
// them.
func (g *Gateway) bound(u *User, q url.Values) {
	l := g.cfg.Limits
	if t, err := strconv.ParseFloat(q.Get("max_execution_time"), 64); err != nil || t <= 0 || t > l.Time.Seconds() {
		q.Set("max_execution_time", strconv.Itoa(int(l.Time.Seconds())))
	}
	q.Set("max_memory_usage", strconv.FormatInt(l.Memory, 10))
	if n, err := strconv.ParseInt(q.Get("max_result_rows"), 10, 64); err != nil || n <= 0 || n > l.Rows {
		q.Set("max_result_rows", strconv.FormatInt(l.Rows, 10))
	}
	g.mu.Lock()
	filters := g.rules.filters(u)
	g.mu.Unlock()
	if filters != "" {
		q.Set("additional_table_filters", filters)
	}
	q.Set("readonly", "1")
}

// shows are the forms of SHOW that tell the schema and nothing else.
var shows = []string{"TABLES", "DATABASES", "CREATE", "COLUMNS", "FIELDS", "SETTINGS", "FUNCTIONS", "FULL"}

// inspect refuses what the user may not read.
func (g *Gateway) inspect(ctx context.Context, u *User, text string, q url.Values) error {
	s, err := engine.Inspect(text)
	if err != nil {
		return err
	}
	if err := g.refresh(ctx); err != nil {
		return err
	}
	switch s.Verb {
	case "SELECT", "WITH", "(", "FROM":
	case "DESCRIBE", "DESC", "EXISTS":
		if strings.ContainsRune(s.Text, '(') {
			return denied("DESCRIBE of anything but a table")
		}
		return nil
	case "SHOW":
		if f := strings.Fields(s.Text); len(f) < 2 || !slices.Contains(shows, strings.ToUpper(f[1])) || strings.Contains(strings.ToUpper(s.Text), "PROCESSLIST") {
			return denied("this SHOW")
		}
		return nil
	default:
		return &engine.Exception{Code: codeReadonly, Message: "Cannot execute query in readonly mode: " + s.Verb + ". (READONLY)"}
	}
	if strings.HasPrefix(strings.TrimSpace(s.Text), "SELECT displayName(), version(), revision(), timezone()") && len(strings.TrimSpace(s.Text)) < 60 {
		return nil // clickhouse-go's first words
	}
	p := url.Values{"default_format": {"TabSeparatedRaw"}, "readonly": {"1"}, "database": {q.Get("database")}, "max_execution_time": {"10"}}
	for name, v := range q {
		if strings.HasPrefix(name, "param_") {
			p[name] = v
		}
	}
	g.mu.Lock()
	rules := g.rules
	g.mu.Unlock()
	if filters := rules.filters(u); filters != "" {
		p.Set("additional_table_filters", filters) // scalar subqueries run while the tree is made
	}
	tree, err := g.ask(ctx, p, "EXPLAIN QUERY TREE run_passes = 1, passes = 1 "+s.Text)
	if err != nil {
		return err
	}
	return rules.check(u, tree, g.cfg.Limits.Tables)
}

// refresh reads the tables' columns, at most once a minute.
func (g *Gateway) refresh(ctx context.Context) error {
	g.mu.Lock()
	fresh := g.rules != nil && g.clock.Now().Sub(g.read) < rulesLifetime
	g.mu.Unlock()
	if fresh {
		return nil
	}
	text, err := g.ask(ctx, url.Values{"default_format": {"JSONCompactEachRow"}, "param_db": {g.cfg.Database}},
		"SELECT table, name, comment FROM system.columns WHERE database = {db:String}")
	if err != nil {
		return err
	}
	r := &rules{database: g.cfg.Database, columns: map[string]map[string]bool{}, public: g.cfg.Public}
	for line := range strings.Lines(text) {
		var row [3]string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return err
		}
		if r.columns[row[0]] == nil {
			r.columns[row[0]] = map[string]bool{}
		}
		r.columns[row[0]][row[1]] = strings.Contains(row[2], sensitive)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules, g.read = r, g.clock.Now()
	return nil
}

// ask runs a query of the gateway's own.
func (g *Gateway) ask(ctx context.Context, params url.Values, query string) (string, error) {
	u := *g.up
	u.Path, u.RawQuery = "/", params.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(query))
	if err != nil {
		return "", err
	}
	g.identify(req)
	res, err := g.http.Do(req)
	if err != nil {
		return "", &engine.Exception{Code: codeUpstream, Message: "The warehouse does not answer; try again. (NETWORK_ERROR)"}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	if err != nil {
		return "", err
	}
	if code, err := strconv.Atoi(res.Header.Get("X-ClickHouse-Exception-Code")); err == nil {
		_, text, _ := bytes.Cut(body, []byte("Exception: "))
		return "", &engine.Exception{Code: code, Message: strings.TrimSpace(string(text))}
	}
	return string(body), nil
}
