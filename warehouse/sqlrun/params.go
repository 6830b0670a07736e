package sqlrun

import (
	"net/url"
	"strconv"
	"time"

	"github.com/qihuang-health/qihuang/fhir"
)

// params are the parameters of an operation, from the query or a Parameters
// resource.
type params struct {
	text  map[string][]string
	nodes map[string][]fhir.Node
}

// aliases of parameters in older drafts.
var aliases = map[string]string{"viewReference": "subjectReference", "viewResource": "subjectResource", "viewCanonical": "subjectCanonical",
	"queryReference": "subjectReference", "queryResource": "subjectResource", "queryCanonical": "subjectCanonical", "view": "subject", "query": "subject"}

func canonicalName(name string) string {
	if a := aliases[name]; a != "" {
		return a
	}
	return name
}

// readParams joins query and body. A body that is no Parameters is the subject.
func readParams(query url.Values, body []byte) (*params, error) {
	p := &params{text: map[string][]string{}, nodes: map[string][]fhir.Node{}}
	for name, values := range query {
		p.text[canonicalName(name)] = values
	}
	if len(body) == 0 {
		return p, nil
	}
	tree, err := fhir.Parse(body)
	if err != nil {
		return nil, err
	}
	root := tree.Root()
	if root.ResourceType() != "Parameters" {
		p.nodes["subjectResource"] = append(p.nodes["subjectResource"], root)
		return p, nil
	}
	for n := range root.Get("parameter").Each() {
		p.add(n)
	}
	return p, nil
}

// add reads one parameter: its value as text, its resource or parts as nodes.
func (p *params) add(n fhir.Node) {
	name := canonicalName(n.Get("name").Str())
	if res := n.Get("resource"); res.Exists() {
		p.nodes[name] = append(p.nodes[name], res)
		return
	}
	if n.Get("part").Exists() {
		p.nodes[name] = append(p.nodes[name], n)
		return
	}
	for m := range n.Children() {
		if k := m.Key(); len(k) > 5 && k[:5] == "value" {
			v := m.Str()
			if m.Kind() == fhir.Object {
				v = m.Get("reference").Str()
			}
			p.text[name] = append(p.text[name], v)
		}
	}
}

func (p *params) first(name string) string {
	if v := p.text[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// limit returns _limit, 0 without one.
func (p *params) limit() (int, error) {
	v := p.first("_limit")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, invalid("parameter", "_limit 应为正整数", "_limit must be a positive integer")
	}
	return n, nil
}

// since returns _since as a query for search, "" without one.
func (p *params) since() (string, error) {
	v := p.first("_since")
	if v == "" {
		return "", nil
	}
	if _, err := time.Parse(time.RFC3339Nano, v); err != nil {
		return "", invalid("parameter", "_since 应为 instant，如 2026-11-22T08:00:00Z", "_since must be an instant such as 2026-11-22T08:00:00Z")
	}
	return "_lastUpdated=ge" + url.QueryEscape(v), nil
}
