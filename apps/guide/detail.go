package guide

import (
	"context"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/terminology"
)

// pageSize is how many codes a page lists.
const pageSize = 200

// codes is a page of a code system or value set.
type codes struct {
	Query        string
	Total        int64
	From         int
	Concepts     []term
	Before, Next int // offsets of the neighbouring pages, -1 = none
}

type term struct{ Code, Display, Facts string }

// concepts finds codes by words, pinyin or initials. valueSet is the set of all
// codes of a system; facts are shown where the code system is one of the guide.
func (a *App) concepts(ctx context.Context, valueSet string, system fhir.Node, query string, from int) (codes, error) {
	c := codes{Query: query, From: from, Before: -1, Next: -1}
	list, total, err := a.terms.Find(ctx, valueSet, terminology.ExpandOptions{Filter: query, Offset: from, Count: pageSize})
	if err != nil {
		return c, err
	}
	facts := factsOf(system)
	for _, x := range list {
		c.Concepts = append(c.Concepts, term{x.Code, x.Display, facts[x.Code]})
	}
	c.Total = int64(total)
	if from > 0 {
		c.Before = max(0, from-pageSize)
	}
	if from+len(list) < total {
		c.Next = from + pageSize
	}
	return c, nil
}

// factsOf writes each concept's aliases and properties as one line.
func factsOf(system fhir.Node) map[string]string {
	names := map[string]string{}
	for p := range system.Get("property").Children() {
		words, _, _ := strings.Cut(p.Get("description").Str(), " ")
		names[p.Get("code").Str()] = words
	}
	out := map[string]string{}
	for c := range system.Get("concept").Children() {
		var parts []string
		for d := range c.Get("designation").Children() {
			if d.Get("language").Str() != "zh-Latn-pinyin" {
				parts = append(parts, d.Get("value").Str())
			}
		}
		var last string
		for p := range c.Get("property").Children() {
			code, value := p.Get("code").Str(), ""
			for v := range p.Children() {
				if v.Key() != "code" {
					value = v.Str()
				}
			}
			if code == last {
				parts[len(parts)-1] += "、" + value
				continue
			}
			last = code
			parts = append(parts, names[code]+" "+value)
		}
		out[c.Get("code").Str()] = strings.Join(parts, "；")
	}
	return out
}

// pair is one row of a ConceptMap.
type pair struct{ From, FromText, To, ToText, Note string }

// equivalences are the relations of R4 in words.
var equivalences = map[string]string{"relatedto": "相关", "equivalent": "等价", "equal": "相同", "wider": "更宽", "narrower": "更窄", "inexact": "近似", "unmatched": "没有对应", "disjoint": "不相交"}

func pairs(m fhir.Node) []pair {
	var out []pair
	for g := range m.Get("group").Children() {
		for e := range g.Get("element").Children() {
			for t := range e.Get("target").Children() {
				out = append(out, pair{e.Get("code").Str(), e.Get("display").Str(), t.Get("code").Str(), t.Get("display").Str(),
					equivalences[t.Get("equivalence").Str()] + "。" + t.Get("comment").Str()})
			}
		}
	}
	return out
}

// question is one row of a form.
type question struct {
	ID, Text string
	Group    bool
	Answers  string
}

func questions(items fhir.Node) []question {
	var out []question
	for q := range items.Children() {
		var answers []string
		for o := range q.Get("answerOption").Children() {
			answers = append(answers, o.Path("valueCoding", "code").Str()+" "+o.Path("valueCoding", "display").Str())
		}
		out = append(out, question{q.Get("linkId").Str(), q.Get("text").Str(), q.Get("type").Str() == "group", strings.Join(answers, "　")})
		out = append(out, questions(q.Get("item"))...)
	}
	return out
}

// action is one rule of rational use.
type action struct{ ID, Title, Text, Priority, Source, State, Expression string }

var priorities = map[string]string{"stat": "禁止", "urgent": "警告", "routine": "提示"}

func actions(plan fhir.Node) []action {
	var out []action
	for x := range plan.Get("action").Children() {
		doc := x.Get("documentation").At(0)
		out = append(out, action{x.Get("id").Str(), x.Get("title").Str(), x.Get("description").Str(), priorities[x.Get("priority").Str()], doc.Get("citation").Str(), doc.Get("label").Str(),
			x.Path("condition", "expression", "expression").Str()})
	}
	return out
}

// duty is what a role does with one resource type.
type duty struct {
	Type     string
	Does     string
	Profiles []link
	Params   string
}

var interactions = map[string]string{"create": "新建", "update": "更新", "read": "读取", "search-type": "检索"}

func (a *App) duties(capability fhir.Node) (out []duty, operations string) {
	rest := capability.Get("rest").At(0)
	for r := range rest.Get("resource").Children() {
		d := duty{Type: r.Get("type").Str()}
		var does, params []string
		for i := range r.Get("interaction").Children() {
			does = append(does, interactions[i.Get("code").Str()])
		}
		for p := range r.Get("supportedProfile").Children() {
			d.Profiles = append(d.Profiles, a.canonical(p.Str()))
		}
		for p := range r.Get("searchParam").Children() {
			params = append(params, p.Get("name").Str())
		}
		d.Does, d.Params = strings.Join(does, "、"), strings.Join(params, "、")
		out = append(out, d)
	}
	var ops []string
	for o := range rest.Get("operation").Children() {
		ops = append(ops, "$"+o.Get("name").Str())
	}
	return out, strings.Join(ops, "、")
}
