package search

import (
	"bytes"
	"slices"

	"github.com/qihuang-health/qihuang/fhir/search/key"
)

// chained collects the resources whose reference leads to something a kid
// holds for.
func (r *run) chained(n *node) *idSet {
	out := &idSet{}
	n.how = "targets first"
	for _, k := range n.kids {
		c := r.open(k)
		for c.next() && r.err == nil {
			s := exactly(appendTarget(n.param.prefix(key.Ref), k.typ.name, key.ID(c.id())))
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
	prefix := n.param.prefix(key.Ref)
	return func(id []byte) bool {
		if !r.load(n.typ, id) {
			return false
		}
		for _, target := range r.references(n.param, prefix) {
			for i, k := range n.kids {
				if string(target.typ) == k.typ.name && tests[i](target.id) {
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
func (r *run) references(p *param, prefix []byte) []target {
	x := r.x
	x.buf, x.ends = x.buf[:0], x.ends[:0]
	if err := x.param(p); err != nil {
		r.fail(err)
		return nil
	}
	var out []target
	begin := 0
	for _, end := range x.ends {
		k := x.buf[begin:end]
		begin = end
		if !bytes.HasPrefix(k, prefix) {
			continue
		}
		typ, rest, _ := key.CutText(k[key.PrefixLen:])
		id, _, _ := key.CutText(rest)
		out = append(out, target{bytes.Clone(typ), key.AppendID(nil, string(id))})
	}
	return out
}

// openHas collects what the resources a kid holds for refer to.
func (r *run) openHas(n *node) cursor {
	n.how = "referrers first"
	inner := n.kids[0]
	out := &idSet{}
	prefix := n.param.prefix(key.Ref)
	c := r.open(inner)
	for c.next() && r.err == nil {
		if !r.load(inner.typ, c.id()) {
			continue
		}
		for _, t := range r.references(n.param, prefix) {
			if string(t.typ) == n.typ.name {
				out.add(t.id)
			}
		}
	}
	c.close()
	return &joinCursor{r: r, lead: &setCursor{ids: out.close().ids}, tests: []func([]byte) bool{r.listedTest(n.typ)}}
}

// testHas joins the referrers of one resource with what the kid holds for.
func (r *run) testHas(n *node, about int) func(id []byte) bool {
	inner := n.kids[0]
	if inner.est < about*8 {
		set := &idSet{}
		c := r.openHas(n)
		for c.next() {
			set.add(c.id())
		}
		c.close()
		return set.close().has
	}
	n.how = "referrers of each"
	test := r.test(inner, unbounded-1)
	return func(id []byte) bool {
		s := exactly(appendTarget(n.param.prefix(key.Ref), n.typ.name, key.ID(id)))
		r.spend(costSeek)
		found := false
		r.each(&s, func(from []byte) bool {
			found = test(from)
			return !found
		})
		return found
	}
}
