package validate

import (
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
)

// scope is what references and invariants see from a place.
type scope struct {
	resource fhir.Node // %resource: the nearest resource
	root     fhir.Node // %rootResource: the same, or what contains it
	bundle   fhir.Node // the nearest Bundle around, absent if none
}

// inner is the scope of a resource inside s.
func (s scope) inner(n fhir.Node, contained bool) scope {
	if contained {
		return scope{resource: n, root: s.root, bundle: s.bundle}
	}
	in := scope{resource: n, root: n, bundle: s.bundle}
	if s.resource.ResourceType() == "Bundle" {
		in.bundle = s.resource
	}
	return in
}

// index finds what references lead to inside one document, in constant time.
type index struct {
	root    fhir.Node
	local   map[string]fhir.Node // contained resources of root by id
	pointed map[string]bool      // ids behind a '#' anywhere in root
	bundle  fhir.Node
	entries map[string]fhir.Node // resources of bundle by fullUrl
}

// contained finds a contained resource by id; "" is the container itself.
func (w *walk) contained(id string) fhir.Node {
	if id == "" {
		return w.scope.root
	}
	w.indexRoot()
	return w.index.local[id]
}

// pointedAt reports whether some text of the container ends in #id.
func (w *walk) pointedAt(id string) bool {
	w.indexRoot()
	return w.index.pointed[id]
}

func (w *walk) indexRoot() {
	x := &w.index
	if x.local != nil && x.root.Same(w.scope.root) {
		return
	}
	x.root, x.local, x.pointed = w.scope.root, map[string]fhir.Node{}, map[string]bool{}
	for c := range x.root.Get("contained").Each() {
		x.local[c.Get("id").Str()] = c
	}
	collect(x.root, x.pointed)
}

// collect notes what stands behind a '#' at the end of any text in n.
func collect(n fhir.Node, into map[string]bool) {
	for c := n.First(); c.Exists(); c = c.Next() {
		switch c.Kind() {
		case fhir.String:
			if s := c.Str(); len(s) < 2048 {
				if i := strings.LastIndexByte(s, '#'); i >= 0 {
					into[s[i+1:]] = true
				}
			}
		case fhir.Object, fhir.Array:
			collect(c, into)
		}
	}
}

// inBundle finds the resource of the entry with that fullUrl.
func (w *walk) inBundle(url string) fhir.Node {
	x := &w.index
	if x.entries == nil || !x.bundle.Same(w.scope.bundle) {
		x.bundle, x.entries = w.scope.bundle, map[string]fhir.Node{}
		for e := range x.bundle.Get("entry").Each() {
			x.entries[e.Get("fullUrl").Str()] = e.Get("resource")
		}
	}
	return x.entries[url]
}
