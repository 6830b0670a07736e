package validate

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// narrative checks Narrative.div: well-formed XHTML of the allowed elements and
// attributes, nothing active, and some content
// (http://hl7.org/fhir/R4/narrative.html#rules; txt-1, txt-2).
func (w *walk) narrative(n fhir.Node) {
	div := n.Get("div")
	if div.Kind() != fhir.String {
		return
	}
	s := div.Str()
	x := xhtml{s: s}
	if what := x.check(); what != "" {
		w.reportAt(div, "div", finding{code: "invariant", key: "txt-1", zh: "叙述文本的 XHTML 不合规：" + what, en: "txt-1: narrative XHTML: " + what})
		return
	}
	if !x.content {
		w.reportAt(div, "div", finding{code: "invariant", key: "txt-2", zh: "叙述文本不能为空", en: "txt-2: the narrative shall have some non-whitespace content"})
	}
}

// xhtml scans a narrative once, without building anything.
type xhtml struct {
	s       string
	pos     int
	open    []string
	content bool
	rooted  bool // the root div was closed
}

// maxMarkup bounds the depth of narrative markup.
const maxMarkup = 256

// check returns what is wrong, "" if nothing.
func (x *xhtml) check() string {
	for x.pos < len(x.s) {
		lt := strings.IndexByte(x.s[x.pos:], '<')
		text := x.s[x.pos:]
		if lt >= 0 {
			text = text[:lt]
		}
		if what := x.text(text); what != "" {
			return what
		}
		if lt < 0 {
			x.pos = len(x.s)
			break
		}
		x.pos += lt
		if what := x.markup(); what != "" {
			return what
		}
	}
	if len(x.open) > 0 {
		return "<" + x.open[len(x.open)-1] + "> is not closed"
	}
	if !x.rooted {
		return "the root must be <div>"
	}
	return ""
}

// text checks character data: entities, and none outside the root.
func (x *xhtml) text(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	if len(x.open) == 0 {
		return "text outside the root <div>"
	}
	x.content = true
	return entities(s)
}

// entities allows &name; and &#n;.
func entities(s string) string {
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			return ""
		}
		s = s[i+1:]
		end := strings.IndexByte(s, ';')
		if end < 1 || end > 10 || strings.Trim(s[:end], "#abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return "a bare & (write &amp;)"
		}
		s = s[end+1:]
	}
}

// markup checks what begins with '<' at pos.
func (x *xhtml) markup() string {
	rest := x.s[x.pos:]
	switch {
	case strings.HasPrefix(rest, "<!--"):
		end := strings.Index(rest[4:], "-->")
		if end < 0 {
			return "unterminated comment"
		}
		x.pos += 4 + end + 3
		return ""
	case strings.HasPrefix(rest, "<!"), strings.HasPrefix(rest, "<?"):
		if strings.HasPrefix(rest, "<?xml ") && x.pos == 0 {
			if end := strings.Index(rest, "?>"); end > 0 {
				x.pos += end + 2
				return ""
			}
		}
		return "declarations, CDATA and processing instructions are not allowed"
	case strings.HasPrefix(rest, "</"):
		return x.close(rest)
	}
	return x.start(rest)
}

func (x *xhtml) close(rest string) string {
	end := strings.IndexByte(rest, '>')
	if end < 0 {
		return "unterminated tag"
	}
	name := strings.TrimSpace(rest[2:end])
	if len(x.open) == 0 || x.open[len(x.open)-1] != name {
		return "</" + name + "> does not match"
	}
	x.open = x.open[:len(x.open)-1]
	x.rooted = len(x.open) == 0
	x.pos += end + 1
	return ""
}

