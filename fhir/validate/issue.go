package validate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// step is one element on the way to the place being looked at.
type step struct {
	name  string
	index int32 // in a repeating element; -1 = does not repeat
}

// finding is an issue before its place is worked out.
type finding struct {
	severity string // error if empty
	code     string // IssueType
	key      string // stable
	zh, en   string
	hint     string
}

// report adds an issue at the current path; n gives the place in the text.
func (w *walk) report(n fhir.Node, f finding) {
	w.reportAt(n, "", f)
}

// reportAt adds an issue on the child element name of the current path.
func (w *walk) reportAt(n fhir.Node, name string, f finding) {
	if w.silent {
		w.failed = w.failed || f.severity == "" || f.severity == "error"
		return
	}
	if len(w.issues) >= w.max {
		w.dropped++
		return
	}
	is := fault.Issue{Severity: f.severity, Code: f.code, Key: f.key, Text: f.zh, TextEN: f.en, Hint: f.hint, Expression: w.expression(name)}
	if is.Severity == "" {
		is.Severity = "error"
	}
	if t := n.Tree(); t != nil {
		is.Line, is.Col = t.Position(n.KeyOffset())
	}
	if !slices.Contains(w.issues, is) {
		w.issues = append(w.issues, is)
	}
}

// expression writes the current path as FHIRPath, e.g. Patient.name[0].given.
func (w *walk) expression(name string) string {
	var b strings.Builder
	for i, s := range w.path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(int(s.index)))
			b.WriteByte(']')
		}
	}
	if name != "" {
		b.WriteByte('.')
		b.WriteString(name)
	}
	return b.String()
}

func (w *walk) push(name string, index int) {
	w.path = append(w.path, step{name, int32(index)})
}

func (w *walk) pop() { w.path = w.path[:len(w.path)-1] }

// quote shortens a value for a message.
func quote(s string) string { return strconv.Quote(clip(s)) }

// clip shortens a text for a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
