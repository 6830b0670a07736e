package main

import (
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// writeSearch encodes the search parameters, sorted by URL. Left out are those
// without a base and the specification's own examples.
func writeSearch(w *writer, params []fhir.Node) {
	params = slices.DeleteFunc(slices.Clone(params), func(p fhir.Node) bool {
		url := p.Get("url").Str()
		return !p.Get("base").Exists() || strings.HasPrefix(url[strings.LastIndexByte(url, '/')+1:], "example")
	})
	w.uint(len(params))
	for _, p := range params {
		w.str(p.Get("url").Str(), p.Get("code").Str(), p.Get("name").Str(), p.Get("description").Str())
		w.str(p.Get("type").Str(), p.Get("expression").Str())
		w.strs(strs(p.Get("base")))
		w.strs(strs(p.Get("target")))
		w.strs(strs(p.Get("comparator")))
		w.strs(strs(p.Get("modifier")))
		w.strs(strs(p.Get("chain")))
		w.bool(p.Get("multipleOr").Str() != "false")
		w.bool(p.Get("multipleAnd").Str() != "false")
		w.uint(p.Get("component").Len())
		for c := range p.Get("component").Each() {
			w.str(c.Get("definition").Str(), c.Get("expression").Str())
		}
	}
}

func writeCompartments(w *writer, defs []fhir.Node) {
	defs = slices.DeleteFunc(slices.Clone(defs), func(d fhir.Node) bool {
		return strings.HasSuffix(d.Get("url").Str(), "/example")
	})
	w.uint(len(defs))
	for _, d := range defs {
		w.str(d.Get("url").Str(), d.Get("code").Str())
		var members []fhir.Node
		for r := range d.Get("resource").Each() {
			if r.Get("param").Len() > 0 {
				members = append(members, r)
			}
		}
		w.uint(len(members))
		for _, r := range members {
			w.str(r.Get("code").Str())
			w.strs(strs(r.Get("param")))
		}
	}
}
