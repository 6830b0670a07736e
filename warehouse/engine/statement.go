package engine

import (
	"fmt"
	"strings"
)

// statement is one SQL statement, taken apart as far as the interface must
// handle its parts: where its output goes and where its data begin.
type statement struct {
	text   string // without a trailing semicolon and comment
	verb   string // first keyword in capitals: SELECT, INSERT …; "" = empty
	rows   bool   // gives rows, so its output can leave through a pipe
	reads  bool   // changes nothing: safe to kill when the client has gone
	format string // name in the FORMAT clause, "" = the default

	outAt  int    // where INTO OUTFILE belongs in text
	inAt   int    // INSERT with data: where FROM INFILE belongs; else -1
	dataAt int    // offset of the data in the source; -1 = none
	source string // all of the text that was parsed
	input  [2]int // where input('structure') stands in the source

	depth   int  // open parentheses so far
	selects bool // INSERT … SELECT
	set     int  // where the SETTINGS of an INSERT stand, 0 = none
}

// rowVerbs begin statements that give rows and take INTO OUTFILE.
const rowVerbs = " SELECT WITH FROM SHOW DESCRIBE DESC EXPLAIN EXISTS CHECK KILL ( "

// parse reads the first statement of src. It refuses what a ClickHouse server
// refuses over HTTP: several statements, and the client's files.
func parse(src string) (*statement, error) {
	l := lexer{src: src}
	s := &statement{inAt: -1, dataAt: -1}
	var toks []token
	for {
		t, ok := l.next()
		if !ok {
			break
		}
		if t.class == symbol && src[t.start] == ';' {
			if more, ok := l.next(); ok {
				return nil, syntaxError(src, more.start, "Multi-statements are not allowed")
			}
			break
		}
		toks = append(toks, t)
		if len(toks) == 1 {
			s.verb = strings.ToUpper(src[t.start:t.end])
		}
		s.note(src, t, len(toks))
		if s.verb == "INSERT" && s.dataBegins(src, toks) {
			s.text = strings.TrimRight(src[:s.inAt], " \t\r\n")
			return s, s.refuse(src, toks)
		}
	}
	if len(toks) == 0 {
		return nil, &Exception{Code: codeSyntax, Message: "Syntax error: failed at position 1 (end of query): . Empty query. (SYNTAX_ERROR)"}
	}
	s.text = src[:toks[len(toks)-1].end]
	s.rows = strings.Contains(rowVerbs, " "+s.verb+" ")
	s.reads = s.rows && s.verb != "KILL"
	s.outAt = len(s.text)
	s.clauses(toks)
	return s, s.refuse(src, toks)
}

func syntaxError(src string, at int, why string) error {
	near := src[at:min(len(src), at+40)]
	return &Exception{Code: codeSyntax, Message: fmt.Sprintf("Syntax error (%s): failed at position %d: %s. (SYNTAX_ERROR)", why, at+1, near)}
}

// is says whether t is the given keyword.
func (s *statement) is(src string, t token, keyword string) bool {
	return t.class == word && strings.EqualFold(src[t.start:t.end], keyword)
}

// dataBegins looks at an INSERT up to its newest token and finds the data that
// follow VALUES or FORMAT name. An INSERT … SELECT has none, unless it reads
// input().
func (s *statement) dataBegins(src string, toks []token) bool {
	if s.depth != 0 || len(toks) < 3 {
		return false
	}
	last, before, selects := toks[len(toks)-1], toks[len(toks)-2], s.selects
	switch {
	case s.is(src, last, "VALUES") && !selects && !(len(toks) == 3 || s.is(src, before, "TABLE")):
		s.format, s.inAt, s.dataAt = "Values", last.start, last.end
	case last.class == word && s.is(src, before, "FORMAT") && len(toks) > 4 && !selects:
		s.format, s.inAt, s.dataAt = src[last.start:last.end], before.start, afterFormat(src, last.end)
	case last.class == word && s.is(src, before, "FORMAT") && selects && s.findInput(src, toks):
		s.format, s.inAt, s.dataAt = src[last.start:last.end], before.start, afterFormat(src, last.end)
	default:
		return false
	}
	return true
}

// afterFormat passes what ClickHouse passes between the format's name and the
// data: blanks and one line end.
func afterFormat(src string, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\t' || src[i] == '\f') {
		i++
	}
	if i < len(src) && src[i] == '\r' {
		i++
	}
	if i < len(src) && src[i] == '\n' {
		i++
	}
	return i
}

// note keeps count of what dataBegins asks for, one token at a time.
func (s *statement) note(src string, t token, n int) {
	switch {
	case t.class == symbol && src[t.start] == '(':
		s.depth++
	case t.class == symbol && src[t.start] == ')':
		s.depth--
	case n > 3 && s.depth == 0 && !s.selects && s.set == 0 && s.is(src, t, "SETTINGS"):
		s.set = t.start
	case n > 3 && (s.is(src, t, "SELECT") || s.is(src, t, "WITH")):
		s.selects = true
	}
}

