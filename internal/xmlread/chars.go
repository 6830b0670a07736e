package xmlread

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

func isSpace(c rune) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// space skips white space and reports whether there was any.
func (r *Reader) space() bool {
	start := r.pos
	for r.pos < len(r.src) && isSpace(rune(r.src[r.pos])) {
		r.pos++
	}
	return r.pos > start
}

// name reads an XML name, "" if there is none. Beyond ASCII any letter-like rune is
// taken: Chinese element names are common.
func (r *Reader) name() string {
	start := r.pos
	for r.pos < len(r.src) {
		c := r.src[r.pos]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == ':':
		case r.pos > start && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		case c >= utf8.RuneSelf:
			rn, n := utf8.DecodeRune(r.src[r.pos:])
			if !nameRune(rn) {
				return view(r.src[start:r.pos])
			}
			r.pos += n - 1
		default:
			return view(r.src[start:r.pos])
		}
		r.pos++
	}
	return view(r.src[start:r.pos])
}

// nameRune is NameChar of XML 1.0 beyond ASCII.
func nameRune(c rune) bool {
	switch {
	case c == utf8.RuneError:
		return false
	case c == 0xB7, c >= 0xC0 && c <= 0x37D && c != 0xD7 && c != 0xF7, c >= 0x37F && c <= 0x1FFF,
		c >= 0x200C && c <= 0x200D, c >= 0x203F && c <= 0x2040, c >= 0x2070 && c <= 0x218F, c >= 0x2C00 && c <= 0x2FEF,
		c >= 0x3001 && c <= 0xD7FF, c >= 0xF900 && c <= 0xFDCF, c >= 0xFDF0 && c <= 0xFFFD, c >= 0x10000 && c <= 0xEFFFF:
		return true
	}
	return false
}

// badChar returns the offset of the first byte that XML does not allow (control
// characters, U+FFFE, U+FFFF, bytes that are not UTF-8), -1 if there is none.
func badChar(b []byte) int {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
				return i
			}
			i++
			continue
		}
		rn, n := utf8.DecodeRune(b[i:])
		if rn == utf8.RuneError && n == 1 || rn == 0xFFFE || rn == 0xFFFF {
			return i
		}
		i += n
	}
	return -1
}

// chars checks character data or an attribute's value and returns it with
// references replaced and white space normalised. It shares the source when there
// is nothing to replace.
func (r *Reader) chars(raw []byte, at int, attribute bool) (string, error) {
	if i := badChar(raw); i >= 0 {
		_, err := r.fail(at+i, "XML 中不允许的字符（或与声明的字符集不符）", "character not allowed in XML, or not of the declared charset")
		return "", err
	}
	if !attribute {
		if i := bytes.Index(raw, []byte("]]>")); i >= 0 {
			_, err := r.fail(at+i, "文字中不允许 ]]>", "]]> is not allowed in text")
			return "", err
		}
	}
	special := "&\r"
	if attribute {
		special = "&\r\n\t"
	}
	s := view(raw)
	if !strings.ContainsAny(s, special) {
		return s, nil
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case c == '&':
			rn, n := reference(raw[i:])
			if n == 0 {
				_, err := r.fail(at+i, "未知的实体引用（只允许 &amp; &lt; &gt; &quot; &apos; 和 &#…;）", "unknown entity reference")
				return "", err
			}
			out = utf8.AppendRune(out, rn)
			i += n
			continue
		case c == '\r':
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
			c = '\n'
		}
		if attribute && (c == '\n' || c == '\t') {
			c = ' '
		}
		out = append(out, c)
		i++
	}
	return string(out), nil
}

// reference decodes the reference at the start of b and returns its length, 0 if it
// is none of the five entities and no character that XML allows.
func reference(b []byte) (rune, int) {
	end := bytes.IndexByte(b[:min(len(b), 12)], ';')
	if end < 2 {
		return 0, 0
	}
	switch name := view(b[1:end]); name {
	case "amp":
		return '&', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	default:
		if name[0] != '#' || len(name) < 2 {
			return 0, 0
		}
		digits, base := name[1:], 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		v, err := strconv.ParseUint(digits, base, 32)
		if err != nil || v > utf8.MaxRune || v >= 0xD800 && v < 0xE000 || badChar(utf8.AppendRune(nil, rune(v))) >= 0 {
			return 0, 0
		}
		return rune(v), end + 1
	}
}
