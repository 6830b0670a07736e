package engine

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// server answers the ClickHouse HTTP interface over one instance.
// https://clickhouse.com/docs/interfaces/http
type server struct {
	cfg      Config
	engine   *instance
	log      *slog.Logger
	slots    chan struct{}
	sessions sessions

	mu      sync.Mutex
	running map[string]bool // query ids
	waiting int
}

func newServer(cfg Config, e *instance, log *slog.Logger) *server {
	return &server{cfg: cfg, engine: e, log: log, slots: make(chan struct{}, cfg.Queries), running: map[string]bool{}}
}

// ServeHTTP answers a health check or a query.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-ClickHouse-Server-Display-Name", displayName)
	h.Set("X-ClickHouse-Timezone", s.engine.timezone)
	switch {
	case r.URL.Path == "/ping", r.URL.Path == "/replicas_status", r.URL.Path == "/" && r.Method == http.MethodGet && r.URL.RawQuery == "":
		h.Set("Content-Type", "text/html; charset=UTF-8")
		_, _ = io.WriteString(w, "Ok.\n")
	case r.URL.Path != "/" && r.URL.Path != "/query":
		http.Error(w, "There is no handle "+r.URL.Path+"\n\nUse / or /ping for health checks.\nOr /replicas_status for more sophisticated health checks.\n\nSend queries from your program with POST method or GET /?query=...", http.StatusNotFound)
	case r.Method == http.MethodOptions:
		h.Set("Allow", "GET, HEAD, POST, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		h.Set("Allow", "GET, HEAD, POST, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !s.admits(r):
		(&response{w: w}).fail(s.complete(&Exception{Code: codePassword, Message: "default: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"}))
	default:
		s.answer(w, r)
	}
}

// admits checks the secret, given in any of the ways ClickHouse takes a
// password. Without a secret everybody on this machine may ask.
func (s *server) admits(r *http.Request) bool {
	if s.cfg.Secret == "" {
		return true
	}
	given := first(r.Header.Get("X-ClickHouse-Key"), r.URL.Query().Get("password"))
	if _, password, ok := r.BasicAuth(); ok {
		given = password
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(s.cfg.Secret)) == 1
}

// answer runs the query of r and turns an error into ClickHouse's answer.
func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	out := &response{w: w, tag: newTag()}
	err := s.query(r, out)
	switch {
	case err == nil:
	case out.begun:
		out.breakOff(s.complete(asException(err)))
	default:
		out.fail(s.complete(asException(err)))
	}
}

// complete adds the version, as servers do.
func (s *server) complete(e *Exception) *Exception {
	if !strings.Contains(e.Message, "(version ") {
		e = &Exception{Code: e.Code, Message: strings.TrimRight(e.Message, "\n ") + " (version " + s.engine.version + " (official build))"}
	}
	return e
}

func (s *server) query(r *http.Request, out *response) error {
	q, err := readRequest(r)
	if err != nil {
		return err
	}
	out.request = q
	out.w.Header().Set("X-ClickHouse-Query-Id", q.id)
	stmt, data, err := s.read(q)
	if err != nil {
		return err
	}
	if strings.TrimSpace(stmt.text) == hello && q.format == "Native" {
		return out.whole(s.engine.helloBlock(), "Native", stats{}, 0)
	}
	release, err := s.enter(r.Context(), q.id)
	if err != nil {
		return err
	}
	defer release()
	var body *spool
	if data != nil {
		if body, err = newSpool(data, s.cfg.temp(), s.cfg.Body); err != nil {
			return err
		}
		defer body.close()
	}
	return s.run(r, q, stmt, body, out)
}

// read finds the statement, in the URL or the body, and what is data.
func (s *server) read(q *request) (*statement, io.Reader, error) {
	src := q.query
	stmt, err := parse(src)
	if err == nil && stmt.dataAt >= 0 {
		stmt.source = src
		return stmt, io.MultiReader(strings.NewReader(src[stmt.dataAt:]), q.body), nil
	}
	head, bodyErr := io.ReadAll(io.LimitReader(q.body, s.cfg.Statement+1))
	if bodyErr != nil {
		return nil, nil, &Exception{Code: codeDecompress, Message: "Cannot read the request: " + bodyErr.Error() + ". (CANNOT_DECOMPRESS)"}
	}
	if len(head) > 0 {
		if src != "" {
			src += "\n"
		}
		src += string(head)
		stmt, err = parse(src)
	}
	if err != nil {
		return nil, nil, err
	}
	stmt.source = src
	if stmt.dataAt >= 0 {
		return stmt, io.MultiReader(strings.NewReader(src[stmt.dataAt:]), q.body), nil
	}
	if int64(len(head)) > s.cfg.Statement {
		return nil, nil, &Exception{Code: codeSyntax, Message: fmt.Sprintf("Syntax error: Max query size exceeded (%d). (SYNTAX_ERROR)", s.cfg.Statement)}
	}
	return stmt, nil, nil
}