// start checks a start tag with its attributes.
func (x *xhtml) start(rest string) string {
	i := 1
	for i < len(rest) && !strings.ContainsRune(" \t\r\n/>", rune(rest[i])) {
		i++
	}
	name := rest[1:i]
	switch {
	case len(x.open) == 0 && (name != "div" || x.rooted):
		return "the root must be one <div>"
	case !allowedElement(name):
		return "the element <" + name + "> is not allowed"
	case len(x.open) >= maxMarkup:
		return "nested too deeply"
	}
	namespace := len(x.open) > 0
	for {
		for i < len(rest) && strings.IndexByte(" \t\r\n", rest[i]) >= 0 {
			i++
		}
		if i >= len(rest) {
			return "unterminated tag"
		}
		if rest[i] == '>' || strings.HasPrefix(rest[i:], "/>") {
			break
		}
		attr, value, n := attribute(rest[i:])
		if n == 0 {
			return "bad attribute in <" + name + ">"
		}
		if attr == "xmlns" {
			if value != "http://www.w3.org/1999/xhtml" {
				return "the namespace must be http://www.w3.org/1999/xhtml"
			}
			namespace = true
		} else if what := allowedAttribute(name, attr, value); what != "" {
			return what
		}
		i += n
	}
	if !namespace {
		return `the root <div> needs xmlns="http://www.w3.org/1999/xhtml"`
	}
	if name == "img" {
		x.content = true
	}
	if rest[i] == '/' {
		x.pos += i + 2
		x.rooted = x.rooted || len(x.open) == 0
		return ""
	}
	x.open = append(x.open, name)
	x.pos += i + 1
	return ""
}

// attribute reads name="value"; n is its length, 0 if it is none.
func attribute(s string) (name, value string, n int) {
	eq := strings.IndexByte(s, '=')
	if eq < 1 {
		return "", "", 0
	}
	name = strings.TrimSpace(s[:eq])
	i := eq + 1
	for i < len(s) && strings.IndexByte(" \t\r\n", s[i]) >= 0 {
		i++
	}
	if i >= len(s) || s[i] != '"' && s[i] != '\'' {
		return "", "", 0
	}
	end := strings.IndexByte(s[i+1:], s[i])
	if end < 0 || strings.ContainsAny(name, " <>\"'") {
		return "", "", 0
	}
	value = s[i+1 : i+1+end]
	if strings.IndexByte(value, '<') >= 0 {
		return "", "", 0
	}
	return name, value, i + end + 2
}

// allowedElement is the list of narrative.html: HTML 4.0 chapters 7 to 11
// (except section 4 of chapter 9) and 15, <a> and <img>.
func allowedElement(name string) bool {
	switch name {
	case "a", "abbr", "acronym", "b", "bdo", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd", "del",
		"dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "ol", "p", "pre", "q",
		"samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
		"s", "strike", "center", "font", "address", "section", "header", "footer", "main", "nav", "article", "figure", "figcaption", "map", "area":
		return true
	}
	return false
}

// allowedAttribute refuses what runs or fetches code; the rest of HTML 4's
// attributes is presentation.
func allowedAttribute(element, name, value string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.HasPrefix(lower, "on"):
		return "event attributes are not allowed: " + name
	case lower == "href" || lower == "src":
		v := strings.ToLower(strings.Map(printable, value))
		if strings.HasPrefix(v, "javascript:") || strings.HasPrefix(v, "vbscript:") || strings.HasPrefix(v, "data:") && !strings.HasPrefix(v, "data:image/") {
			return "active links are not allowed in " + name
		}
	case strings.Contains(lower, ":") && lower != "xml:lang" && lower != "xml:space" && !strings.HasPrefix(lower, "xmlns:"):
		return "the attribute " + name + " is not allowed"
	case lower == "style" && strings.Contains(strings.ToLower(value), "expression("),
		lower == "style" && strings.Contains(strings.ToLower(value), "javascript:"):
		return "active styles are not allowed"
	}
	if what := entities(value); what != "" && lower != "href" && lower != "src" {
		return what + " in " + element + "/@" + name
	}
	return ""
}

func printable(r rune) rune {
	if r <= ' ' {
		return -1
	}
	return r
}
