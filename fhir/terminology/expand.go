package terminology

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// MaxExpansion is how many codes one $expand answers at most; more needs paging
// (count) or a filter.
const MaxExpansion = 50000

// ExpandOptions say what an expansion shows. The zero value shows everything.
type ExpandOptions struct {
	Filter          string // words; each matches code, display, designation, pinyin or pinyin initials
	Offset          int    // codes to skip
	Count           int    // codes to show; 0 = all, unless CountOnly
	CountOnly       bool   // show only the total
	DisplayLanguage string // BCP 47 tags, best first, as in Accept-Language
	Designations    bool   // include designations
	ActiveOnly      bool   // leave inactive codes out
	Nested          bool   // nest codes as their code system does (no filter, no paging)
}

// Concept is a code with the words for it.
type Concept struct {
	System, Version, Code, Display string
	Inactive, Abstract             bool
}

// Expand returns the expansion of a value set as a ValueSet resource. Errors:
// fault.NotFound (unknown value set, or it needs a code system that is not
// loaded), fault.TooCostly (infinite, or over MaxExpansion).
func (s *Service) Expand(ctx context.Context, valueSet string, o ExpandOptions) ([]byte, error) {
	st := s.state.Load()
	x, err := st.expansion(valueSet, 0)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return nil, notFound("value set", valueSet)
	}
	return s.render(ctx, st, x, o)
}

// Find returns the codes of a value set that match a filter, in order, and how
// many there are in all. limit 0 means all. Errors as of Expand.
func (s *Service) Find(ctx context.Context, valueSet string, o ExpandOptions) (list []Concept, total int, err error) {
	st := s.state.Load()
	x, err := st.expansion(valueSet, 0)
	if err != nil {
		return nil, 0, err
	}
	if x == nil {
		return nil, 0, notFound("value set", valueSet)
	}
	items, total, err := st.pick(ctx, x, o)
	if err != nil {
		return nil, 0, err
	}
	langs := languages(o.DisplayLanguage)
	for _, it := range items {
		p := &x.parts[it.part]
		list = append(list, Concept{System: p.system, Version: p.version, Code: x.code(it),
			Display: display(st.sources(p, it.concept), langs), Inactive: x.flag(it, flagInactive), Abstract: x.flag(it, flagAbstract)})
	}
	return list, total, nil
}

// pick applies filter and paging.
func (st *state) pick(ctx context.Context, x *expansion, o ExpandOptions) (page []item, total int, err error) {
	if err := x.finite(); err != nil {
		return nil, 0, err
	}
	items := x.items
	if o.Filter != "" || o.ActiveOnly {
		if items, err = st.filtered(ctx, x, o); err != nil {
			return nil, 0, err
		}
	}
	total = len(items)
	page = items[min(o.Offset, total):]
	if o.CountOnly {
		page = nil
	} else if o.Count > 0 {
		page = page[:min(o.Count, len(page))]
	}
	if len(page) > MaxExpansion {
		return nil, 0, fault.New(fault.TooCostly, "expansion has %d codes", total).With(fault.Issue{Severity: "error", Code: "too-costly",
			Key: "expansion-too-large", Text: "值集展开后有 " + strconv.Itoa(total) + " 个编码，请用 filter 或 count/offset 分页",
			TextEN: "the expansion has " + strconv.Itoa(total) + " codes: use filter, or count and offset"})
	}
	return page, total, nil
}

// finite refuses a value set with clauses that cannot be listed.
func (x *expansion) finite() error {
	for _, t := range x.open {
		switch {
		case t.grammar != nil && t.clause.listed == nil:
			return fault.New(fault.TooCostly, "codes of %s cannot be listed", t.clause.system).With(fault.Issue{Severity: "error",
				Code: "too-costly", Key: "expansion-infinite", Text: "编码系统 " + t.clause.system + " 由语法定义，无法列出全部编码",
				TextEN: "the code system " + t.clause.system + " is defined by a grammar: its codes cannot be listed"})
		case t.clause.system != "" && t.cs == nil && t.clause.listed == nil:
			return notFound("code system", t.clause.system)
		case t.missing:
			return notFound("value set", t.clause.valueSets[0])
		}
		for _, r := range t.refs {
			if err := r.finite(); err != nil {
				return err
			}
		}
	}
	return nil
}

// filtered returns the matching items, best matches first, each rank in the
// order of the value set.
func (st *state) filtered(ctx context.Context, x *expansion, o ExpandOptions) ([]item, error) {
	words := newTextFilter(o.Filter)
	var ranks [noMatch][]item
	for i, it := range x.items {
		if i&1023 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if o.ActiveOnly && x.flag(it, flagInactive) {
			continue
		}
		if r := st.rank(&x.parts[it.part], it.concept, words); r < noMatch {
			ranks[r] = append(ranks[r], it)
		}
	}
	return slices.Concat(ranks[:]...), nil
}

// rank looks at an item in all its sources; mostly there is one.
func (st *state) rank(p *part, c int32, words textFilter) int {
	best := words.rank(p.cs, c)
	if p.base == nil && !st.supplemented(p.system) {
		return best
	}
	for _, r := range st.sources(p, c)[1:] {
		best = min(best, words.rank(r.cs, r.c))
	}
	return best
}

