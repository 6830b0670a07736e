package structure

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/adapters/hl7v2"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// maxFindings bounds what is told of one message.
const maxFindings = 100

// forms are the lexical forms of simple data types (v2.5.1 chapter 2A).
var forms = map[string]*regexp.Regexp{
	"NM":  regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)$`),
	"SI":  regexp.MustCompile(`^\d+$`),
	"DT":  regexp.MustCompile(`^\d{4}(\d{2}(\d{2})?)?$`),
	"TM":  regexp.MustCompile(`^\d{2}(\d{2}(\d{2}(\.\d{1,4})?)?)?([+-]\d{4})?$`),
	"DTM": regexp.MustCompile(`^\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?$`),
}

// checking is one check of a message.
type checking struct {
	d    *Dictionary
	m    *hl7v2.Message
	list []fault.Issue
}

// Check returns what in a message is not as the standard says, in the order of
// the message: missing segments and fields, fields that repeat and must not,
// values that are not of their type. Expression is the place, PID[3]-7.
func (d *Dictionary) Check(m *hl7v2.Message) []fault.Issue {
	c := &checking{d: d, m: m}
	c.message()
	for _, s := range m.Segments {
		c.segment(s)
	}
	return c.list
}

func (c *checking) add(severity, code, key, place, format string, args ...any) {
	if len(c.list) < maxFindings {
		c.list = append(c.list, fault.Issue{Severity: severity, Code: code, Key: key, Text: fmt.Sprintf(format, args...), Expression: place})
	}
}

// message looks for the segments the structure demands, and for those it does
// not know.
func (c *checking) message() {
	code, event, structure := c.m.Type()
	parts := c.d.Message(structure)
	if parts == nil {
		parts = c.d.Message(code + "_" + event)
	}
	if parts == nil {
		return
	}
	known := map[string]bool{}
	optional := map[string]bool{}
	for _, p := range parts {
		up, name := split(p.Path)
		if p.Min < 1 || optional[up] {
			optional[p.Path] = true
		}
		if len(name) != 3 {
			continue // a group
		}
		known[name] = true
		if _, there := c.m.Segment(name, 0); !there && p.Min > 0 && !optional[up] {
			c.add("error", "required", "missing-segment", name, "缺少段 %s", name)
		}
	}
	for _, s := range c.m.Segments {
		if !known[s.Name] && s.Name[0] != 'Z' {
			c.add("information", "not-found", "unexpected-segment", place(s), "%s 的结构中没有段 %s", structure, s.Name)
		}
	}
}

func split(path string) (up, name string) {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

func place(s hl7v2.Segment) string { return s.Name + "[" + strconv.Itoa(s.Line) + "]" }

func (c *checking) segment(s hl7v2.Segment) {
	fields := c.d.Segments[s.Name]
	numbers := make([]int, 0, len(fields))
	for n := range fields {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		f, v := fields[n], s.Field(n)
		at := place(s) + "-" + strconv.Itoa(n)
		if v.Empty() {
			if f.Min > 0 {
				c.add("error", "required", "missing-field", at, "缺少必填字段 %s（%s）", s.Name+"-"+strconv.Itoa(n), f.Name)
			}
			continue
		}
		reps := v.Repetitions()
		if f.Max == 1 && len(reps) > 1 {
			c.add("warning", "structure", "repeated-field", at, "%s（%s）不能重复", s.Name+"-"+strconv.Itoa(n), f.Name)
		}
		form := forms[f.Type]
		for _, r := range reps {
			if text := r.Text(); form != nil && text != "" && !form.MatchString(text) {
				c.add("error", "value", "bad-field", at, "%s（%s）的值不是 %s", s.Name+"-"+strconv.Itoa(n), f.Name, f.Type)
			}
		}
	}
}