// findInput notes where input('structure') stands.
func (s *statement) findInput(src string, toks []token) bool {
	for i := 0; i+3 < len(toks); i++ {
		if s.is(src, toks[i], "input") && src[toks[i+1].start] == '(' && toks[i+2].class == text && src[toks[i+3].start] == ')' {
			s.input = [2]int{toks[i].start, toks[i+3].end}
			return true
		}
	}
	return false
}

// clauses finds the closing FORMAT and SETTINGS clauses, before which INTO
// OUTFILE stands.
func (s *statement) clauses(toks []token) {
	src, d := s.text, 0
	for i := len(toks) - 1; i > 0; i-- {
		t := toks[i]
		if t.class == symbol && src[t.start] == ')' {
			d++
		} else if t.class == symbol && src[t.start] == '(' {
			d--
		}
		if d != 0 || t.class != word {
			continue
		}
		switch {
		case s.is(src, t, "FORMAT") && i+1 < len(toks) && toks[i+1].class == word &&
			(i+2 == len(toks) || s.is(src, toks[i+2], "SETTINGS")):
			s.format, s.outAt = src[toks[i+1].start:toks[i+1].end], t.start
			return
		case s.is(src, t, "SETTINGS") && s.verb != "SELECT" && s.verb != "WITH" && s.verb != "(" && s.verb != "FROM":
			s.outAt = t.start
		}
	}
}

// refuse turns down what reads or writes this machine's files around the
// interface: a server confines these to its own folder, the library does not.
func (s *statement) refuse(src string, toks []token) error {
	for i, t := range toks {
		next := byte(0)
		if i+1 < len(toks) {
			next = src[toks[i+1].start]
		}
		switch {
		case s.is(src, t, "INTO") && i+1 < len(toks) && s.is(src, toks[i+1], "OUTFILE"):
			return &Exception{Code: codeOutfile, Message: "INTO OUTFILE is not allowed. (INTO_OUTFILE_NOT_ALLOWED)"}
		case s.is(src, t, "FROM") && i+1 < len(toks) && s.is(src, toks[i+1], "INFILE"):
			return &Exception{Code: codeQueryType, Message: "Query has infile and was sent directly to server. (UNKNOWN_TYPE_OF_QUERY)"}
		case (t.class == word || t.class == quoted) && next == '(' && localSource(src[t.start:t.end]),
			t.class == word && i > 1 && src[toks[i-1].start] == '=' && s.is(src, toks[i-2], "ENGINE") && localSource(src[t.start:t.end]):
			return &Exception{Code: codeAccess, Message: "Access to local files and programs is not allowed: " + src[t.start:t.end] + ". (ACCESS_DENIED)"}
		}
	}
	return nil
}

// localSources are the table functions and engines that reach this machine's
// files and programs, in lower case.
const localSources = " file filecluster executable executablepool sqlite python filesystem deltalakelocal iceberglocal hudilocal "

func localSource(name string) bool {
	name = strings.ToLower(strings.Trim(name, "\"`"))
	return strings.Contains(localSources, " "+name+" ")
}

// output returns the statement with its rows sent to the file at path.
func (s *statement) output(path string) string {
	return s.text[:s.outAt] + " INTO OUTFILE " + quote(path) + " TRUNCATE " + s.text[s.outAt:]
}

// insert returns the INSERT with its data read from the file at path. A
// SELECT … FROM input('structure') reads it as a table.
func (s *statement) insert(src, path string) string {
	if s.input[1] == 0 {
		at := len(s.text)
		if s.set > 0 {
			at = s.set
		}
		return s.text[:at] + " FROM INFILE " + quote(path) + " " + s.text[at:] + " FORMAT " + s.format
	}
	structure := src[s.input[0]:s.input[1]]
	structure = structure[strings.IndexByte(structure, '(')+1 : len(structure)-1]
	return src[:s.input[0]] + "file(" + quote(path) + ", " + quote(s.format) + ", " + structure + ")" + src[s.input[1]:s.inAt]
}

// quote makes a SQL string of s.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// identifier makes a quoted name of s.
func identifier(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

// Statement is what a door in front of the engine needs to know of a query.
type Statement struct {
	Verb   string // first keyword in capitals; "(" for a parenthesised SELECT
	Text   string // without the closing FORMAT and, except in a SELECT, SETTINGS clauses
	Format string // name in the FORMAT clause, "" = none
	Data   bool   // an INSERT that brings data
}

// Inspect takes one statement apart without running it. What the engine would
// refuse by form (several statements, local files) is an *Exception here too.
func Inspect(query string) (Statement, error) {
	s, err := parse(query)
	if err != nil {
		return Statement{}, err
	}
	out := Statement{Verb: s.verb, Text: s.text, Format: s.format, Data: s.dataAt >= 0}
	if s.rows {
		out.Text = s.text[:s.outAt]
	}
	return out, nil
}
