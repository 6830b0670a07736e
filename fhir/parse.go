package fhir

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// MaxDepth is how deeply JSON may nest. R4 resources of the examples reach 15;
// Questionnaires and Bundles in Parameters go deeper, attackers far deeper.
const MaxDepth = 200

// maxSource bounds one document (offsets are 32 bits).
const maxSource = 1 << 31

// Parser parses documents one after the other into one arena. It is for one
// goroutine; a tree it returned is overwritten by the next Parse.
type Parser struct {
	tree Tree
	pos  int
	err  *fault.Error
}

// Parse parses data for good: the tree owns its arena and may be kept.
// Errors are fault.Invalid with line and column.
func Parse(data []byte) (*Tree, error) {
	p := &Parser{}
	p.tree.nodes = make([]node, 0, 16+len(data)/24)
	return p.Parse(data)
}

// Parse parses data into the parser's arena. The tree and all its nodes are
// valid until the next call. Errors are fault.Invalid with line and column:
// bad syntax, invalid UTF-8, nesting over MaxDepth, or text after the value.
func (p *Parser) Parse(data []byte) (*Tree, error) {
	if len(data) >= maxSource {
		return nil, fault.New(fault.TooCostly, "document over 2 GiB")
	}
	p.tree.src = data
	p.tree.nodes = append(p.tree.nodes[:0], node{})
	p.err, p.pos = nil, 0
	if len(data) >= 3 && data[0] == 0xEF && data[1] == 0xBB && data[2] == 0xBF {
		p.pos = 3
	}
	p.space()
	if p.value(0) == 0 {
		return nil, p.err
	}
	p.space()
	if p.pos != len(data) {
		p.fail("JSON 结尾之后还有多余内容", "unexpected text after the JSON value")
		return nil, p.err
	}
	return &p.tree, nil
}

func (p *Parser) fail(zh, en string) int32 {
	if p.err == nil {
		line, col := position(p.tree.src, p.pos)
		p.err = fault.New(fault.Invalid, "invalid JSON").With(fault.Issue{Severity: "fatal", Code: "structure",
			Key: "json-syntax", Text: zh, TextEN: en, Line: line, Col: col})
	}
	return 0
}

