package terminology

import (
	"context"
	"slices"
)

// TranslateRequest asks for the equivalents of a code. Map is a ConceptMap
// canonical; without one every map whose systems (and value sets, if Source or
// Target are given) fit is asked.
type TranslateRequest struct {
	Map            string
	System, Code   string
	Source, Target string // value set canonicals
	TargetSystem   string
	Reverse        bool // from the map's target to its source
}

// Match is one translation.
type Match struct {
	Equivalence           string // as in the map; empty for one carried over unmapped
	System, Code, Display string
	Comment, Map          string // the map it comes from
	product               []mapProduct
}

// Translate returns the equivalents of a code, in the order of the maps, those
// said to be unmatched or disjoint too. Errors: fault.NotFound for an unknown
// map.
func (s *Service) Translate(_ context.Context, r TranslateRequest) ([]Match, error) {
	st := s.state.Load()
	if r.Map == "" {
		return st.translateAny(r), nil
	}
	url, version := splitCanonical(r.Map)
	e := st.lookup(kindConceptMap, url, version)
	if e == nil {
		return nil, notFound("concept map", r.Map)
	}
	if err := e.load(); err != nil {
		return nil, err
	}
	return st.translate(e.cm, r, 0), nil
}

// translateAny asks the run-time maps, then those of the base definitions.
func (st *state) translateAny(r TranslateRequest) []Match {
	var out []Match
	for _, l := range [...]*layer{st.over, st.base} {
		urls := make([]string, 0, len(l.byURL[kindConceptMap]))
		for url := range l.byURL[kindConceptMap] {
			urls = append(urls, url)
		}
		slices.Sort(urls)
		for _, url := range urls {
			for _, e := range l.byURL[kindConceptMap][url] {
				if e.load() == nil && e.cm.fits(r) {
					out = append(out, st.translate(e.cm, r, 0)...)
				}
			}
		}
	}
	return out
}

// fits reports whether the map is between the value sets asked for.
func (m *conceptMap) fits(r TranslateRequest) bool {
	source, target := r.Source, r.Target
	if r.Reverse {
		source, target = target, source
	}
	return (source == "" || source == m.source) && (target == "" || target == m.target)
}

func (st *state) translate(m *conceptMap, r TranslateRequest, depth int) []Match {
	var out []Match
	for i := range m.groups {
		g := &m.groups[i]
		from, to := g.source, g.target
		if r.Reverse {
			from, to = to, from
		}
		if r.System != "" && from != "" && r.System != from || r.TargetSystem != "" && to != "" && r.TargetSystem != to {
			continue
		}
		rows := g.find(r.Code, r.Reverse)
		for _, k := range rows {
			if match, ok := g.match(m, g.rows[k], r.Reverse); ok {
				match.System = to
				out = append(out, match)
			}
		}
		if len(rows) == 0 && !r.Reverse {
			out = append(out, st.unmappedMatch(m, g, r, depth)...)
		}
	}
	return out
}

func (g *mapGroup) match(m *conceptMap, row mapRow, reverse bool) (Match, bool) {
	code, text := row.target, row.targetDisplay
	if reverse {
		code, text = row.source, row.sourceDisplay
	}
	x := Match{Equivalence: row.equivalence, Comment: row.comment, Map: m.url, product: row.product}
	if reverse {
		x.Equivalence = inverse(row.equivalence)
	}
	if code < 0 {
		return x, row.equivalence != ""
	}
	x.Code, x.Display = g.text.at(code), g.text.at(text)
	return x, true
}

// inverse turns an equivalence round.
func inverse(e string) string {
	switch e {
	case "wider":
		return "narrower"
	case "narrower":
		return "wider"
	case "subsumes":
		return "specializes"
	case "specializes":
		return "subsumes"
	}
	return e
}

// unmappedMatch applies ConceptMap.group.unmapped.
func (st *state) unmappedMatch(m *conceptMap, g *mapGroup, r TranslateRequest, depth int) []Match {
	switch u := g.unmapped; u.mode {
	case "provided":
		return []Match{{System: g.target, Code: r.Code, Map: m.url, Equivalence: "equal"}}
	case "fixed":
		return []Match{{System: g.target, Code: u.code, Display: u.display, Map: m.url, Equivalence: "inexact"}}
	case "other-map":
		url, version := splitCanonical(u.url)
		if e := st.lookup(kindConceptMap, url, version); e != nil && e.load() == nil && depth < maxDepth {
			return st.translate(e.cm, r, depth+1)
		}
	}
	return nil
}

// opTranslate is ConceptMap/$translate.
func (s *Service) opTranslate(_, id string, p Params) ([]byte, error) {
	st := s.state.Load()
	list := p.codings()
	if len(list) == 0 {
		return nil, required("code", "coding", "codeableConcept")
	}
	reverse, err := p.boolean("reverse", false)
	if err != nil {
		return nil, err
	}
	r := TranslateRequest{Source: p.str("source"), Target: p.str("target"), TargetSystem: p.str("targetsystem", "targetSystem"), Reverse: reverse}
	find := func() []Match { return st.translateAny(r) }
	if m, err := st.mapOf(id, p); err != nil {
		return nil, err
	} else if m != nil {
		find = func() []Match { return st.translate(m, r, 0) }
	}
	var all []Match
	for _, c := range list {
		r.System, r.Code = c.system, c.code
		all = append(all, find()...)
	}
	return translation(st, all), nil
}

// mapOf finds the map an operation names: the instance, an inline resource, or
// url; nil if it names none.
func (st *state) mapOf(id string, p Params) (*conceptMap, error) {
	if n := p.node("conceptMap"); n.Exists() {
		return compileConceptMap(n)
	}
	var e *entry
	canonical := p.str("url")
	switch {
	case id != "":
		if e = st.byID(kindConceptMap, id); e == nil {
			return nil, notFound("concept map", id)
		}
	case canonical != "":
		url, version := splitCanonical(canonical)
		if v := p.str("conceptMapVersion"); v != "" {
			version = v
		}
		if e = st.lookup(kindConceptMap, url, version); e == nil {
			return nil, notFound("concept map", canonical)
		}
	default:
		return nil, nil
	}
	return e.cm, e.load()
}

// translation renders matches; the result is true if one is a real equivalent.
func translation(st *state, all []Match) []byte {
	good := slices.ContainsFunc(all, func(m Match) bool { return m.Equivalence != "unmatched" && m.Equivalence != "disjoint" && m.Code != "" })
	var o out
	o.boolean("result", good)
	if !good {
		o.text("message", "valueString", "没有找到对应的编码")
	}
	for _, m := range all {
		if m.Display == "" && m.System != "" {
			if cs := st.codeSystem(m.System, ""); cs != nil {
				if c := cs.find(m.Code); c >= 0 {
					m.Display = cs.display(c)
				}
			}
		}
		o.parts("match", func() {
			o.text("equivalence", "valueCode", m.Equivalence)
			if m.Code != "" {
				o.coding("concept", m.System, "", m.Code, m.Display)
			}
			for _, x := range m.product {
				o.parts("product", func() {
					o.text("element", "valueUri", x.property)
					o.coding("concept", x.system, "", x.value, x.display)
				})
			}
			o.text("source", "valueUri", m.Map)
			o.text("comment", "valueString", m.Comment)
		})
	}
	return o.done()
}
