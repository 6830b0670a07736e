package sqlrun

import (
	"fmt"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// statement is one SELECT with its parameters as ClickHouse writes them.
type statement struct {
	text  string
	used  map[string]bool
	limit bool // it has a LIMIT of its own
}

// barred are names that reach beyond the tables of the warehouse when called:
// table functions and functions of ClickHouse that read files, networks or
// other databases. The first letters decide.
var barred = []string{"file", "url", "s3", "gcs", "hdfs", "remote", "cluster", "mysql", "postgresql", "sqlite", "mongodb", "redis", "odbc", "jdbc",
	"executable", "input", "azure", "deltalake", "iceberg", "hudi", "paimon", "ytsaurus", "arrowflight", "python", "loop", "dictget", "dictionary",
	"merge", "catboost", "getsetting", "sleep"}

// parseSQL checks that the text is one SELECT over known things and turns its
// placeholders :name into bound parameters {name:Type}.
func parseSQL(text string, values map[string]value) (*statement, error) {
	st := &statement{used: map[string]bool{}}
	var b strings.Builder
	s := sqlScanner{src: strings.TrimRight(text, " \t\r\n;")}
	first, last, depth := "", "", 0
	for s.next() {
		switch {
		case s.text == "(":
			depth++
		case s.text == ")":
			depth--
		case s.kind == 'p':
			v, ok := values[s.text[1:]]
			if !ok {
				return nil, fault.New(fault.Invalid, "the parameter %s is not declared", s.text)
			}
			fmt.Fprintf(&b, "{%s:%s}", s.text[1:], v.typ)
			st.used[s.text[1:]] = true
			continue
		case s.kind == 'w':
			if first == "" {
				first = strings.ToLower(s.text)
			}
			st.limit = st.limit || depth == 0 && strings.EqualFold(s.text, "limit")
			if err := s.word(last); err != nil {
				return nil, err
			}
		case s.kind == '?' || s.text == ";" || s.text == "{":
			return nil, fault.New(fault.Invalid, "%q is not allowed in a query", s.text)
		}
		if s.kind != ' ' {
			last = strings.ToLower(s.text)
		}
		b.WriteString(s.text)
	}
	if first != "select" && first != "with" {
		return nil, fault.New(fault.Invalid, "a query begins with SELECT or WITH")
	}
	st.text = b.String()
	return st, nil
}

// word refuses what a query over views has no need of.
func (s *sqlScanner) word(last string) error {
	w := strings.ToLower(strings.Trim(s.text, "`\""))
	if s.follows('(') {
		for _, name := range barred {
			if strings.HasPrefix(w, name) {
				return fault.New(fault.Invalid, "the function %s is not allowed", s.text)
			}
		}
	}
	switch {
	case w == "outfile", w == "settings", w == "format" && last != "." && s.pos >= len(s.src)-40 && !s.follows('('):
		return fault.New(fault.Invalid, "%s is not allowed in a query", s.text)
	case (w == "system" || w == "information_schema" || w == "default") && s.follows('.'):
		return fault.New(fault.Invalid, "the database %s is not allowed", s.text)
	}
	return nil
}

// limited bounds the rows: after the statement, or around one that has a LIMIT
// of its own.
func (st *statement) limited(sql string, rows int) string {
	if st.limit {
		return fmt.Sprintf("SELECT * FROM (%s\n) LIMIT %d", sql, rows)
	}
	return fmt.Sprintf("%s\nLIMIT %d", sql, rows)
}

// with puts the common table expressions before the statement.
func (st *statement) with(tables []string) string {
	if len(tables) == 0 {
		return st.text
	}
	list := strings.Join(tables, ",\n")
	text := strings.TrimSpace(st.text)
	if len(text) > 4 && strings.EqualFold(text[:4], "with") {
		return "WITH " + list + "," + text[4:]
	}
	return "WITH " + list + "\n" + text
}

func isWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// sqlScanner splits SQL so far as is needed to tell names and placeholders from
// strings and comments. kind: w word, p placeholder, s string, ' ' space or
// comment, o other, ? broken.
type sqlScanner struct {
	src  string
	pos  int
	kind byte
	text string
}

func (s *sqlScanner) take(kind byte, end int) bool {
	s.kind, s.text = kind, s.src[s.pos:end]
	s.pos = end
	return true
}

func (s *sqlScanner) next() bool {
	if s.pos >= len(s.src) {
		return false
	}
	rest := s.src[s.pos:]
	switch c := rest[0]; {
	case strings.IndexByte(" \t\r\n", c) >= 0:
		return s.take(' ', s.pos+1)
	case strings.HasPrefix(rest, "--"), c == '#':
		end := strings.IndexByte(rest, '\n')
		if end < 0 {
			end = len(rest)
		}
		return s.take(' ', s.pos+end)
	case strings.HasPrefix(rest, "/*"):
		end := strings.Index(rest[2:], "*/")
		if end < 0 {
			return s.take('?', len(s.src))
		}
		return s.take(' ', s.pos+end+4)
	case c == '\'', c == '`', c == '"':
		return s.quoted(c)
	case c == ':' && len(rest) > 1 && isWord(rest[1:2]) && !(s.pos > 0 && s.src[s.pos-1] == ':'):
		return s.take('p', s.pos+1+wordLen(rest[1:]))
	case isWord(rest[:1]):
		return s.take('w', s.pos+wordLen(rest))
	}
	return s.take('o', s.pos+1)
}

func (s *sqlScanner) quoted(q byte) bool {
	kind := byte('w')
	if q == '\'' {
		kind = 's'
	}
	for i := s.pos + 1; i < len(s.src); i++ {
		switch s.src[i] {
		case '\\':
			i++
		case q:
			return s.take(kind, i+1)
		}
	}
	return s.take('?', len(s.src))
}

func wordLen(s string) int {
	n := 1
	for n < len(s) && isWord("a"+s[n:n+1]) {
		n++
	}
	return n
}

// follows reports whether c comes next, after space.
func (s *sqlScanner) follows(c byte) bool {
	rest := strings.TrimLeft(s.src[s.pos:], " \t\r\n")
	for strings.HasPrefix(rest, "/*") {
		_, after, _ := strings.Cut(rest, "*/")
		rest = strings.TrimLeft(after, " \t\r\n")
	}
	return rest != "" && rest[0] == c
}