func (p *Parser) space() {
	src := p.tree.src
	for p.pos < len(src) {
		switch src[p.pos] {
		case ' ', '\n', '\t', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *Parser) add(k Kind, start int) int32 {
	p.tree.nodes = append(p.tree.nodes, node{kind: k, start: uint32(start)})
	return int32(len(p.tree.nodes) - 1)
}

// value parses one value and returns its node, 0 on error.
func (p *Parser) value(depth int) int32 {
	src := p.tree.src
	if p.pos >= len(src) {
		return p.fail("JSON 不完整：意外结束", "unexpected end of JSON")
	}
	if depth > MaxDepth {
		return p.fail("JSON 嵌套过深", "JSON nested too deeply")
	}
	switch c := src[p.pos]; {
	case c == '"':
		return p.str()
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return p.literal("true", Bool)
	case c == 'f':
		return p.literal("false", Bool)
	case c == 'n':
		return p.literal("null", Null)
	}
	return p.fail("此处应为 JSON 值", "expected a JSON value")
}

func (p *Parser) literal(word string, k Kind) int32 {
	if !bytes.HasPrefix(p.tree.src[p.pos:], []byte(word)) {
		return p.fail("此处应为 JSON 值", "expected a JSON value")
	}
	i := p.add(k, p.pos)
	p.pos += len(word)
	p.tree.nodes[i].end = uint32(p.pos)
	return i
}

func (p *Parser) number() int32 {
	src, start := p.tree.src, p.pos
	if src[p.pos] == '-' {
		p.pos++
	}
	switch {
	case p.pos < len(src) && src[p.pos] == '0':
		p.pos++
	case !p.digits():
		return p.fail("数字格式错误", "bad number")
	}
	if p.pos < len(src) && src[p.pos] == '.' {
		p.pos++
		if !p.digits() {
			return p.fail("数字格式错误：小数点后应有数字", "bad number: digits must follow the point")
		}
	}
	if p.pos < len(src) && (src[p.pos] == 'e' || src[p.pos] == 'E') {
		p.pos++
		if p.pos < len(src) && (src[p.pos] == '+' || src[p.pos] == '-') {
			p.pos++
		}
		if !p.digits() {
			return p.fail("数字格式错误：指数应为数字", "bad number: exponent needs digits")
		}
	}
	i := p.add(Number, start)
	p.tree.nodes[i].end = uint32(p.pos)
	return i
}

func (p *Parser) digits() bool {
	src, start := p.tree.src, p.pos
	for p.pos < len(src) && src[p.pos] >= '0' && src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

// text scans a string from its opening quote and returns the bounds of its
// content; ok is false on error.
func (p *Parser) text() (start, end int, escaped, ok bool) {
	src := p.tree.src
	p.pos++
	start = p.pos
	ascii := true
	for p.pos < len(src) {
		switch c := src[p.pos]; {
		case c == '"':
			end = p.pos
			p.pos++
			if !ascii && !utf8.Valid(src[start:end]) {
				p.pos = start
				p.fail("文本不是有效的 UTF-8（如为 GBK 请先声明字符集）", "invalid UTF-8")
				return 0, 0, false, false
			}
			return start, end, escaped, true
		case c == '\\':
			escaped = true
			if !p.escape() {
				return 0, 0, false, false
			}
		case c < 0x20:
			p.fail("字符串中有未转义的控制字符", "unescaped control character in string")
			return 0, 0, false, false
		default:
			if c >= utf8.RuneSelf {
				ascii = false
			}
			p.pos++
		}
	}
	p.fail("字符串没有结束引号", "unterminated string")
	return 0, 0, false, false
}

func (p *Parser) escape() bool {
	src := p.tree.src
	if p.pos+1 < len(src) {
		switch src[p.pos+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			p.pos += 2
			return true
		case 'u':
			if _, ok := hex4(src, p.pos+2); ok {
				p.pos += 6
				return true
			}
		}
	}
	p.fail("字符串中的转义错误", "bad escape in string")
	return false
}

func (p *Parser) str() int32 {
	start, end, esc, ok := p.text()
	if !ok {
		return 0
	}
	i := p.add(String, start)
	p.tree.nodes[i].end, p.tree.nodes[i].escaped = uint32(end), esc
	return i
}

func (p *Parser) array(depth int) int32 {
	self := p.add(Array, p.pos)
	p.pos++
	var last int32
	p.space()
	if p.pos < len(p.tree.src) && p.tree.src[p.pos] == ']' {
		p.pos++
		p.tree.nodes[self].end = uint32(p.pos)
		return self
	}
	for {
		p.space()
		i := p.value(depth + 1)
		if i == 0 {
			return 0
		}
		p.link(self, last, i)
		last = i
		p.space()
		if p.pos >= len(p.tree.src) {
			return p.fail("JSON 不完整：数组没有结束", "unterminated array")
		}
		switch p.tree.src[p.pos] {
		case ',':
			p.pos++
		case ']':
			p.pos++
			p.tree.nodes[self].end = uint32(p.pos)
			return self
		default:
			return p.fail("数组中此处应为逗号或 ]", "expected , or ] in array")
		}
	}
}

func (p *Parser) link(self, last, i int32) {
	if last == 0 {
		p.tree.nodes[self].child = i
	} else {
		p.tree.nodes[last].next = i
	}
	p.tree.nodes[self].n++
}

func (p *Parser) object(depth int) int32 {
	self := p.add(Object, p.pos)
	p.pos++
	var last int32
	p.space()
	if p.pos < len(p.tree.src) && p.tree.src[p.pos] == '}' {
		p.pos++
		p.tree.nodes[self].end = uint32(p.pos)
		return self
	}
	for {
		p.space()
		if p.pos >= len(p.tree.src) || p.tree.src[p.pos] != '"' {
			return p.fail("此处应为带引号的属性名", "expected a quoted member name")
		}
		ks, ke, esc, ok := p.text()
		if !ok {
			return 0
		}
		if ke-ks > 1<<16-1 {
			return p.fail("属性名过长", "member name too long")
		}
		p.space()
		if p.pos >= len(p.tree.src) || p.tree.src[p.pos] != ':' {
			return p.fail("属性名后应为冒号", "expected : after the member name")
		}
		p.pos++
		p.space()
		i := p.value(depth + 1)
		if i == 0 {
			return 0
		}
		m := &p.tree.nodes[i]
		m.keyStart, m.keyLen, m.keyEscd = uint32(ks), uint16(ke-ks), esc
		p.link(self, last, i)
		last = i
		p.space()
		if p.pos >= len(p.tree.src) {
			return p.fail("JSON 不完整：对象没有结束", "unterminated object")
		}
		switch p.tree.src[p.pos] {
		case ',':
			p.pos++
		case '}':
			p.pos++
			p.tree.nodes[self].end = uint32(p.pos)
			return self
		default:
			return p.fail("对象中此处应为逗号或 }", "expected , or } in object")
		}
	}
}

func hex4(src []byte, at int) (rune, bool) {
	if at+4 > len(src) {
		return 0, false
	}
	var r rune
	for _, c := range src[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// unescape decodes the content of a JSON string that text accepted.
func unescape(b []byte) string {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			out = append(out, b[i])
			i++
			continue
		}
		switch c := b[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(b, i+2)
			i += 4
			if utf16.IsSurrogate(r) {
				if lo, ok := hex4(b, i+4); ok && i+3 < len(b) && b[i+2] == '\\' && b[i+3] == 'u' {
					if pair := utf16.DecodeRune(r, lo); pair != utf8.RuneError {
						r = pair
						i += 6
					}
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
		i += 2
	}
	return string(out)
}
