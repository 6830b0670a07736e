package terminology

import (
	"sort"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// conceptMap is a compiled ConceptMap. It is immutable.
type conceptMap struct {
	url, version, name, status string
	source, target             string // value set canonicals
	groups                     []mapGroup
}

// mapGroup is one ConceptMap.group: rows of source and target in one arena.
type mapGroup struct {
	source, target               string
	sourceVersion, targetVersion string
	text                         arena
	rows                         []mapRow
	bySource, byTarget           []int32 // rows by code
	unmapped                     unmapped
}

// mapRow is one target of one element; string numbers are in the group's arena.
type mapRow struct {
	source, sourceDisplay int32
	target, targetDisplay int32 // target -1: the element is there but has no target
	equivalence           string
	comment               string
	product               []mapProduct
}

type mapProduct struct{ property, system, value, display string }

type unmapped struct{ mode, code, display, url string }

var equivalences = []string{"relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact", "unmatched", "disjoint"}

// equivalence returns the constant of equal value, so that rows share it.
func equivalence(s string) string {
	for _, e := range equivalences {
		if e == s {
			return e
		}
	}
	return strings.Clone(s)
}

func compileConceptMap(res fhir.Node) (*conceptMap, error) {
	if res.ResourceType() != "ConceptMap" {
		return nil, fault.New(fault.Invalid, "not a ConceptMap: %s", res.ResourceType())
	}
	m := &conceptMap{url: clone(res, "url"), version: clone(res, "version"), name: clone(res, "name"), status: clone(res, "status")}
	m.source, m.target = either(res, "sourceUri", "sourceCanonical"), either(res, "targetUri", "targetCanonical")
	for g := range res.Get("group").Each() {
		m.groups = append(m.groups, newMapGroup(g))
	}
	return m, nil
}

func either(n fhir.Node, keys ...string) string {
	for _, k := range keys {
		if s := n.Get(k).Str(); s != "" {
			return strings.Clone(s)
		}
	}
	return ""
}

func newMapGroup(n fhir.Node) mapGroup {
	g := mapGroup{source: clone(n, "source"), sourceVersion: clone(n, "sourceVersion"),
		target: clone(n, "target"), targetVersion: clone(n, "targetVersion")}
	if u := n.Get("unmapped"); u.Exists() {
		g.unmapped = unmapped{clone(u, "mode"), clone(u, "code"), clone(u, "display"), clone(u, "url")}
	}
	var text arenaBuilder
	for e := range n.Get("element").Each() {
		row := mapRow{target: -1, targetDisplay: -1}
		row.source, row.sourceDisplay = text.add(e.Get("code").Str()), text.add(e.Get("display").Str())
		targets := e.Get("target")
		if targets.Len() == 0 {
			g.rows = append(g.rows, row)
		}
		for t := range targets.Each() {
			row.target = -1
			if t.Get("code").Exists() {
				row.target, row.targetDisplay = text.add(t.Get("code").Str()), text.add(t.Get("display").Str())
			}
			row.equivalence, row.comment = equivalence(t.Get("equivalence").Str()), clone(t, "comment")
			row.product = nil
			for p := range t.Get("product").Each() {
				row.product = append(row.product, mapProduct{clone(p, "property"), clone(p, "system"), clone(p, "value"), clone(p, "display")})
			}
			g.rows = append(g.rows, row)
		}
	}
	g.text = text.build()
	g.bySource = g.sorted(func(r mapRow) int32 { return r.source })
	g.byTarget = g.sorted(func(r mapRow) int32 { return r.target })
	return g
}

// sorted orders the rows that have the string col names, keeping their order.
func (g *mapGroup) sorted(col func(mapRow) int32) []int32 {
	var order []int32
	for i, r := range g.rows {
		if col(r) >= 0 {
			order = append(order, int32(i))
		}
	}
	sort.SliceStable(order, func(i, j int) bool {
		return g.text.at(col(g.rows[order[i]])) < g.text.at(col(g.rows[order[j]]))
	})
	return order
}

// find returns the rows whose source (or target, in reverse) is code.
func (g *mapGroup) find(code string, reverse bool) []int32 {
	list, col := g.bySource, func(r mapRow) int32 { return r.source }
	if reverse {
		list, col = g.byTarget, func(r mapRow) int32 { return r.target }
	}
	lo := sort.Search(len(list), func(i int) bool { return g.text.at(col(g.rows[list[i]])) >= code })
	hi := lo
	for hi < len(list) && g.text.at(col(g.rows[list[hi]])) == code {
		hi++
	}
	return list[lo:hi]
}
