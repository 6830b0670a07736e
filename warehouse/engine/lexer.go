package engine

import "strings"

// class is the kind of a token, as far as finding the parts of a statement
// needs it.
type class uint8

const (
	word   class = iota // bare identifier or keyword
	quoted              // "x" or `x`
	text                // 'x' or $tag$x$tag$
	number
	symbol // any other single byte
)

// token is a piece of SQL: src[start:end].
type token struct {
	class      class
	start, end int
}

// lexer splits ClickHouse SQL, leaving out white space and comments. It never
// fails: what is not closed runs to the end, and the engine will say so.
type lexer struct {
	src string
	pos int
}

// next returns the next token; ok is false at the end.
func (l *lexer) next() (token, bool) {
	l.skip()
	if l.pos >= len(l.src) {
		return token{}, false
	}
	start := l.pos
	c := l.src[start]
	switch {
	case c == '\'':
		l.quote(c)
		return token{text, start, l.pos}, true
	case c == '"' || c == '`':
		l.quote(c)
		return token{quoted, start, l.pos}, true
	case c == '$' && l.heredoc():
		return token{text, start, l.pos}, true
	case c >= '0' && c <= '9':
		l.while(func(c byte) bool { return wordByte(c) || c == '.' })
		return token{number, start, l.pos}, true
	case wordByte(c):
		l.while(wordByte)
		return token{word, start, l.pos}, true
	}
	l.pos++
	return token{symbol, start, l.pos}, true
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (l *lexer) while(ok func(byte) bool) {
	for l.pos < len(l.src) && ok(l.src[l.pos]) {
		l.pos++
	}
}

// quote passes a quoted run: a backslash takes the next byte along, a doubled
// quote stays inside.
func (l *lexer) quote(q byte) {
	for l.pos++; l.pos < len(l.src); l.pos++ {
		switch l.src[l.pos] {
		case '\\':
			l.pos++
		case q:
			if l.pos+1 < len(l.src) && l.src[l.pos+1] == q {
				l.pos++
				continue
			}
			l.pos++
			return
		}
	}
	l.pos = len(l.src)
}

// heredoc passes $tag$…$tag$ if one begins here.
func (l *lexer) heredoc() bool {
	rest := l.src[l.pos:]
	i := strings.IndexByte(rest[1:], '$')
	if i < 0 || strings.IndexFunc(rest[1:i+1], func(r rune) bool { return r > 0x7f || !wordByte(byte(r)) }) >= 0 {
		return false
	}
	tag := rest[:i+2]
	end := strings.Index(rest[len(tag):], tag)
	if end < 0 {
		return false
	}
	l.pos += 2*len(tag) + end
	return true
}

// skip passes white space and comments.
func (l *lexer) skip() {
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		switch {
		case rest[0] <= ' ' || rest[0] == 0x7f:
			l.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			l.to(strings.IndexByte(rest, '\n'), 1)
		case strings.HasPrefix(rest, "/*"):
			l.to(strings.Index(rest[2:], "*/"), 4)
		default:
			return
		}
	}
}

func (l *lexer) to(i, more int) {
	if i < 0 {
		l.pos = len(l.src)
		return
	}
	l.pos += i + more
}
