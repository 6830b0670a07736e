package machine

import (
	"strconv"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

const maxMatches = 100_000 // resources one conditional delete may take

// resolveTargets answers every op's condition on the state before the
// transaction (http.html#trules) and refuses overlapping identities.
func (a *applying) resolveTargets() error {
	ops := a.p.tx.Ops
	a.targets, a.matched = make([][]string, len(ops)), make([]bool, len(ops))
	a.resolved = map[string]string{}
	conditions := false
	for i := range ops {
		op := &ops[i]
		cond := op.Condition
		if op.Method == store.Create {
			cond = op.IfNoneExist
		}
		if cond == "" {
			a.targets[i] = a.p.ids[i : i+1 : i+1]
			continue
		}
		conditions = true
		if err := a.target(i, cond); err != nil {
			return opFault(a.p.tx, i, err)
		}
	}
	if !conditions {
		return nil // checkShape has looked for overlaps
	}
	seen := map[string]bool{}
	for i := range ops {
		if ops[i].Method == store.Create && a.matched[i] {
			continue // it reads only
		}
		for _, id := range a.targets[i] {
			key := ops[i].Type + "/" + id
			if seen[key] {
				return opFault(a.p.tx, i, overlap(key))
			}
			seen[key] = true
		}
	}
	return nil
}

func (a *applying) target(i int, cond string) error {
	op := &a.p.tx.Ops[i]
	limit := 2
	if op.Method == store.Delete && op.Many {
		limit = maxMatches
	}
	ids, err := a.ids(op.Type, cond, limit)
	if err != nil {
		return err
	}
	switch {
	case len(ids) > 1 && limit == 2:
		return refuse(fault.Precondition, "multiple-matches", "condition-ambiguous",
			"条件匹配到多个 "+op.Type+"，请给出更精确的条件", "the condition matches more than one "+op.Type)
	case len(ids) >= maxMatches:
		return refuse(fault.TooCostly, "too-costly", "condition-too-wide",
			"条件匹配的资源超过 "+strconv.Itoa(maxMatches)+" 个", "the condition matches "+strconv.Itoa(maxMatches)+" resources or more")
	case len(ids) == 0 && op.Method == store.Patch:
		return refuse(fault.NotFound, "not-found", "condition-empty", "没有符合条件的 "+op.Type, "no "+op.Type+" matches the condition")
	case len(ids) == 0 && op.Method == store.Delete:
		return nil
	case len(ids) == 0:
		a.targets[i] = a.p.ids[i : i+1 : i+1]
		return nil
	case op.ID != "" && op.Method == store.Update && ids[0] != op.ID:
		return refuse(fault.Invalid, "invalid", "condition-id", "条件匹配到的资源与请求体中的 id 不一致",
			"the resource that matches has another id than the body")
	}
	a.targets[i], a.matched[i] = ids, true
	return nil
}

// reference resolves a conditional reference, each distinct one once.
func (a *applying) reference(typ, query string, at fhir.Node) (string, error) {
	url := typ + "?" + query
	if to, ok := a.resolved[url]; ok {
		return to, nil
	}
	ids, err := a.ids(typ, query, 2)
	if err != nil {
		return "", err
	}
	if len(ids) != 1 {
		zh, en, code := "没有匹配的资源", "no resource matches", "not-found"
		if len(ids) > 1 {
			zh, en, code = "匹配到多个资源", "more than one resource matches", "multiple-matches"
		}
		line, col := at.Tree().Position(at.Offset())
		return "", fault.New(fault.Precondition, "conditional reference to %s: %s", typ, en).With(fault.Issue{Severity: "error",
			Code: code, Key: "conditional-reference", Text: "条件引用 " + typ + "?… " + zh, TextEN: "conditional reference " + typ + "?…: " + en,
			Line: line, Col: col})
	}
	a.resolved[url] = typ + "/" + ids[0]
	return a.resolved[url], nil
}
