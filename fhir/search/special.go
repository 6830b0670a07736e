package search

import (
	"slices"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/fhir/search/query"
	"github.com/qihuang-health/qihuang/fhir/search/text"
)

// worded builds _text or _content: every word of one of the values
// (https://hl7.org/fhir/R4/search.html#content).
func (b *builder) worded(t *param.Table, p *param.Param, modifier string, values []string) (*node, error) {
	if modifier != "" && modifier != "text" {
		return nil, badModifier(p, modifier)
	}
	if p.Code != "_text" && p.Code != "_content" || p.Code == "_content" && !b.e.cfg.Content {
		return nil, invalid("unsupported-search-parameter", "本服务器未启用检索参数 "+p.Code, "search parameter "+p.Code+" is not enabled", "")
	}
	var any []*node
	for _, v := range values {
		var all []*node
		for _, term := range text.Terms(query.Unescape(v)) {
			w := text.Cut(term.Word, param.MaxWord)
			s := exactly(key.AppendText(p.Prefix(key.Word), w))
			if term.Prefix {
				s = behind(key.AppendStem(p.Prefix(key.Word), w), key.PrefixLen, 0)
			}
			all = append(all, &node{op: opLeaf, typ: t, leaf: &leaf{param: p, spans: []span{s}}, label: p.Code + ": " + w})
		}
		if len(all) == 0 {
			return nil, badValue(p, v, "缺少文字", "there is no word to look for")
		}
		any = append(any, and(t, all))
	}
	return or(t, any), nil
}

// list builds _list=id: what the entries of a List refer to.
func (b *builder) list(t *param.Table, value string) (*node, error) {
	set := &idSet{}
	for _, v := range query.Split(value, ',') {
		if typ, id, ok := cutType(v); ok && typ == "List" {
			v = id
		}
		raw, ok, err := b.ix.Resource("List", v)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, invalid("unknown-list", "没有 List/"+v, "there is no List/"+v, "")
		}
		tree, err := fhir.Parse(raw)
		if err != nil {
			return nil, err
		}
		for e := range tree.Root().Get("entry").Each() {
			if deleted, _ := e.Get("deleted").Bool(); deleted {
				continue
			}
			if typ, id := b.e.cat.Target(e.Path("item", "reference").Str()); typ == t.Name {
				set.add(key.AppendID(nil, id))
			}
		}
	}
	return &node{op: opIDs, typ: t, ids: set.close()}, nil
}

// Plan tells how a search was run, for people.
type Plan struct {
	Steps []Step // in the order of the query's conditions, chains indented
	Cost  int    // keys read, with seeks and resources counted as more
}

// Step is one condition of a plan.
type Step struct {
	Depth    int
	Type     string // resource type searched
	Label    string // the condition as written, or what it is
	Estimate int    // resources expected; -1 = not estimated
	How      string // what was done: walk, collect, seek, read each …
}

var opNames = [...]string{"parameter", "all", "ids", "and", "or", "not", "chain", "has"}

func (s *searcher) plan() *Plan {
	p := &Plan{Cost: s.cost}
	for _, n := range s.nodes {
		p.add(n, 0)
	}
	return p
}

func (p *Plan) add(n *node, depth int) {
	label := n.label
	if label == "" {
		label = opNames[n.op]
		if n.param != nil {
			label += " " + n.param.Code
		}
	}
	p.Steps = append(p.Steps, Step{depth, n.typ.Name, label, min(n.est, unbounded), n.how})
	kids := slices.Clone(n.kids)
	for _, k := range kids {
		p.add(k, depth+1)
	}
}