// render writes the ValueSet.
func (s *Service) render(ctx context.Context, st *state, x *expansion, o ExpandOptions) ([]byte, error) {
	items, total, err := st.pick(ctx, x, o)
	if err != nil {
		return nil, err
	}
	w := &expansionWriter{st: st, x: x, o: o, langs: languages(o.DisplayLanguage)}
	b := make([]byte, 0, 512+len(items)*112)
	b = append(b, `{"resourceType":"ValueSet"`...)
	b = member(b, "url", x.vs.url)
	b = member(b, "version", x.vs.version)
	b = member(b, "name", x.vs.name)
	b = member(b, "title", x.vs.title)
	status := x.vs.status
	if status == "" {
		status = "active"
	}
	b = member(b, "status", status)
	b = append(b, `,"expansion":{"timestamp":`...)
	b = fhir.AppendString(b, s.clock.Now().Format(time.RFC3339))
	b = strconv.AppendInt(append(b, `,"total":`...), int64(total), 10)
	if o.Offset > 0 || o.Count > 0 {
		b = strconv.AppendInt(append(b, `,"offset":`...), int64(o.Offset), 10)
	}
	b = w.parameters(b)
	if len(items) > 0 {
		b = append(b, `,"contains":[`...)
		if o.Nested && o.Filter == "" && o.Count == 0 && o.Offset == 0 {
			b = w.nested(b, items)
		} else {
			for i, it := range items {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(w.concept(b, it), '}')
			}
		}
		b = append(b, ']')
	}
	return append(b, "}}"...), nil
}

type expansionWriter struct {
	st    *state
	x     *expansion
	o     ExpandOptions
	langs []string
}

// parameters notes what shaped the expansion.
func (w *expansionWriter) parameters(b []byte) []byte {
	at := len(b)
	add := func(name, typ, value string) {
		b = append(b, `,{"name":`...)
		b = fhir.AppendString(b, name)
		b = append(append(append(b, ',', '"'), typ...), `":`...)
		if typ == "valueUri" || typ == "valueString" || typ == "valueCode" {
			b = fhir.AppendString(b, value)
		} else {
			b = append(b, value...)
		}
		b = append(b, '}')
	}
	if w.o.Filter != "" {
		add("filter", "valueString", w.o.Filter)
	}
	if w.o.DisplayLanguage != "" {
		add("displayLanguage", "valueCode", w.o.DisplayLanguage)
	}
	if w.o.Count > 0 || w.o.CountOnly {
		add("count", "valueInteger", strconv.Itoa(w.o.Count))
	}
	if w.o.ActiveOnly {
		add("activeOnly", "valueBoolean", "true")
	}
	seen := map[string]bool{}
	for _, p := range w.x.parts {
		if p.version != "" && !seen[p.system] {
			seen[p.system] = true
			add("version", "valueUri", p.system+"|"+p.version)
		}
	}
	if len(b) == at {
		return b
	}
	tail := append([]byte(nil), b[at+1:]...)
	return append(append(append(b[:at], `,"parameter":[`...), tail...), ']')
}

// concept appends one code without the closing brace.
func (w *expansionWriter) concept(b []byte, it item) []byte {
	p := &w.x.parts[it.part]
	at := len(b)
	b = append(b, '{')
	b = member(b, "system", p.system)
	if w.x.flag(it, flagAbstract) {
		b = append(b, `,"abstract":true`...)
	}
	if w.x.flag(it, flagInactive) {
		b = append(b, `,"inactive":true`...)
	}
	b = member(b, "code", p.cs.code(it.concept))
	if text := p.cs.display(it.concept); len(w.langs) == 0 && text != "" {
		b = member(b, "display", text)
	} else {
		b = member(b, "display", display(w.st.sources(p, it.concept), w.langs))
	}
	if w.o.Designations {
		b = w.designations(b, w.st.sources(p, it.concept))
	}
	if b[at+1] == ',' {
		b = append(b[:at+1], b[at+2:]...)
	}
	return b
}

func (w *expansionWriter) designations(b []byte, list []ref) []byte {
	first := true
	for _, r := range list {
		for _, d := range r.cs.designationsOf(r.c) {
			if first {
				b = append(b, `,"designation":[`...)
			} else {
				b = append(b, ',')
			}
			first = false
			b = appendDesignation(b, r.cs, d)
		}
	}
	if !first {
		b = append(b, ']')
	}
	return b
}

// nested writes codes below the nearest code above them that is shown.
func (w *expansionWriter) nested(b []byte, items []item) []byte {
	index := make(map[item]int, len(items))
	for i, it := range items {
		index[it] = i
	}
	kids := make([][]int, len(items))
	var roots []int
	for i, it := range items {
		parents := w.x.parts[it.part].cs.parents.of(it.concept)
		if len(parents) > 0 {
			if up, ok := index[item{it.part, parents[0]}]; ok && up < i {
				kids[up] = append(kids[up], i)
				continue
			}
		}
		roots = append(roots, i)
	}
	var level func(b []byte, list []int) []byte
	level = func(b []byte, list []int) []byte {
		for k, i := range list {
			if k > 0 {
				b = append(b, ',')
			}
			b = w.concept(b, items[i])
			if len(kids[i]) > 0 {
				b = append(level(append(b, `,"contains":[`...), kids[i]), ']')
			}
			b = append(b, '}')
		}
		return b
	}
	return level(b, roots)
}
