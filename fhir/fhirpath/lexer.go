package fhirpath

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// token kinds of the grammar (http://hl7.org/fhirpath/N1/grammar.html).
type tokenKind uint8

const (
	tkEnd       tokenKind = iota
	tkName                // identifier or keyword
	tkDelimited           // `identifier`
	tkString
	tkNumber
	tkDate // @…, with date, datetime or time in text
	tkSymbol
	tkSpecial // $this, $index, $total
)

type token struct {
	kind tokenKind
	text string // decoded
	pos  int    // byte offset
	end  int
}

type lexer struct {
	src string
	pos int
	tok token
	err *SyntaxError
}

func (l *lexer) fail(pos int, msg string) {
	if l.err == nil {
		l.err = &SyntaxError{Source: l.src, Pos: pos, Msg: msg}
	}
	l.tok = token{kind: tkEnd, pos: len(l.src), end: len(l.src)}
	l.pos = len(l.src)
}

// next reads one token into l.tok.
func (l *lexer) next() {
	if !l.space() {
		return
	}
	start := l.pos
	if start >= len(l.src) {
		l.tok = token{kind: tkEnd, pos: start, end: start}
		return
	}
	switch c := l.src[start]; {
	case isLetter(c):
		for l.pos < len(l.src) && (isLetter(l.src[l.pos]) || isDigit(l.src[l.pos])) {
			l.pos++
		}
		l.set(tkName, start, l.src[start:l.pos])
	case isDigit(c):
		l.number(start)
	case c == '\'' || c == '`' || c == '"':
		l.quoted(start, c)
	case c == '@':
		l.date(start)
	case c == '$':
		l.pos++
		for l.pos < len(l.src) && isLetter(l.src[l.pos]) {
			l.pos++
		}
		l.set(tkSpecial, start, l.src[start:l.pos])
	default:
		l.symbol(start)
	}
}

func (l *lexer) set(k tokenKind, start int, text string) {
	l.tok = token{kind: k, text: text, pos: start, end: l.pos}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// space skips white space and comments; false after an error.
func (l *lexer) space() bool {
	for l.pos < len(l.src) {
		switch rest := l.src[l.pos:]; {
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r':
			l.pos++
		case strings.HasPrefix(rest, "//"):
			if end := strings.IndexAny(rest, "\r\n"); end >= 0 {
				l.pos += end
			} else {
				l.pos = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				l.fail(l.pos, "comment without end")
				return false
			}
			l.pos += end + 4
		default:
			return true
		}
	}
	return true
}

func (l *lexer) number(start int) {
	l.digits()
	if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && isDigit(l.src[l.pos+1]) {
		l.pos++
		l.digits()
	}
	l.set(tkNumber, start, l.src[start:l.pos])
}

func (l *lexer) digits() int {
	start := l.pos
	for l.pos < len(l.src) && isDigit(l.src[l.pos]) {
		l.pos++
	}
	return l.pos - start
}

func (l *lexer) symbol(start int) {
	for _, s := range [...]string{"<=", ">=", "!=", "!~"} {
		if strings.HasPrefix(l.src[start:], s) {
			l.pos += 2
			l.set(tkSymbol, start, s)
			return
		}
	}
	if strings.IndexByte("()[]{}.,+-*/&|=~<>%", l.src[start]) < 0 {
		l.fail(start, "unexpected character "+strconv.QuoteRune(firstRune(l.src[start:])))
		return
	}
	l.pos++
	l.set(tkSymbol, start, l.src[start:l.pos])
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// quoted reads a 'string' or a `delimited identifier` (also in double quotes,
// as the first release of the language wrote them).
func (l *lexer) quoted(start int, quote byte) {
	kind := tkDelimited
	if quote == '\'' {
		kind = tkString
	}
	l.pos++
	for begin := l.pos; ; l.pos++ {
		if l.pos >= len(l.src) {
			l.fail(start, "quote without end")
			return
		}
		if c := l.src[l.pos]; c == '\\' {
			break
		} else if c == quote {
			l.pos++
			l.set(kind, start, l.src[begin:l.pos-1])
			return
		}
	}
	var b strings.Builder
	b.WriteString(l.src[start+1 : l.pos])
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; c {
		case quote:
			l.pos++
			l.set(kind, start, b.String())
			return
		case '\\':
			if !l.escape(&b) {
				l.fail(l.pos, "unknown escape in string")
				return
			}
		default:
			b.WriteByte(c)
			l.pos++
		}
	}
	l.fail(start, "quote without end")
}

func (l *lexer) escape(b *strings.Builder) bool {
	if l.pos+1 >= len(l.src) {
		return false
	}
	c := l.src[l.pos+1]
	if c == 'u' {
		r, ok := l.unicode(l.pos + 2)
		if !ok {
			return false
		}
		l.pos += 6
		if utf16.IsSurrogate(r) && strings.HasPrefix(l.src[l.pos:], `\u`) {
			if low, ok := l.unicode(l.pos + 2); ok {
				if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
					l.pos += 6
					r = full
				}
			}
		}
		b.WriteRune(r)
		return true
	}
	i := strings.IndexByte("rntf'\"`\\/", c)
	if i < 0 {
		return false
	}
	b.WriteByte("\r\n\t\f'\"`\\/"[i])
	l.pos += 2
	return true
}

func (l *lexer) unicode(at int) (rune, bool) {
	if at+4 > len(l.src) {
		return 0, false
	}
	n, err := strconv.ParseUint(l.src[at:at+4], 16, 32)
	return rune(n), err == nil
}

// date reads @YYYY-MM-DDThh:mm:ss.fff(Z|±hh:mm), @YYYY…T or @Thh:mm…; its text
// is without the @.
func (l *lexer) date(start int) {
	l.pos++
	if l.pos < len(l.src) && l.src[l.pos] == 'T' {
		l.pos++
		l.clock()
		l.set(tkDate, start, l.src[start+1:l.pos])
		return
	}
	if l.digits() != 4 {
		l.fail(start, "a date needs a year of four digits")
		return
	}
	for range 2 {
		if l.pos+1 < len(l.src) && l.src[l.pos] == '-' && isDigit(l.src[l.pos+1]) {
			l.pos++
			l.digits()
		}
	}
	if l.pos < len(l.src) && l.src[l.pos] == 'T' {
		l.pos++
		if l.pos < len(l.src) && isDigit(l.src[l.pos]) {
			l.clock()
			l.zone()
		}
	}
	l.set(tkDate, start, l.src[start+1:l.pos])
}

func (l *lexer) clock() {
	l.digits()
	for _, sep := range [...]byte{':', ':', '.'} {
		if l.pos+1 < len(l.src) && l.src[l.pos] == sep && isDigit(l.src[l.pos+1]) {
			l.pos++
			l.digits()
		}
	}
}

func (l *lexer) zone() {
	if l.pos >= len(l.src) {
		return
	}
	switch rest := l.src[l.pos:]; {
	case rest[0] == 'Z':
		l.pos++
	case len(rest) >= 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		l.pos += 6
	}
}
