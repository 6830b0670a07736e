package search

import (
	"bytes"
	"slices"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
)

// openChain walks the resources whose reference leads to something a kid holds
// for: merged if few are referred to, else collected.
func (r *run) openChain(n *node) cursor {
	u := &unionCursor{}
	for _, k := range n.kids {
		c := r.open(k)
		for c.next() {
			if len(u.parts) == maxUnion {
				c.close()
				u.close()
				return &setCursor{ids: r.chained(n).ids}
			}
			u.parts = append(u.parts, r.span(exactly(param.AppendTarget(n.param.Prefix(key.Ref), k.typ.Name, key.ID(c.id())))))
		}
		c.close()
	}
	n.how = "targets first, merge"
	return u
}

// chained collects the resources whose reference leads to something a kid
// holds for.
func (r *run) chained(n *node) *idSet {
	out := &idSet{}
	n.how = "targets first"
	for _, k := range n.kids {
		c := r.open(k)
		for c.next() && r.err == nil {
			s := exactly(param.AppendTarget(n.param.Prefix(key.Ref), k.typ.Name, key.ID(c.id())))
			r.spend(costSeek)
			r.each(&s, func(id []byte) bool { out.add(id); return true })
		}
		c.close()
	}
	return out.close()
}

// testChain reads the reference of the resource and tests what it leads to;
// where few targets are to be expected they are collected first.
func (r *run) testChain(n *node, about int) func(id []byte) bool {
	if n.est < about {
		set := r.chained(n)
		return set.has
	}
	n.how = "follow each"
	tests := make([]func([]byte) bool, len(n.kids))
	for i, k := range n.kids {
		tests[i] = r.test(k, about)
		if !proves(k) {
			there, test := r.listedTest(k.typ), tests[i]
			tests[i] = func(id []byte) bool { return there(id) && test(id) }
		}
	}
	prefix := n.param.Prefix(key.Ref)
	return func(id []byte) bool {
		if !r.load(n.typ, id) {
			return false
		}
		for _, target := range r.references(n.param, prefix) {
			for i, k := range n.kids {
				if string(target.typ) == k.typ.Name && tests[i](target.id) {
					return true
				}
			}
		}
		return false
	}
}

// proves reports whether a node that holds for an id proves that there is such
// a resource: a reference may lead nowhere.
func proves(n *node) bool {
	switch n.op {
	case opAll, opIDs, opNot:
		return false
	case opAnd:
		return slices.ContainsFunc(n.kids, proves)
	case opOr:
		return !slices.ContainsFunc(n.kids, func(k *node) bool { return !proves(k) })
	}
	return true
}

// target is where a reference leads: a type's name and an encoded id.
type target struct{ typ, id []byte }

// references lists where a reference parameter of the loaded resource leads.
func (r *run) references(p *param.Param, prefix []byte) []target {
	var out []target
	r.closed(r.x.Each(p, func(k []byte) bool {
		if bytes.HasPrefix(k, prefix) {
			typ, rest, _ := key.CutText(k[key.PrefixLen:])
			id, _, _ := key.CutText(rest)
			out = append(out, target{bytes.Clone(typ), key.AppendID(nil, string(id))})
		}
		return true
	}))
	return out
}

// openHas collects what the resources a kid holds for refer to; where there are
// many of them to few of us, the referrers of each of us are looked at.
func (r *run) openHas(n *node) cursor {
	inner := n.kids[0]
	if r.count(n.typ)*costPair < inner.est*costResource {
		return &joinCursor{r: r, lead: r.span(listed(n.typ, nil)), tests: []func([]byte) bool{r.pairs(n)}}
	}
	return r.openReferred(n)
}

// costPair is what it costs to look for a common id in two postings.
const costPair = 100

func (r *run) openReferred(n *node) cursor {
	n.how = "referrers first"
	inner := n.kids[0]
	out := &idSet{}
	prefix := n.param.Prefix(key.Ref)
	c := r.open(inner)
	for c.next() && r.err == nil {
		if !r.load(inner.typ, c.id()) {
			continue
		}
		for _, t := range r.references(n.param, prefix) {
			if string(t.typ) == n.typ.Name {
				out.add(t.id)
			}
		}
	}
	c.close()
	return &joinCursor{r: r, lead: &setCursor{ids: out.close().ids}, tests: []func([]byte) bool{r.listedTest(n.typ)}}
}

// testHas tests with the referred collected beforehand, or one by one.
func (r *run) testHas(n *node, about int) func(id []byte) bool {
	if n.kids[0].est*costResource > about*costPair {
		return r.pairs(n)
	}
	set := &idSet{}
	c := r.openReferred(n)
	for c.next() {
		set.add(c.id())
	}
	c.close()
	return set.close().has
}

// pairs looks for an id that the referrers of a resource and what the kid holds
// for have in common.
func (r *run) pairs(n *node) func(id []byte) bool {
	n.how = "referrers of each"
	inner := n.kids[0]
	var test func([]byte) bool
	if !r.walks(inner) {
		test = r.test(inner, unbounded-1)
	}
	return func(id []byte) bool {
		refs := r.span(exactly(param.AppendTarget(n.param.Prefix(key.Ref), n.typ.Name, key.ID(id))))
		c := &joinCursor{r: r, lead: refs}
		if test == nil {
			c.parts = []cursor{r.span(inner.leaf.spans[0])}
		} else {
			c.tests = []func([]byte) bool{test}
		}
		defer c.close()
		return c.next()
	}
}
