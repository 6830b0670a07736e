package engine

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// sessions keeps the connections of HTTP sessions (session_id) between their
// requests.
type sessions struct {
	mu   sync.Mutex
	live map[string]*session
}

type session struct {
	conn *connection
	busy bool
	end  *time.Timer
}

// take gives the session's connection to one request, opening it first if
// needed. ClickHouse refuses a session that is in use.
func (s *sessions) take(q *request, open func() (*connection, error)) (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.live[q.session]
	switch {
	case have == nil && q.exists:
		return nil, &Exception{Code: codeNoSession, Message: "Session " + q.session + " not found. (SESSION_NOT_FOUND)"}
	case have == nil:
		c, err := open()
		if err != nil {
			return nil, err
		}
		have = &session{conn: c}
		if s.live == nil {
			s.live = map[string]*session{}
		}
		s.live[q.session] = have
	case have.busy:
		return nil, &Exception{Code: codeSessionLocked, Message: "Session " + q.session + " is locked by a concurrent client. (SESSION_IS_LOCKED)"}
	default:
		have.end.Stop()
	}
	have.busy = true
	return have.conn, nil
}

// give puts the connection back; it is closed when unused for the session's
// timeout.
func (s *sessions) give(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.live[q.session]
	have.busy = false
	have.end = time.AfterFunc(q.timeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.live[q.session] == have && !have.busy {
			delete(s.live, q.session)
			have.conn.close()
		}
	})
}

// close ends the sessions that are not in use.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, have := range s.live {
		if !have.busy {
			have.end.Stop()
			have.conn.close()
			delete(s.live, id)
		}
	}
}

// prologue makes the statements that set up a connection for q. The marker
// finds the query again; implicit SELECT is a habit of the library that a
// server has not. Threads take the niceness of their statement: with none they
// would be as eager as the hub.
func (q *request) prologue() string {
	var b strings.Builder
	if q.database != "" {
		b.WriteString("USE " + identifier(q.database) + ";\n")
	}
	nice := patience
	if q.urgent {
		nice = urgency
	}
	b.WriteString("SET " + marker + " = " + quote(q.id) + ", implicit_select = 0, os_threads_nice_value_query = " + strconv.Itoa(nice))
	for _, s := range q.settings {
		b.WriteString(", " + s.name + " = " + quote(s.value))
	}
	if q.readonly && q.session == "" && !q.has("readonly") {
		b.WriteString(", readonly = 2")
	}
	return b.String()
}

// epilogue undoes on a session what belonged to one request.
func (q *request) epilogue() string {
	var b strings.Builder
	b.WriteString("SET " + marker + " = DEFAULT")
	for _, s := range q.settings {
		b.WriteString(", " + s.name + " = DEFAULT")
	}
	return b.String()
}

func (q *request) has(name string) bool {
	for _, s := range q.settings {
		if s.name == name {
			return true
		}
	}
	return false
}
