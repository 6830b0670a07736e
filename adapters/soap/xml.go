package soap

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of [ParseXML].
const (
	maxDepth    = 64
	maxElements = 200_000
	maxAttrs    = 64
)

// Element is an XML element. Names are kept without their prefix; Space is the
// prefix's namespace, "" if none is declared.
type Element struct {
	Space, Name string
	Attrs       []Attr
	Children    []*Element
	Text        string // character data of this element alone, entities resolved
	Inner       []byte // what stands between its tags, as sent
	Offset      int    // byte offset of its start tag

	prefix string
	open   int // where Inner begins
	start  int // where its start tag begins
	text   strings.Builder
}

// Attr is an attribute; Name keeps its prefix.
type Attr struct{ Name, Value string }

// Child returns the first child with that name, nil if there is none; on a nil
// element it returns nil.
func (e *Element) Child(name string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Value returns the trimmed text of the child with that name; "" if absent or
// the literal text "null", as Java clients write it.
func (e *Element) Value(name string) string {
	c := e.Child(name)
	if c == nil {
		return ""
	}
	if v := strings.TrimSpace(c.Text); v != "null" {
		return v
	}
	return ""
}

// ParseXML reads a document leniently: an ampersand that starts no entity and a
// `<` that starts no tag are text; a start tag that is never closed before its
// parent ends is text too. Document type definitions are refused. Errors are
// fault.Invalid with line and column.
func ParseXML(text []byte) (*Element, error) {
	p := &xmlParser{src: text}
	return p.document()
}

type xmlParser struct {
	src   []byte
	pos   int
	stack []*Element
	root  *Element
	count int
}

func (p *xmlParser) fail(at int, text, hint string) error {
	line := 1 + bytes.Count(p.src[:at], []byte{'\n'})
	col := 1 + utf8.RuneCount(p.src[bytes.LastIndexByte(p.src[:at], '\n')+1:at])
	return fault.New(fault.Invalid, "XML 格式错误（第 %d 行第 %d 列）：%s", line, col, text).With(fault.Issue{
		Severity: "fatal", Code: "structure", Key: "xml", Text: text, Line: line, Col: col, Hint: hint})
}

func (p *xmlParser) document() (*Element, error) {
	for p.pos < len(p.src) {
		i := bytes.IndexByte(p.src[p.pos:], '<')
		if i < 0 {
			p.chars(p.src[p.pos:])
			break
		}
		p.chars(p.src[p.pos : p.pos+i])
		p.pos += i
		if err := p.markup(); err != nil {
			return nil, err
		}
	}
	if len(p.stack) > 0 {
		top := p.stack[len(p.stack)-1]
		return nil, p.fail(top.start, "元素 "+top.Name+" 没有结束标记", "内容可能被截断")
	}
	if p.root == nil {
		return nil, p.fail(0, "没有 XML 元素", "请发送 <Request>…</Request>")
	}
	return p.root, nil
}

// chars adds character data to the open element.
func (p *xmlParser) chars(b []byte) {
	if len(p.stack) > 0 {
		unescape(&p.stack[len(p.stack)-1].text, b)
	}
}

func (p *xmlParser) markup() error {
	rest := p.src[p.pos:]
	switch {
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		end := bytes.Index(rest, []byte("]]>"))
		if end < 0 {
			return p.fail(p.pos, "CDATA 没有结束", "补上 ]]>")
		}
		if len(p.stack) > 0 {
			p.stack[len(p.stack)-1].text.Write(rest[9:end])
		}
		p.pos += end + 3
		return nil
	case bytes.HasPrefix(rest, []byte("<!--")):
		return p.skip("-->", "注释")
	case bytes.HasPrefix(rest, []byte("<?")):
		return p.skip("?>", "处理指令")
	case bytes.HasPrefix(rest, []byte("<!DOCTYPE")), bytes.HasPrefix(rest, []byte("<!ENTITY")):
		return p.fail(p.pos, "不接受 DTD", "请去掉 DOCTYPE")
	case len(rest) > 2 && rest[1] == '/' && nameStart(rest[2:]):
		return p.end(rest)
	case len(rest) > 1 && nameStart(rest[1:]):
		if ok, err := p.start(rest); ok || err != nil {
			return err
		}
	}
	p.chars(rest[:1])
	p.pos++
	return nil
}

func (p *xmlParser) skip(until, what string) error {
	i := bytes.Index(p.src[p.pos:], []byte(until))
	if i < 0 {
		return p.fail(p.pos, what+"没有结束", "补上 "+until)
	}
	p.pos += i + len(until)
	return nil
}

// start reads a start tag; ok is false if it turns out to be text.
func (p *xmlParser) start(rest []byte) (ok bool, err error) {
	name, i := readName(rest, 1)
	e := &Element{Name: name, Offset: p.pos, start: p.pos}
	for {
		i = skipSpace(rest, i)
		if i >= len(rest) {
			return false, nil
		}
		if rest[i] == '>' || rest[i] == '/' && i+1 < len(rest) && rest[i+1] == '>' {
			break
		}
		var a Attr
		if a, i, ok = readAttr(rest, i); !ok || len(e.Attrs) >= maxAttrs {
			return false, nil
		}
		e.Attrs = append(e.Attrs, a)
	}
	if p.count++; p.count > maxElements || len(p.stack) >= maxDepth {
		return false, p.fail(p.pos, "元素过多或嵌套过深", fmt.Sprintf("至多 %d 层", maxDepth))
	}
	if prefix, local, found := strings.Cut(name, ":"); found {
		e.prefix, e.Name = prefix, local
	}
	if len(p.stack) == 0 && p.root != nil {
		return false, p.fail(p.pos, "根元素之后还有元素", "一次只发送一个消息")
	}
	empty := rest[i] == '/'
	if empty {
		i++
	}
	p.pos += i + 1
	e.open = p.pos
	p.stack = append(p.stack, e)
	e.Space = p.namespace(e.prefix)
	if empty {
		p.close(p.pos)
	}
	return true, nil
}

// end closes the nearest open element of that name; those opened inside it and
// never closed become text. An end tag nobody opened is text.
func (p *xmlParser) end(rest []byte) error {
	name, i := readName(rest, 2)
	i = skipSpace(rest, i)
	prefix, local := "", name
	if a, b, found := strings.Cut(name, ":"); found {
		prefix, local = a, b
	}
	at := len(p.stack) - 1
	for at >= 0 && !(p.stack[at].Name == local && p.stack[at].prefix == prefix) {
		at--
	}
	if at < 0 || i >= len(rest) || rest[i] != '>' {
		if len(p.stack) == 0 {
			return p.fail(p.pos, "多余的结束标记 "+local, "")
		}
		p.chars(rest[:2])
		p.pos += 2
		return nil
	}
	for len(p.stack)-1 > at {
		p.unopen()
	}
	stop := p.pos
	p.pos += i + 1
	p.close(stop)
	return nil
}

// unopen turns the innermost open element back into its parent's text.
func (p *xmlParser) unopen() {
	e := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	parent := p.stack[len(p.stack)-1]
	unescape(&parent.text, p.src[e.start:e.open])
	parent.text.WriteString(e.text.String())
	parent.Children = append(parent.Children, e.Children...)
}

func (p *xmlParser) close(stop int) {
	e := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	e.Text, e.Inner = e.text.String(), p.src[e.open:max(stop, e.open)]
	if len(p.stack) == 0 {
		p.root = e
		return
	}
	parent := p.stack[len(p.stack)-1]
	parent.Children = append(parent.Children, e)
}

// namespace finds what a prefix stands for, innermost declaration first.
func (p *xmlParser) namespace(prefix string) string {
	want := "xmlns"
	if prefix != "" {
		want = "xmlns:" + prefix
	}
	for i := len(p.stack) - 1; i >= 0; i-- {
		for _, a := range p.stack[i].Attrs {
			if a.Name == want {
				return a.Value
			}
		}
	}
	return ""
}

func nameStart(b []byte) bool {
	r, _ := utf8.DecodeRune(b)
	return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x4e00 && r <= 0x9fff
}

func readName(b []byte, i int) (string, int) {
	from := i
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if !(r == '-' || r == '.' || r == ':' || r >= '0' && r <= '9' || nameStart(b[i:])) {
			break
		}
		i += n
	}
	return string(b[from:i]), i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

func readAttr(b []byte, i int) (Attr, int, bool) {
	if !nameStart(b[i:]) {
		return Attr{}, i, false
	}
	name, i := readName(b, i)
	i = skipSpace(b, i)
	if i >= len(b) || b[i] != '=' {
		return Attr{}, i, false
	}
	i = skipSpace(b, i+1)
	if i >= len(b) || b[i] != '"' && b[i] != '\'' {
		return Attr{}, i, false
	}
	end := bytes.IndexByte(b[i+1:], b[i])
	if end < 0 {
		return Attr{}, i, false
	}
	var v strings.Builder
	unescape(&v, b[i+1:i+1+end])
	return Attr{name, v.String()}, i + end + 2, true
}

// unescape resolves the five entities and character references; anything else
// that starts with an ampersand stays as it is.
func unescape(out *strings.Builder, b []byte) {
	for {
		i := bytes.IndexByte(b, '&')
		if i < 0 {
			out.Write(b)
			return
		}
		out.Write(b[:i])
		b = b[i:]
		r, n := entity(b)
		if n == 0 {
			out.WriteByte('&')
			b = b[1:]
			continue
		}
		out.WriteRune(r)
		b = b[n:]
	}
}

func entity(b []byte) (rune, int) {
	end := bytes.IndexByte(b[:min(len(b), 12)], ';')
	if end < 2 {
		return 0, 0
	}
	switch name := string(b[1:end]); name {
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "amp":
		return '&', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	default:
		if name[0] != '#' {
			return 0, 0
		}
		digits, base := name[1:], 10
		if strings.HasPrefix(digits, "x") {
			digits, base = digits[1:], 16
		}
		v, err := strconv.ParseUint(digits, base, 21)
		if err != nil || !utf8.ValidRune(rune(v)) || v == 0 {
			return 0, 0
		}
		return rune(v), end + 1
	}
}
