package xmlread

import (
	"bytes"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Kind is the kind of a token.
type Kind uint8

// The kinds of tokens. Processing instructions and the XML declaration are
// skipped.
const (
	EOF     Kind = iota
	Start        // an element begins; <a/> gives Start and End
	End          // an element ends
	Text         // character data or CDATA; several may follow each other
	Comment      // the text between <!-- and -->
)

// Name is a name with its namespace resolved. Prefix is as written.
type Name struct {
	Space, Prefix, Local string
}

// Attr is an attribute. Namespace declarations are attributes too, in the space
// "xmlns": their Local is the declared prefix ("" for the default).
type Attr struct {
	Name
	Value string
}

// XMLNS is the Space of namespace declarations among the attributes.
const XMLNS = "xmlns"

// Token is one piece of a document. Attrs is valid until the next call of Next;
// strings share the document.
type Token struct {
	Kind       Kind
	Name       Name // Start, End
	Attrs      []Attr
	Text       string // Text, Comment
	Start, End int    // bytes of the token in the decoded document
}

// Attr returns the value of the attribute with no namespace and the given name.
func (t *Token) Attr(local string) (string, bool) {
	for i := range t.Attrs {
		if a := &t.Attrs[i]; a.Local == local && a.Space == "" {
			return a.Value, true
		}
	}
	return "", false
}

type binding struct {
	prefix, uri string
	depth       int
}

type open struct {
	raw  string // the name as written
	name Name
}

// Reader gives the tokens of one document. It is for one goroutine.
type Reader struct {
	src    []byte
	limits Limits
	pos    int
	stack  []open
	spaces []binding
	attrs  []Attr
	tokens int
	rooted bool // the root element was seen
	selfOf int  // position of a self-closed start whose End is due, else 0
	err    error
}

// New prepares a reader. It decodes the charset: errors are fault.TooCostly for a
// document over the limit, fault.Unsupported for an unknown charset.
func New(data []byte, limits Limits) (*Reader, error) {
	if len(data) > limits.Size {
		return nil, fault.New(fault.TooCostly, "XML of %d bytes, over the limit of %d", len(data), limits.Size)
	}
	src, err := decode(data, limits.Charset)
	if err != nil {
		return nil, err
	}
	if len(src) > limits.Size {
		return nil, fault.New(fault.TooCostly, "XML of %d bytes, over the limit of %d", len(src), limits.Size)
	}
	return &Reader{src: src, limits: limits}, nil
}

// Source returns the decoded document, UTF-8; token positions refer to it.
func (r *Reader) Source() []byte { return r.src }

// Depth returns how many elements are open.
func (r *Reader) Depth() int { return len(r.stack) }

// Position turns a byte offset into a 1-based line and column (in runes).
func (r *Reader) Position(offset int) (line, col int) {
	offset = min(offset, len(r.src))
	line = 1 + bytes.Count(r.src[:offset], []byte{'\n'})
	begin := bytes.LastIndexByte(r.src[:offset], '\n') + 1
	return line, 1 + utf8.RuneCount(r.src[begin:offset])
}

// Fail makes a fault.Invalid error for a place in the document: for callers that
// find a fault in well-formed XML. The expression may be "".
func (r *Reader) Fail(offset int, expression, key, zh, en string) error {
	line, col := r.Position(offset)
	return fault.New(fault.Invalid, "invalid XML").With(fault.Issue{Severity: "fatal", Code: "structure", Key: key,
		Text: zh, TextEN: en, Expression: expression, Line: line, Col: col})
}

func (r *Reader) fail(at int, zh, en string) (Token, error) {
	if r.err == nil {
		r.err = r.Fail(at, "", "xml-syntax", zh, en)
	}
	return Token{}, r.err
}

func (r *Reader) costly(what string) (Token, error) {
	line, col := r.Position(r.pos)
	r.err = fault.New(fault.TooCostly, "XML: %s", what).With(fault.Issue{Severity: "fatal", Code: "too-costly",
		Key: "xml-limit", Text: "XML 超出限制：" + what, TextEN: "XML over the limit: " + what, Line: line, Col: col})
	return Token{}, r.err
}

// Next returns the next token; at the end one of kind EOF. After an error it
// returns the same error.
func (r *Reader) Next() (Token, error) {
	if r.err != nil {
		return Token{}, r.err
	}
	if r.selfOf > 0 {
		r.selfOf = 0
		return r.close(r.pos, r.pos), nil
	}
	for {
		if r.tokens++; r.tokens > r.limits.Tokens {
			return r.costly("tokens")
		}
		if r.pos >= len(r.src) {
			return r.eof()
		}
		if r.src[r.pos] != '<' {
			tok, err := r.text()
			if err != nil || len(r.stack) > 0 {
				return tok, err
			}
			continue // white space around the root
		}
		tok, skip, err := r.markup()
		if !skip || err != nil {
			return tok, err
		}
	}
}

// markup reads what begins with "<". skip means there was nothing to report.
func (r *Reader) markup() (tok Token, skip bool, err error) {
	rest := r.src[r.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("</")):
		tok, err = r.endTag()
	case bytes.HasPrefix(rest, []byte("<!--")):
		tok, err = r.comment()
		skip = len(r.stack) == 0
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		tok, err = r.cdata()
	case bytes.HasPrefix(rest, []byte("<!")):
		tok, err = r.fail(r.pos, "不接受文档类型声明（DTD、实体）", "document type declarations are refused")
	case bytes.HasPrefix(rest, []byte("<?")):
		err, skip = r.instruction(), true
	default:
		tok, err = r.startTag()
	}
	return tok, skip, err
}

