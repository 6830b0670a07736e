package terminology

import (
	"slices"
	"strconv"
	"sync"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Limits of $closure: the tables live in memory and are gone at a restart,
// after which clients start them anew (the specification foresees that).
const (
	maxClosures        = 100
	maxClosureConcepts = 5000
)

// closures are the clients' named transitive closure tables
// (http://hl7.org/fhir/R4/terminology-service.html#closure).
type closures struct {
	mu     sync.Mutex
	tables map[string]*closureTable
}

// closureTable is the concepts a client sent and the relations found, each with
// the table version that added it.
type closureTable struct {
	version  int
	concepts []coding
	rows     []closureRow
}

type closureRow struct {
	version    int
	sub, super coding
}

// opClosure is $closure: name alone starts a table, concepts extend it and the
// new relations come back, version asks for everything since.
func (s *Service) opClosure(_, _ string, p Params) ([]byte, error) {
	name := p.str("name")
	if name == "" {
		return nil, required("name")
	}
	var add []coding
	for _, x := range p.list {
		if x.name == "concept" && x.value.Exists() {
			add = append(add, codingOf(x.value))
		}
	}
	since, err := p.number("version", -1)
	if err != nil {
		return nil, err
	}
	st := s.state.Load()
	s.closures.mu.Lock()
	defer s.closures.mu.Unlock()
	t := s.closures.tables[name]
	switch {
	case since >= 0 && t == nil, len(add) > 0 && t == nil:
		return nil, fault.New(fault.NotFound, "closure table %q must be started first", name).With(fault.Issue{Severity: "error",
			Code: "not-found", Key: "closure-unknown", Text: "闭包表不存在，请先只用 name 参数初始化：" + name,
			TextEN: "unknown closure table: start it with the name alone"})
	case since >= 0:
		return t.render(name, since, s), nil
	case len(add) == 0:
		if t == nil && len(s.closures.tables) >= maxClosures {
			return nil, fault.New(fault.TooCostly, "more than %d closure tables", maxClosures)
		}
		s.closures.tables[name] = &closureTable{}
		return s.closures.tables[name].render(name, 0, s), nil
	}
	if len(t.concepts)+len(add) > maxClosureConcepts {
		return nil, fault.New(fault.TooCostly, "more than %d concepts in a closure table", maxClosureConcepts)
	}
	before := t.version
	if err := t.extend(st, add); err != nil {
		return nil, err
	}
	return t.render(name, before, s), nil
}

// extend adds concepts and the relations to those there already; nothing is
// added if one is unknown.
func (t *closureTable) extend(st *state, add []coding) error {
	next := closureTable{version: t.version + 1, concepts: slices.Clone(t.concepts), rows: slices.Clone(t.rows)}
	for _, c := range add {
		c = coding{system: string([]byte(c.system)), code: string([]byte(c.code))}
		if slices.Contains(next.concepts, c) {
			continue
		}
		if st.systemVerdict(c.system, c.code) != Yes {
			return codeUnknown(c)
		}
		for _, other := range next.concepts {
			if other.system != c.system {
				continue
			}
			switch outcome, _ := st.subsumes(c.system, "", c.code, other.code); outcome {
			case "subsumes":
				next.rows = append(next.rows, closureRow{next.version, other, c})
			case "subsumed-by":
				next.rows = append(next.rows, closureRow{next.version, c, other})
			}
		}
		next.concepts = append(next.concepts, c)
	}
	*t = next
	return nil
}

// render writes the relations added after version since as a ConceptMap.
func (t *closureTable) render(name string, since int, s *Service) []byte {
	b := append([]byte(nil), `{"resourceType":"ConceptMap"`...)
	b = member(b, "version", strconv.Itoa(t.version))
	b = member(b, "name", name)
	b = append(b, `,"status":"active","experimental":true`...)
	b = member(b, "date", s.clock.Now().Format("2006-01-02T15:04:05Z07:00"))
	groups := map[string][]closureRow{}
	var order []string
	for _, r := range t.rows {
		if r.version > since {
			if groups[r.sub.system] == nil {
				order = append(order, r.sub.system)
			}
			groups[r.sub.system] = append(groups[r.sub.system], r)
		}
	}
	for i, system := range order {
		if i == 0 {
			b = append(b, `,"group":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendClosureGroup(b, system, groups[system])
	}
	if len(order) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendClosureGroup(b []byte, system string, rows []closureRow) []byte {
	slices.SortStableFunc(rows, func(x, y closureRow) int { return compareVersions(x.sub.code, y.sub.code) })
	b = fhir.AppendString(append(b, `{"source":`...), system)
	b = append(member(b, "target", system), `,"element":[`...)
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = fhir.AppendString(append(b, `{"code":`...), r.sub.code)
		b = append(fhir.AppendString(append(b, `,"target":[{"code":`...), r.super.code), `,"equivalence":"subsumes"}]}`...)
	}
	return append(b, `]}`...)
}
