package query

import (
	"strings"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Filter is an expression of _filter
// (https://hl7.org/fhir/R4/search_filter.html): a comparison, or and, or, not
// of others.
type Filter struct {
	Op   string    // and | or | not, or the comparison: eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re
	Kids []*Filter // of and, or, not
	Path []Link    // of a comparison: the parameter, behind the references that lead to it
	Text string    // the value, without quotes
}

// Link is one name of a path: a parameter, with its target type and a filter on
// what it leads to, if there are.
type Link struct {
	Code, Type string
	Where      *Filter
}

// ParseFilter parses an expression; "and" binds closer than "or".
func ParseFilter(s string) (*Filter, error) {
	p := &filterParser{s: s}
	f := p.or(0)
	if p.space(); p.err == nil && p.i < len(s) {
		p.fail("unexpected text")
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

type filterParser struct {
	s   string
	i   int
	err error
}

func (p *filterParser) fail(what string) *Filter {
	if p.err == nil {
		p.err = fault.New(fault.Invalid, "_filter: %s at %d: %.40q", what, p.i+1, p.s[min(p.i, len(p.s)):]).With(fault.Issue{
			Severity: "error", Code: "invalid", Key: "bad-filter", Text: "_filter 表达式有误（第 " + digits(p.i+1) + " 个字符）",
			TextEN: "_filter: " + what, Hint: `例 (example): name co "李" and birthdate ge 1990-01-01`})
	}
	return &Filter{}
}

func digits(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return digits(n/10) + string(rune('0'+n%10))
}

func (p *filterParser) space() {
	for p.i < len(p.s) && p.s[p.i] == ' ' {
		p.i++
	}
}

// word reads the next word if it is w.
func (p *filterParser) word(w string) bool {
	p.space()
	rest := p.s[p.i:]
	if !strings.HasPrefix(rest, w) || len(rest) > len(w) && rest[len(w)] != ' ' && rest[len(w)] != '(' {
		return false
	}
	p.i += len(w)
	return true
}

func (p *filterParser) is(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *filterParser) or(depth int) *Filter { return p.joined("or", depth, p.and) }

func (p *filterParser) and(depth int) *Filter { return p.joined("and", depth, p.unary) }

func (p *filterParser) joined(op string, depth int, next func(int) *Filter) *Filter {
	f := next(depth)
	if p.err != nil || !p.word(op) {
		return f
	}
	f = &Filter{Op: op, Kids: []*Filter{f, next(depth)}}
	for p.err == nil && p.word(op) {
		f.Kids = append(f.Kids, next(depth))
	}
	return f
}

func (p *filterParser) unary(depth int) *Filter {
	if depth > maxDepth {
		return p.fail("nested too deeply")
	}
	negative := p.word("not")
	p.space()
	if p.is('(') {
		f := p.or(depth + 1)
		if p.space(); !p.is(')') {
			return p.fail("missing )")
		}
		if negative {
			return &Filter{Op: "not", Kids: []*Filter{f}}
		}
		return f
	}
	if negative {
		return p.fail("expected ( behind not")
	}
	return p.comparison(depth)
}

const comparisons = " eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re "

func (p *filterParser) comparison(depth int) *Filter {
	f := &Filter{}
	for {
		link := Link{Code: p.name()}
		if p.is(':') {
			link.Type = p.name()
		}
		if p.is('[') {
			link.Where = p.or(depth + 1)
			if p.space(); !p.is(']') {
				return p.fail("missing ]")
			}
		}
		if f.Path = append(f.Path, link); link.Code == "" || p.err != nil {
			return p.fail("expected a parameter")
		}
		if !p.is('.') {
			break
		}
	}
	p.space()
	if f.Op = p.name(); len(f.Op) != 2 || !strings.Contains(comparisons, " "+f.Op+" ") {
		return p.fail("expected one of" + strings.TrimRight(comparisons, " "))
	}
	p.space()
	f.Text = p.value()
	return f
}

func (p *filterParser) name() string {
	begin := p.i
	for p.i < len(p.s) {
		c := p.s[p.i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if (c < '0' || c > '9') && c != '-' && c != '_' {
				break
			}
		}
		p.i++
	}
	return p.s[begin:p.i]
}

// value reads "quoted text", or what stands up to a space or a closing
// parenthesis or bracket.
func (p *filterParser) value() string {
	var b strings.Builder
	if p.is('"') {
		for p.i < len(p.s) {
			c := p.s[p.i]
			p.i++
			if c == '"' {
				return b.String()
			}
			if c == '\\' && p.i < len(p.s) {
				c = p.s[p.i]
				p.i++
			}
			b.WriteByte(c)
		}
		p.fail("missing quote")
		return ""
	}
	begin := p.i
	for p.i < len(p.s) && p.s[p.i] != ' ' && p.s[p.i] != ')' && p.s[p.i] != ']' {
		p.i++
	}
	if begin == p.i {
		p.fail("expected a value")
	}
	return p.s[begin:p.i]
}
