package search

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// invalid is a mistake in the query, in both languages.
func invalid(key, zh, en, hint string) *fault.Error {
	return fault.New(fault.Invalid, "%s", en).With(fault.Issue{
		Severity: "error", Code: "invalid", Key: key, Text: zh, TextEN: en, Hint: hint})
}

// costly is a query over a limit, with what to do about it.
func costly(zh, en, hint string) *fault.Error {
	return fault.New(fault.TooCostly, "%s", en).With(fault.Issue{
		Severity: "error", Code: "too-costly", Key: "query-too-costly", Text: zh, TextEN: en, Hint: hint})
}

func unknownParam(t *param.Table, code string, extra []string) *fault.Error {
	names := slices.Clone(extra)
	for _, p := range t.Params {
		names = append(names, p.Code)
	}
	return invalid("unknown-search-parameter",
		t.Name+" 没有检索参数 “"+code+"”", t.Name+" has no search parameter "+quote(code), suggestion(code, names))
}

func badValue(p *param.Param, value, zh, en string) *fault.Error {
	return invalid("bad-search-value", "检索参数 "+p.Code+" 的值 “"+value+"” 不正确："+zh,
		"search parameter "+p.Code+": value "+quote(value)+": "+en, "")
}

func badModifier(p *param.Param, modifier string) *fault.Error {
	allowed := modifiers(p.Kind)
	return invalid("bad-search-modifier", "检索参数 "+p.Code+"（"+p.Kind.String()+"）不支持修饰符 :"+modifier,
		"search parameter "+p.Code+" ("+p.Kind.String()+") has no modifier :"+modifier,
		"可用 (allowed): :"+strings.Join(allowed, " :"))
}

func quote(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return `"` + s + `"`
}

// suggestion is a hint with the names nearest to a misspelt one, "" if none is near.
func suggestion(name string, names []string) string {
	type near struct {
		name string
		d    int
	}
	var found []near
	for _, n := range names {
		d := distance(strings.ToLower(name), strings.ToLower(n))
		if strings.HasPrefix(n, name) || strings.HasPrefix(name, n) || d <= 1+len(name)/4 {
			found = append(found, near{n, d})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		if a.d != b.d {
			return a.d - b.d
		}
		return strings.Compare(a.name, b.name)
	})
	var best []string
	for _, f := range found[:min(3, len(found))] {
		best = append(best, quote(f.name))
	}
	if len(best) == 0 {
		return ""
	}
	return "您是否想写 (did you mean) " + strings.Join(best, " / ") + "?"
}

// distance is the number of edits from a to b, neighbours swapped counting one.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var rows [3][65]int
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, prev, cur := &rows[(i+2)%3], &rows[i%3], &rows[(i+1)%3]
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
