package search

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/fhir/search/text"
)

// filter builds _filter (https://hl7.org/fhir/R4/search_filter.html).
func (b *builder) filter(t *param.Table, expression string) (*node, error) {
	f, err := query.ParseFilter(expression)
	if err != nil {
		return nil, err
	}
	return b.filtered(t, f)
}

func (b *builder) filtered(t *param.Table, f *query.Filter) (*node, error) {
	if len(f.Kids) == 0 {
		return b.compared(t, f, f.Path)
	}
	var kids []*node
	for _, k := range f.Kids {
		n, err := b.filtered(t, k)
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
	}
	switch f.Op {
	case "and":
		return and(t, kids), nil
	case "or":
		return or(t, kids), nil
	}
	return not(kids[0]), nil
}

// compared builds a comparison at the end of a path.
func (b *builder) compared(t *param.Table, f *query.Filter, path []query.Link) (*node, error) {
	link := path[0]
	p := t.ByCode[link.Code]
	if p == nil && !(link.Code == "_id" && len(path) == 1) {
		return nil, unknownParam(t, link.Code, []string{"_id"})
	}
	if len(path) == 1 && link.Where == nil {
		n, err := b.comparison(t, p, f)
		if err == nil {
			n.label = link.Code + " " + f.Op + " " + f.Text
		}
		return n, err
	}
	if p.Kind != param.Reference {
		return nil, notReference(p)
	}
	types := b.e.cat.Targets(p)
	if link.Type != "" {
		types = []string{link.Type}
	}
	n := &node{op: opChain, typ: t, param: p}
	var first error
	for _, typ := range types {
		k, err := b.beyond(b.e.cat.Types[typ], typ, f, path)
		if err == nil {
			n.kids = append(n.kids, k)
		} else if first == nil {
			first = err
		}
	}
	if len(n.kids) == 0 {
		return nil, first
	}
	return n, nil
}

// beyond builds what the target of a path's first link must fulfil.
func (b *builder) beyond(t *param.Table, name string, f *query.Filter, path []query.Link) (*node, error) {
	if t == nil {
		return nil, unknownType(name, b.e.cat.Model.Resources())
	}
	var kids []*node
	if where := path[0].Where; where != nil {
		n, err := b.filtered(t, where)
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
	}
	if len(path) > 1 {
		n, err := b.compared(t, f, path[1:])
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
	}
	return and(t, kids), nil
}

// comparison turns an operator into the modifier or prefix that means it.
func (b *builder) comparison(t *param.Table, p *param.Param, f *query.Filter) (*node, error) {
	v := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`).Replace(f.Text)
	if p == nil {
		n, err := b.identities(t, &query.Name{Code: "_id"}, v)
		if err == nil && f.Op == "ne" {
			n = not(n)
		}
		return n, err
	}
	prefixed := p.Kind == param.Date || p.Kind == param.Number || p.Kind == param.Quantity
	switch f.Op {
	case "pr":
		present := "true"
		if f.Text == "true" {
			present = "false"
		}
		return b.missing(t, p, present)
	case "eq", "re":
		if p.Kind == param.String {
			return b.equal(t, p, f.Text), nil
		}
		return b.clause(t, p, "", v)
	case "ne":
		if prefixed {
			return b.clause(t, p, "", "ne"+v)
		}
		n, err := b.comparison(t, p, &query.Filter{Op: "eq", Text: f.Text})
		if err != nil {
			return nil, err
		}
		return not(n), nil
	case "gt", "lt", "ge", "le", "ap", "sa", "eb":
		if prefixed {
			return b.clause(t, p, "", f.Op+v)
		}
	case "po":
		if p.Kind == param.Date {
			return b.overlap(t, p, f.Text)
		}
	case "ss", "sb", "in", "ni":
		modifier := map[string]string{"ss": "above", "sb": "below", "in": "in", "ni": "not-in"}[f.Op]
		return b.clause(t, p, modifier, v)
	case "co", "ew":
		if p.Kind == param.String {
			n, err := b.clause(t, p, "contains", v)
			if err == nil && f.Op == "ew" {
				end := text.Fold(f.Text)
				n.leaf.tests = nil
				n.leaf.also(p, true, func(s string) bool { return strings.HasSuffix(text.Fold(s), end) })
			}
			return n, err
		}
	case "sw":
		if p.Kind == param.String {
			return b.clause(t, p, "", v)
		}
	}
	return nil, invalid("bad-filter", "_filter 的比较符 "+f.Op+" 不适用于参数 "+p.Code+"（"+p.Kind.String()+"）",
		"_filter: "+f.Op+" does not apply to "+p.Code+" ("+p.Kind.String()+")", "")
}

// equal finds strings that are the same but for case, accents and width.
func (b *builder) equal(t *param.Table, p *param.Param, s string) *node {
	folded := text.Fold(s)
	l := &leaf{param: p, spans: []span{exactly(key.AppendText(p.Prefix(key.String), text.Cut(folded, param.MaxText)))}}
	l.also(p, len(folded) > param.MaxText, func(v string) bool { return text.Fold(v) == folded })
	return &node{op: opLeaf, typ: t, leaf: l}
}

// overlap finds dates that have any instant in common with the one given.
func (b *builder) overlap(t *param.Table, p *param.Param, s string) (*node, error) {
	low, high, ok := key.Date(s, b.zone)
	if !ok {
		return nil, badValue(p, s, "应为日期", "expected a date")
	}
	box := key.Anywhere()
	box.LowMax, box.HighMin = key.Instant(high)-1, key.Instant(low)+1
	return &node{op: opLeaf, typ: t, leaf: &leaf{param: p, spans: boxSpans(p, nil, box, key.ShortDate)}}, nil
}
