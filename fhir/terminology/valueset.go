package terminology

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// valueSet is a compiled ValueSet: its definition, not its expansion. It is
// immutable.
type valueSet struct {
	url, version, name, title, status string
	include, exclude                  []clause
	dropInactive                      bool // compose.inactive = false
}

// clause is one compose.include or compose.exclude.
type clause struct {
	system, version string
	listed          *codeSystem // the concepts enumerated by the clause, nil if none
	filters         []filter
	valueSets       []string // canonicals; a code must be in every one
}

// compileValueSet compiles a ValueSet resource. One without a definition is
// taken at its stored expansion.
func compileValueSet(res fhir.Node) (*valueSet, error) {
	if res.ResourceType() != "ValueSet" {
		return nil, fault.New(fault.Invalid, "not a ValueSet: %s", res.ResourceType())
	}
	vs := &valueSet{url: clone(res, "url"), version: clone(res, "version"), name: clone(res, "name"),
		title: clone(res, "title"), status: clone(res, "status")}
	compose := res.Get("compose")
	if inactive, ok := compose.Get("inactive").Bool(); ok {
		vs.dropInactive = !inactive
	}
	for n := range compose.Get("include").Each() {
		vs.include = append(vs.include, newClause(n))
	}
	for n := range compose.Get("exclude").Each() {
		vs.exclude = append(vs.exclude, newClause(n))
	}
	if !compose.Exists() {
		vs.include = storedClauses(res.Path("expansion", "contains"))
	}
	return vs, nil
}

func newClause(n fhir.Node) clause {
	c := clause{system: clone(n, "system"), version: clone(n, "version")}
	if list := n.Get("concept"); list.Exists() {
		b := newConcepts()
		b.cs.url, b.cs.content = c.system, "listed"
		for x := range list.Each() {
			b.add(x)
		}
		c.listed = b.finish()
	}
	for f := range n.Get("filter").Each() {
		c.filters = append(c.filters, newFilter(f))
	}
	for v := range n.Get("valueSet").Each() {
		c.valueSets = append(c.valueSets, strings.Clone(v.Str()))
	}
	return c
}

// storedClauses turns a stored expansion into one listing clause a system.
func storedClauses(contains fhir.Node) []clause {
	var order []string
	lists := map[string]*concepts{}
	var walk func(fhir.Node)
	walk = func(list fhir.Node) {
		for n := range list.Each() {
			if abstract, _ := n.Get("abstract").Bool(); !abstract && n.Get("code").Exists() {
				system := clone(n, "system")
				if lists[system] == nil {
					lists[system] = newConcepts()
					lists[system].cs.url, lists[system].cs.content = system, "listed"
					order = append(order, system)
				}
				lists[system].add(n)
			}
			walk(n.Get("contains"))
		}
	}
	walk(contains)
	out := make([]clause, 0, len(order))
	for _, s := range order {
		out = append(out, clause{system: s, listed: lists[s].finish()})
	}
	return out
}
