package search

import (
	"maps"
	"slices"
	"strings"

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

// confirmed leaves out conditions and allergies that were refuted or entered by mistake.
const confirmed = "&verification-status:not=refuted&verification-status:not=entered-in-error"

// functional are the lists that every patient has by what is known of them
// (https://hl7.org/fhir/R4/lifecycle.html#lists): by type, the search for what
// is on them.
var functional = map[string]map[string]string{
	"$current-problems":       {"Condition": "clinical-status=active,recurrence,relapse&category=problem-list-item" + confirmed},
	"$current-medications":    {"MedicationStatement": "status=active", "MedicationRequest": "status=active"},
	"$current-allergies":      {"AllergyIntolerance": "clinical-status=active" + confirmed},
	"$current-drug-allergies": {"AllergyIntolerance": "clinical-status=active&category=medication" + confirmed},
}

// functionalList builds _list=$current-…; with a parameter as patient=42 it is
// that patient's list.
func (b *builder) functionalList(t *param.Table, name string) (*node, error) {
	list, ok := functional[name]
	if !ok {
		names := slices.Sorted(maps.Keys(functional))
		return nil, invalid("unknown-list", "没有功能列表 "+name, "there is no functional list "+name, strings.Join(names, ", "))
	}
	if list[t.Name] == "" {
		return &node{op: opIDs, typ: t, ids: (&idSet{}).close()}, nil
	}
	params, err := query.Parse(list[t.Name])
	if err != nil {
		return nil, err
	}
	var kids []*node
	for _, p := range params {
		name, err := query.ParseName(p.Key)
		if err != nil {
			return nil, err
		}
		n, err := b.param(t, name, p.Value)
		if err != nil {
			return nil, err
		}
		kids = append(kids, n)
	}
	return and(t, kids), nil
}

// list builds _list=id: what the entries of a List refer to.
func (b *builder) list(t *param.Table, value string) (*node, error) {
	if strings.HasPrefix(value, "$") {
		return b.functionalList(t, value)
	}
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
