// Package query is the syntax of FHIR search: a query string taken apart into
// names, modifiers, chains and values, with nothing yet known of what they mean
// (https://hl7.org/fhir/R4/search.html).
package query

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of one query, against input made to hurt.
const (
	MaxParams = 200
	MaxValues = 20_000 // alternatives of one parameter
	maxDepth  = 32     // of chains
)

// Param is one name=value of a query, in the order written.
type Param struct {
	Key   string // the name as written
	Value string // decoded from the URL; FHIR's own escapes are still in
}

// Parse splits a query string as it stands in a URL or a form body. A value
// that is not properly encoded is a fault.Invalid; an empty value is kept.
func Parse(raw string) ([]Param, error) {
	raw = strings.TrimPrefix(raw, "?")
	var out []Param
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(k)
		if err == nil {
			v, err = url.QueryUnescape(v)
		}
		if err != nil {
			return nil, bad("query-encoding", "%.40q is not percent-encoded", "“%.40s” 的百分号编码不正确", pair)
		}
		if out = append(out, Param{name, v}); len(out) > MaxParams {
			return nil, fault.New(fault.TooCostly, "query: more than %d parameters", MaxParams)
		}
	}
	return out, nil
}

// Name is a parameter's name: a chain ends in a leaf.
type Name struct {
	Code     string // parameter code: subject; for a reverse chain the reference that leads back
	Modifier string // of a leaf: exact, missing …; of a link: the target type, may be ""
	Has      string // reverse chain: the type that refers to us
	Next     *Name  // what the other end must fulfil; nil for a leaf
}

// bad refuses a part of the query in both languages; the formats take it once.
func bad(key, english, chinese, part string) error {
	return fault.New(fault.Invalid, "query: "+english, part).With(fault.Issue{Severity: "error", Code: "invalid", Key: key,
		Text: fmt.Sprintf(chinese, part), TextEN: fmt.Sprintf(english, part)})
}

// ParseName takes a name apart: code:modifier, code:Type.next, or
// _has:Type:code:next. Next may be any of these again.
func ParseName(s string) (*Name, error) { return parseName(s, 0) }

func parseName(s string, depth int) (*Name, error) {
	if depth > maxDepth {
		return nil, fault.New(fault.TooCostly, "query: chain of more than %d links", maxDepth)
	}
	if rest, ok := strings.CutPrefix(s, "_has:"); ok {
		parts := strings.SplitN(rest, ":", 3)
		if len(parts) < 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
			return nil, bad("bad-has", "%.60q is not of the form _has:Type:reference:parameter", "检索参数 “%.60s” 不完整：形式为 _has:类型:引用参数:参数", s)
		}
		next, err := parseName(parts[2], depth+1)
		return &Name{Has: parts[0], Code: parts[1], Next: next}, err
	}
	link, rest, chained := strings.Cut(s, ".")
	code, modifier, _ := strings.Cut(link, ":")
	if code == "" || chained && rest == "" {
		return nil, bad("bad-parameter-name", "%.60q is not the name of a search parameter", "“%.60s” 不是检索参数的名字", s)
	}
	n := &Name{Code: code, Modifier: modifier}
	if !chained {
		return n, nil
	}
	var err error
	n.Next, err = parseName(rest, depth+1)
	return n, err
}

// Leaf returns the last link.
func (n *Name) Leaf() *Name {
	for n.Next != nil {
		n = n.Next
	}
	return n
}

// String writes the name as [ParseName] reads it.
func (n *Name) String() string {
	var b strings.Builder
	for ; n != nil; n = n.Next {
		switch {
		case n.Has != "":
			b.WriteString("_has:" + n.Has + ":" + n.Code + ":")
			continue
		case n.Modifier != "":
			b.WriteString(n.Code + ":" + n.Modifier)
		default:
			b.WriteString(n.Code)
		}
		if n.Next != nil {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// Split cuts s at every sep that no backslash stands before. The escapes stay.
func Split(s string, sep byte) []string {
	var out []string
	begin := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			out = append(out, s[begin:i])
			begin = i + 1
		}
	}
	return append(out, s[begin:])
}

// Unescape takes the backslashes from \, \| \$ and \\; any other stays.
func Unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,|$\`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Escape is the reverse of [Unescape].
func Escape(s string) string { return escapes.Replace(s) }

var escapes = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

// Prefix takes a comparator from the beginning of a number, date or quantity;
// "eq" if there is none.
func Prefix(s string) (prefix, rest string) {
	if len(s) > 2 {
		switch s[:2] {
		case "eq", "ne", "lt", "gt", "le", "ge", "sa", "eb", "ap":
			return s[:2], s[2:]
		}
	}
	return "eq", s
}