func (r *Reader) eof() (Token, error) {
	if len(r.stack) > 0 {
		return r.fail(r.pos, "XML 不完整：元素 "+short(r.stack[len(r.stack)-1].raw)+" 没有结束", "unexpected end: element not closed")
	}
	if !r.rooted {
		return r.fail(r.pos, "XML 没有根元素", "no root element")
	}
	return Token{Start: r.pos, End: r.pos}, nil
}

// text reads character data up to the next "<".
func (r *Reader) text() (Token, error) {
	start := r.pos
	end := len(r.src)
	if i := bytes.IndexByte(r.src[start:], '<'); i >= 0 {
		end = start + i
	}
	raw := r.src[start:end]
	if len(r.stack) == 0 {
		if i := bytes.IndexFunc(raw, func(c rune) bool { return !isSpace(c) }); i >= 0 {
			return r.fail(start+i, "根元素之外有文字", "text outside the root element")
		}
	}
	s, err := r.chars(raw, start, false)
	if err != nil {
		return Token{}, err
	}
	r.pos = end
	return Token{Kind: Text, Text: s, Start: start, End: end}, nil
}

func (r *Reader) comment() (Token, error) {
	start := r.pos
	i := bytes.Index(r.src[start+4:], []byte("--"))
	if i < 0 || start+4+i+2 >= len(r.src) || r.src[start+4+i+2] != '>' {
		return r.fail(start, "注释没有正确结束", "bad comment")
	}
	r.pos = start + 4 + i + 3
	body := r.src[start+4 : start+4+i]
	if at := badChar(body); at >= 0 {
		return r.fail(start+4+at, "XML 中不允许的字符", "character not allowed in XML")
	}
	return Token{Kind: Comment, Text: view(body), Start: start, End: r.pos}, nil
}

func (r *Reader) cdata() (Token, error) {
	start := r.pos
	if len(r.stack) == 0 {
		return r.fail(start, "根元素之外有文字", "text outside the root element")
	}
	i := bytes.Index(r.src[start+9:], []byte("]]>"))
	if i < 0 {
		return r.fail(start, "CDATA 没有结束", "unterminated CDATA")
	}
	body := r.src[start+9 : start+9+i]
	if at := badChar(body); at >= 0 {
		return r.fail(start+9+at, "XML 中不允许的字符", "character not allowed in XML")
	}
	r.pos = start + 9 + i + 3
	return Token{Kind: Text, Text: newlines(view(body)), Start: start, End: r.pos}, nil
}

// instruction skips <?target …?>. The XML declaration may only be at the start;
// white space before it is forgiven.
func (r *Reader) instruction() error {
	i := bytes.Index(r.src[r.pos:], []byte("?>"))
	if i < 0 {
		_, err := r.fail(r.pos, "处理指令没有结束", "unterminated processing instruction")
		return err
	}
	if badChar(r.src[r.pos:r.pos+i]) >= 0 {
		_, err := r.fail(r.pos, "XML 中不允许的字符", "character not allowed in XML")
		return err
	}
	r.pos += i + 2
	return nil
}

func view(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

// newlines turns CR LF and CR into LF, as XML demands.
func newlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
