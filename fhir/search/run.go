package search

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// What steps cost, in keys read.
const (
	costSeek     = 4
	costResource = 30
)

// run is one search on one view of the index. For one goroutine.
type run struct {
	ctx     context.Context
	e       *Engine
	ix      Index
	x       *param.Reader // scratch for reading resources
	parser  fhir.Parser   // scratch
	held    []byte        // id of the resource in x, with its type's number before it
	counts  map[*param.Table]int
	guesses *guesses // nil = every search looks for itself
	cost    int
	limit   int // of cost
	err     error
}

// spend counts work; false if the query must end.
func (r *run) spend(n int) bool {
	before := r.cost
	r.cost += n
	if r.cost > r.limit && r.err == nil {
		r.err = costly("检索代价过高（超过上限），请增加更有选择性的条件", "the search costs more than the limit",
			"增加条件（如 patient、code、日期范围）或减少排序、链式与 :contains (add a selective parameter)")
	}
	if before>>12 != r.cost>>12 && r.err == nil {
		r.err = r.ctx.Err()
	}
	return r.err == nil
}

func (r *run) closed(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

func (r *run) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// load brings a resource into r.x, where conditions read it; false if it is not there.
func (r *run) load(t *param.Table, id []byte) bool {
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], t.List.Number())
	if len(r.held) == 4+len(id) && bytes.Equal(r.held[:4], head[:]) && bytes.Equal(r.held[4:], id) {
		return true
	}
	r.held = r.held[:0]
	if !r.spend(costResource) {
		return false
	}
	name := key.ID(id)
	raw, ok, err := r.ix.Resource(t.Name, name)
	if err != nil || !ok {
		r.closed(err)
		return false
	}
	tree, err := r.parser.Parse(raw)
	if err != nil {
		r.fail(fault.New(fault.Internal, "search: stored %s/%s: %w", t.Name, name, err))
		return false
	}
	r.x.Reset(r.e.cat, name, tree.Root())
	r.held = append(append(r.held, head[:]...), id...)
	return true
}

// open returns a cursor over the ids a node holds for.
func (r *run) open(n *node) cursor {
	switch n.op {
	case opLeaf:
		return r.openLeaf(n)
	case opAll:
		return r.span(listed(n.typ, nil))
	case opIDs:
		n.how = "ids"
		return &joinCursor{r: r, lead: &setCursor{ids: n.ids.ids}, tests: []func([]byte) bool{r.listedTest(n.typ)}}
	case opAnd:
		return r.join(n)
	case opOr:
		u := &unionCursor{}
		for _, k := range n.kids {
			u.parts = append(u.parts, r.open(k))
		}
		return u
	case opNot:
		n.how = "scan, exclude"
		test := r.test(n.kids[0], unbounded)
		return &joinCursor{r: r, lead: r.span(listed(n.typ, nil)), tests: []func([]byte) bool{func(id []byte) bool { return !test(id) }}}
	case opChain:
		return r.openChain(n)
	}
	return r.openHas(n)
}

func (r *run) span(s span) cursor { return &spanCursor{r: r, s: &s, it: r.ix.Iter(s.lower, s.upper)} }

// maxUnion is how many spans are merged as they are read; more are collected
// and sorted first.
const maxUnion = 16

func (r *run) openLeaf(n *node) cursor {
	r.refine(n.leaf)
	if n.leaf.strict {
		lead := &setCursor{ids: r.collect(n.leaf).ids}
		n.how = "read, recheck"
		return &joinCursor{r: r, lead: lead, tests: []func([]byte) bool{func(id []byte) bool {
			return r.load(n.typ, id) && n.leaf.recheck(r.x)
		}}}
	}
	if n.leaf.found != nil {
		n.how = "collected"
		return &setCursor{ids: n.leaf.found.ids}
	}
	spans := n.leaf.spans
	if len(spans) == 1 && spans[0].ascending {
		n.how = "walk"
		return r.span(spans[0])
	}
	for i := range spans {
		if !spans[i].ascending || len(spans) > maxUnion {
			n.how = "collect"
			return &setCursor{ids: r.collect(n.leaf).ids}
		}
	}
	n.how = "merge"
	u := &unionCursor{}
	for i := range spans {
		u.parts = append(u.parts, r.span(spans[i]))
	}
	return u
}

// collect reads every id of a leaf's spans.
func (r *run) collect(l *leaf) *idSet {
	if l.found != nil {
		return l.found
	}
	set := &idSet{}
	for i := range l.spans {
		r.each(&l.spans[i], func(id []byte) bool { set.add(id); return true })
	}
	return set.close()
}

// each yields the ids of a span in key order until yield returns false.
func (r *run) each(s *span, yield func(id []byte) bool) {
	if s.upper != nil && bytes.Compare(s.lower, s.upper) >= 0 {
		return
	}
	it := r.ix.Iter(s.lower, s.upper)
	for it.Next() && r.spend(1) {
		if id, ok := s.id(it.Key()); ok && !yield(id) {
			break
		}
	}
	r.closed(it.Close())
}

// refine replaces a token's span over all systems by one for each system that
// has the code: those ascend and can be merged and skipped through.
func (r *run) refine(l *leaf) {
	if l.param.Kind != param.Token || len(l.spans) != 1 || l.spans[0].ascending {
		return
	}
	s := &l.spans[0]
	if len(s.lower) <= key.PrefixLen || key.Space(s.lower[4]) != key.Token {
		return
	}
	var exact []span
	it := r.ix.Iter(s.lower, s.upper)
	ok := it.Next()
	for ok && len(exact) <= maxUnion && r.spend(costSeek) {
		end := len(s.lower) + key.HashLen
		if len(it.Key()) < end {
			break
		}
		one := exactly(bytes.Clone(it.Key()[:end]))
		exact = append(exact, one)
		if one.upper == nil {
			break
		}
		ok = it.SeekGE(one.upper)
	}
	r.closed(it.Close())
	if len(exact) <= maxUnion {
		l.spans = exact
	}
}

// listedTest tells whether a resource of the type exists.
func (r *run) listedTest(t *param.Table) func(id []byte) bool {
	return func(id []byte) bool {
		r.spend(costSeek)
		_, ok, err := r.ix.Resource(t.Name, key.ID(id))
		r.closed(err)
		return ok
	}
}
