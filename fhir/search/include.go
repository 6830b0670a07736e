package search

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// inclusion is one _include or _revinclude.
type inclusion struct {
	reverse, iterate bool
	source           string // the type that refers; "" = any
	code             string // its parameter; "*" = any reference
	target           string // only what is of this type; "" = any
}

// inclusion reads _include=Type:parameter[:target], with * for a type or
// parameter (https://hl7.org/fhir/R4/search.html#include).
func (s *searcher) inclusion(p query.Param, code, modifier string) error {
	in := inclusion{reverse: code == "_revinclude", iterate: modifier == "iterate" || modifier == "recurse"}
	if modifier != "" && !in.iterate {
		return badControl(p, "修饰符只能是 :iterate", "the only modifier is :iterate")
	}
	parts := strings.Split(p.Value, ":")
	if p.Value == "*" {
		parts = []string{"*", "*"}
	}
	if len(parts) < 2 || len(parts) > 3 {
		return badControl(p, "形式为 类型:参数[:目标类型]", "expected Type:parameter[:target]")
	}
	in.source, in.code = strings.TrimPrefix(parts[0], "*"), parts[1]
	if len(parts) == 3 {
		in.target = parts[2]
		if s.e.cat.Types[in.target] == nil {
			return unknownType(in.target, s.e.cat.Model.Resources())
		}
	}
	if t := s.e.cat.Types[in.source]; in.source != "" && t == nil {
		return unknownType(in.source, s.e.cat.Model.Resources())
	} else if t != nil && in.code != "*" {
		switch sp := t.ByCode[in.code]; {
		case sp == nil:
			return unknownParam(t, in.code, nil)
		case sp.Kind != param.Reference:
			return notReference(sp)
		}
	}
	s.incl = append(s.incl, in)
	return nil
}

// params lists the reference parameters of a type that an inclusion follows.
func (in *inclusion) params(t *param.Table) []*param.Param {
	if in.source != "" && in.source != t.Name {
		return nil
	}
	var out []*param.Param
	for _, p := range t.Params {
		if p.Kind == param.Reference && (in.code == "*" || in.code == p.Code) {
			out = append(out, p)
		}
	}
	return out
}

// include adds what the matches refer to, and what refers to them.
func (s *searcher) include() {
	if len(s.incl) == 0 {
		return
	}
	seen := map[[2]string]bool{}
	for _, m := range s.page.Matches {
		seen[[2]string{m.Type, m.ID}] = true
	}
	add := func(typ, id string) {
		if seen[[2]string{typ, id}] || s.err != nil || len(seen) > s.e.cfg.Include+s.count {
			return
		}
		t := s.e.cat.Types[typ]
		if t == nil || !s.listedTest(t)(key.AppendID(nil, id)) {
			return
		}
		seen[[2]string{typ, id}] = true
		s.page.Matches = append(s.page.Matches, Match{Type: typ, ID: id, Mode: ModeInclude})
	}
	from := 0
	for round := 0; from < len(s.page.Matches) && s.err == nil; round++ {
		batch := slices.Clone(s.page.Matches[from:])
		from = len(s.page.Matches)
		for _, in := range s.incl {
			if round == 0 || in.iterate {
				s.follow(&in, batch, add)
			}
		}
	}
	if len(seen) > s.e.cfg.Include+s.count {
		s.page.Ignored = append(s.page.Ignored, fault.Issue{Severity: "warning", Code: "too-costly", Key: "include-limit",
			Text: "附带的资源过多，只返回了一部分", TextEN: "too many included resources: the rest was left out"})
	}
}

func (s *searcher) follow(in *inclusion, batch []Match, add func(typ, id string)) {
	for _, m := range batch {
		if in.reverse {
			s.followBack(in, m, add)
			continue
		}
		t := s.e.cat.Types[m.Type]
		for _, p := range in.params(t) {
			if !s.load(t, key.AppendID(nil, m.ID)) {
				break
			}
			for _, to := range s.references(p, p.Prefix(key.Ref)) {
				if in.target == "" || in.target == string(to.typ) {
					add(string(to.typ), key.ID(to.id))
				}
			}
		}
	}
}

func (s *searcher) followBack(in *inclusion, m Match, add func(typ, id string)) {
	if in.target != "" && in.target != m.Type {
		return
	}
	for _, name := range s.e.cat.Model.Resources() {
		if in.source != "" && in.source != name {
			continue
		}
		t := s.e.cat.Types[name]
		for _, p := range in.params(t) {
			span := exactly(param.AppendTarget(p.Prefix(key.Ref), m.Type, m.ID))
			s.spend(costSeek)
			var ids []string
			s.each(&span, func(id []byte) bool { ids = append(ids, key.ID(id)); return len(ids) <= s.e.cfg.Include })
			for _, id := range ids {
				add(name, id)
			}
		}
	}
}
