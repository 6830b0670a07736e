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

// didYouMean returns a hint naming the candidate closest to got, or "".
func didYouMean(got string, candidates []string) string {
	best, limit := "", 1+len(got)/4
	if len(got) > 64 {
		return ""
	}
	for _, c := range candidates {
		if strings.EqualFold(c, got) {
			best = c
			break
		}
		if d := distance(got, c, limit); d <= limit {
			best, limit = c, d-1
		}
	}
	if best == "" {
		return ""
	}
	return `did you mean "` + best + `"?`
}

// distance is the optimal string alignment distance (a swap of neighbours costs
// one); over limit it may return any larger number.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	var rows [3][80]int
	if len(b) >= len(rows[0]) {
		return limit + 1
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur, prev, prev2 := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}

// quote shortens a value for a message.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}