// enter waits for a free place, at most Config.Queue.
func (s *server) enter(ctx context.Context, id string) (release func(), err error) {
	if err := s.register(id); err != nil {
		return nil, err
	}
	wait := time.NewTimer(s.cfg.Queue)
	defer wait.Stop()
	select {
	case s.slots <- struct{}{}:
		s.dequeue("")
		return func() { <-s.slots; s.forget(id) }, nil
	case <-wait.C:
		err = &Exception{Code: codeTooMany, Message: fmt.Sprintf("Too many simultaneous queries. Maximum: %d. (TOO_MANY_SIMULTANEOUS_QUERIES)", s.cfg.Queries)}
	case <-ctx.Done():
		err = errGone
	}
	s.dequeue(id)
	return nil, err
}

var errGone = &Exception{Code: codeCancelled, Message: "The client has gone. (QUERY_WAS_CANCELLED)"}

func (s *server) register(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[id] {
		return &Exception{Code: codeSameID, Message: "Query with id = " + id + " is already running. (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)"}
	}
	if s.waiting >= s.cfg.Waiting {
		return &Exception{Code: codeTooMany, Message: fmt.Sprintf("Too many queries are waiting. Maximum: %d. (TOO_MANY_SIMULTANEOUS_QUERIES)", s.cfg.Waiting)}
	}
	s.running[id] = true
	s.waiting++
	return nil
}

func (s *server) dequeue(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	delete(s.running, id)
}

func (s *server) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, id)
}

// run opens a session for the request and runs its statement there.
func (s *server) run(r *http.Request, q *request, stmt *statement, body *spool, out *response) error {
	c, done, err := s.connection(q)
	if err != nil {
		return err
	}
	defer done()
	if q.readonly && !stmt.reads {
		var wrong *Exception
		if _, err := c.exec("EXPLAIN AST "+stmt.text, "Null", q.params, nil); errors.As(err, &wrong) && wrong.Code == codeSyntax {
			return err // not a statement at all
		}
		return &Exception{Code: codeReadonly, Message: "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries. (READONLY)"}
	}
	if _, err := c.exec(q.prologue(), "Null", params{}, nil); err != nil {
		return err
	}
	if err := s.external(r, q, c); err != nil {
		return err
	}
	begun := time.Now()
	switch {
	case body != nil:
		st, err := c.exec(stmt.insert(stmt.source, body.path()), "Null", q.params, nil)
		if err != nil {
			return err
		}
		return out.whole(nil, "", st, time.Since(begun))
	case stmt.rows:
		return s.rows(r.Context(), q, stmt, c, out)
	}
	var text []byte
	st, err := c.exec(stmt.text, q.format, q.params, func(b []byte) error { text = append(text, b...); return nil })
	if err != nil {
		return err
	}
	return out.whole(text, q.format, st, time.Since(begun))
}

// connection gives the request its session of the engine.
func (s *server) connection(q *request) (*connection, func(), error) {
	open := func() (*connection, error) { return s.engine.lib.open(s.engine.args) }
	if q.session == "" {
		c, err := open()
		if err != nil {
			return nil, nil, err
		}
		return c, c.close, nil
	}
	c, err := s.sessions.take(q, open)
	if err != nil {
		return nil, nil, err
	}
	return c, func() {
		if _, err := c.exec(q.epilogue(), "Null", params{}, nil); err != nil {
			s.log.Warn("reset session", "err", err)
		}
		s.sessions.give(q)
	}, nil
}

// external makes the tables sent along as files, for this request only.
func (s *server) external(r *http.Request, q *request, c *connection) error {
	for _, name := range q.external {
		f, err := r.MultipartForm.File[name][0].Open()
		if err != nil {
			return err
		}
		body, err := newSpool(f, s.cfg.temp(), s.cfg.Body)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		values := r.URL.Query()
		format := first(values.Get(name+"_format"), "TabSeparated")
		structure := values.Get(name + "_structure")
		if types := values.Get(name + "_types"); structure == "" && types != "" {
			structure = numbered(types)
		}
		_, err = c.exec("CREATE TEMPORARY TABLE "+identifier(name)+" AS SELECT * FROM file("+quote(body.path())+", "+quote(format)+", "+quote(structure)+")", "Null", params{}, nil)
		body.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// numbered names the columns of a list of types _1, _2 …
func numbered(types string) string {
	var cols []string
	for i, t := range strings.Split(types, ",") {
		cols = append(cols, fmt.Sprintf("_%d %s", i+1, t))
	}
	return strings.Join(cols, ", ")
}

var queryID = regexp.MustCompile(`(?i)\bquery_id\b`)

// killable translates KILL QUERY WHERE query_id = …: our ids are known to the
// engine by the marker only.
func killable(stmt *statement) {
	if stmt.verb != "KILL" {
		return
	}
	before := len(stmt.text)
	head := queryID.ReplaceAllLiteralString(stmt.text[:stmt.outAt], "Settings['"+marker+"']")
	stmt.text = head + stmt.text[stmt.outAt:]
	stmt.outAt += len(stmt.text) - before
}
