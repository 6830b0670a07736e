package measures

import (
	"fmt"
	"strings"
)

// aggregates are the functions that indicators are made of. ClickHouse keeps
// each as a state (-State) that days and halls are merged from (-Merge).
var aggregates = map[string]bool{"count": true, "countIf": true, "sum": true, "sumIf": true, "uniqExact": true, "uniqExactIf": true, "groupUniqArrayArray": true, "max": true, "min": true}

// calls finds the aggregate calls of an expression: fn is given the function
// and its arguments, and returns what to put in its place.
func calls(expr string, fn func(function, args string) string) string {
	var out strings.Builder
	for i := 0; i < len(expr); {
		switch c := expr[i]; {
		case c == '\'':
			end := i + 1
			for end < len(expr) && expr[end] != '\'' {
				end++
			}
			end = min(end+1, len(expr))
			out.WriteString(expr[i:end])
			i = end
		case letter(c):
			end := i
			for end < len(expr) && (letter(expr[end]) || expr[end] >= '0' && expr[end] <= '9') {
				end++
			}
			name := expr[i:end]
			if !aggregates[name] || end == len(expr) || expr[end] != '(' {
				out.WriteString(name)
				i = end
				continue
			}
			last := closing(expr, end)
			out.WriteString(fn(name, expr[end+1:last]))
			i = min(last+1, len(expr))
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String()
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// closing returns the index of the parenthesis that closes the one at open.
func closing(expr string, open int) int {
	depth, quoted := 0, false
	for i := open; i < len(expr); i++ {
		switch c := expr[i]; {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(expr)
}

// cube is what a day of a hall is kept as: one state per distinct aggregate of
// the indicators of a fact.
type cube struct {
	states []string          // "countIfState(rx > 0) AS s3"
	merged map[string]string // "countIf(rx > 0)" → "countIfMerge(s3)"
}

// cubeOf gathers the aggregates of the indicators that can be merged from days;
// an indicator that compares with the whole scope (a subquery) cannot.
func cubeOf(list []*Measure, fact string) *cube {
	c := &cube{merged: map[string]string{}}
	for _, m := range list {
		if m.Fact != fact || !m.mergeable() {
			continue
		}
		for _, expr := range []string{m.Numerator, m.Denominator} {
			calls(expr, func(function, args string) string {
				call := function + "(" + args + ")"
				if c.merged[call] == "" {
					name := fmt.Sprintf("s%d", len(c.states))
					c.states = append(c.states, function+"State("+args+") AS "+name)
					c.merged[call] = function + "Merge(" + name + ")"
				}
				return call
			})
		}
	}
	return c
}

// mergeable reports whether days add up to the whole.
func (m *Measure) mergeable() bool {
	return !strings.Contains(m.Numerator+m.Denominator, "SELECT")
}

// has reports whether the cube can compute an indicator.
func (c *cube) has(m *Measure) bool {
	ok := m.mergeable()
	for _, expr := range []string{m.Numerator, m.Denominator} {
		calls(expr, func(function, args string) string {
			ok = ok && c.merged[function+"("+args+")"] != ""
			return ""
		})
	}
	return ok
}

// merge rewrites an expression over the fact into one over the cube.
func (c *cube) merge(expr string) string {
	return calls(expr, func(function, args string) string { return c.merged[function+"("+args+")"] })
}
