package search

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
)

// unbounded is the size of a result nothing is known of.
const unbounded = 1 << 40

// probe is how many keys an estimate reads.
const probe = 128

// estimate guesses how many resources a node holds for and notes it.
func (r *run) estimate(n *node) int {
	n.est = 0
	switch n.op {
	case opLeaf:
		r.estimateLeaf(n)
	case opAll:
		n.est = r.count(n.typ)
	case opIDs:
		n.est = len(n.ids.ids)
	case opAnd:
		n.est = unbounded
		for _, k := range n.kids {
			n.est = min(n.est, r.estimate(k))
		}
	case opOr:
		for _, k := range n.kids {
			n.est += r.estimate(k)
		}
	case opNot:
		r.estimate(n.kids[0])
		n.est = r.count(n.typ)
	case opChain: // as many refer to each target as to any
		for _, k := range n.kids {
			each := r.count(n.typ)/max(1, r.count(k.typ)) + 1
			n.est = min(unbounded, n.est+r.estimate(k)*each)
		}
	case opHas:
		n.est = min(r.estimate(n.kids[0]), r.count(n.typ))
	}
	return n.est
}

// estimateLeaf adds up the spans. If they are so short that it has read them to
// their ends, it keeps what it found.
func (r *run) estimateLeaf(n *node) {
	r.refine(n.leaf)
	found, whole := &idSet{}, true
	for i := range n.leaf.spans {
		size, all := r.size(&n.leaf.spans[i], n.bits, found)
		n.est += size
		whole = whole && all
		if i == 2*maxUnion {
			n.est, whole = n.est/(i+1)*len(n.leaf.spans), false
			break
		}
	}
	if whole && !n.bits {
		n.leaf.found = found.close()
		n.est = len(n.leaf.found.ids)
		return
	}
	n.est = min(n.est, 2*r.count(n.typ))
}

// count guesses how many resources of a type there are, once for a search.
func (r *run) count(t *param.Table) int {
	n, ok := r.counts[t]
	if !ok && r.guesses != nil {
		n, ok = r.guesses.take([]byte(t.Name))
	}
	if !ok {
		s := listed(t, nil)
		n, _ = r.size(&s, true, nil)
		if r.guesses != nil {
			r.guesses.put([]byte(t.Name), n)
		}
	}
	r.counts[t] = n
	return n
}

// guesses remembers how many resources of a type there are and how many keys a
// long span has, about, for as many searches as change little: a guess costs more
// than a small search. Conditional operations do without: what they cost must
// not depend on other searches.
type guesses struct {
	mu   sync.Mutex
	size map[string]*guess // by type or bounds
}

type guess struct{ n, left int }

const (
	guessFor   = 256  // searches
	maxGuesses = 4096 // more are forgotten, all at once
)

func (g *guesses) take(what []byte) (int, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.size[string(what)]
	if x == nil || x.left == 0 {
		return 0, false
	}
	x.left--
	return x.n, true
}

func (g *guesses) put(what []byte, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.size) >= maxGuesses {
		clear(g.size)
	}
	g.size[string(what)] = &guess{n, min(guessFor, n/16)} // few ones are soon many
}

// size guesses how many keys a span has. It reads the first few; if there are
// more it looks at how dense they lie ever further on. filtered counts keys
// that do not match, too; otherwise the ids are added to found. all tells that
// there are no more.
func (r *run) size(s *span, filtered bool, found *idSet) (n int, all bool) {
	if s.upper != nil && bytes.Compare(s.lower, s.upper) >= 0 {
		return 0, true
	}
	var bounds []byte
	if r.guesses != nil && !filtered {
		bounds = append(append(binary.BigEndian.AppendUint32(nil, uint32(len(s.lower))), s.lower...), s.upper...)
		if n, ok := r.guesses.take(bounds); ok {
			return n, false
		}
	}
	it := r.ix.Iter(s.lower, s.upper)
	defer func() { r.closed(it.Close()) }()
	at := common(s)
	var first, last uint64
	for it.Next() && r.spend(1) {
		id, ok := s.id(it.Key())
		if !ok && !filtered {
			continue
		}
		if !filtered {
			found.add(id)
		}
		if last = place(it.Key()[at:]); n == 0 {
			first = last
		}
		if n++; n == probe {
			n = r.extrapolate(it, s.lower[:min(at, len(s.lower))], at, first, last)
			if bounds != nil {
				r.guesses.put(bounds, n)
			}
			return n, false
		}
	}
	return n, true
}

// extrapolate integrates the density of keys from the probe on. Ids drawn at
// random lie evenly, those drawn by time in bursts: so it steps further each
// time, and each time reads a few keys.
func (r *run) extrapolate(it Iterator, prefix []byte, at int, first, last uint64) int {
	const few, factor = 4, 8
	total := float64(probe)
	step := max(last-first, 1)
	density := probe / float64(step)
	mark := slices.Clone(prefix)
	if at > len(prefix) {
		mark = append(mark, it.Key()[len(prefix):at]...)
	}
	pos, nearer := last, 0
	for range 24 {
		if step < ^uint64(0)/factor && nearer == 0 {
			step *= factor
		}
		if step = min(step, ^uint64(0)-pos); step < 16 {
			break
		}
		target, end, n := pos+step, pos+step, 0
		r.spend(costSeek)
		for ok := it.SeekGE(binary.BigEndian.AppendUint64(mark[:at:at], target)); ok && n < few; ok = it.Next() {
			end = place(it.Key()[min(at, len(it.Key())):])
			n++
		}
		if n < few { // behind the last: come nearer
			if nearer++; nearer > 3 {
				break
			}
			step /= 4
			continue
		}
		here := few / float64(max(end-target, 1))
		total += (density + here) / 2 * float64(step)
		density, pos = here, target
	}
	return int(min(total, unbounded))
}

// common returns how many bytes all keys of a span share, a UUID's mark included.
func common(s *span) int {
	if s.ascending {
		return len(s.lower) + 1
	}
	i := 0
	for i < len(s.lower) && i < len(s.upper) && s.lower[i] == s.upper[i] {
		i++
	}
	return i
}

// place is where a key lies in the order, by its first bytes.
func place(b []byte) uint64 {
	var v [8]byte
	copy(v[:], b)
	return binary.BigEndian.Uint64(v[:])
}

// join opens the most selective of several conditions and lets the others
// follow it or test what it finds.
func (r *run) join(n *node) cursor {
	kids := slices.Clone(n.kids)
	rank := func(k *node) int {
		if k.op == opNot {
			return unbounded
		}
		return k.est
	}
	slices.SortStableFunc(kids, func(a, b *node) int { return rank(a) - rank(b) })
	if kids[0].op == opNot {
		kids = append([]*node{{op: opAll, typ: n.typ}}, kids...)
	}
	c := &joinCursor{r: r, lead: r.open(kids[0])}
	for _, k := range kids[1:] {
		if r.walks(k) {
			k.how = "skip through"
			c.parts = append(c.parts, r.span(k.leaf.spans[0]))
			continue
		}
		c.tests = append(c.tests, r.test(k, kids[0].est))
	}
	return c
}

// walks reports whether a node is one span whose ids ascend.
func (r *run) walks(k *node) bool {
	return k.op == opLeaf && !k.leaf.strict && !k.bits && k.leaf.found == nil && len(k.leaf.spans) == 1 && k.leaf.spans[0].ascending
}

// test returns a function that tells whether a node holds for an id. about is
// how many ids will be asked for: it decides between collecting the answer
// beforehand and looking at each resource.
func (r *run) test(n *node, about int) func(id []byte) bool {
	switch n.op {
	case opAll:
		return func([]byte) bool { return true }
	case opIDs:
		return n.ids.has
	case opNot:
		inner := r.test(n.kids[0], about)
		return func(id []byte) bool { return !inner(id) }
	case opAnd, opOr:
		var tests []func([]byte) bool
		for _, k := range n.kids {
			tests = append(tests, r.test(k, about))
		}
		every := n.op == opAnd
		return func(id []byte) bool {
			for _, t := range tests {
				if t(id) != every {
					return !every
				}
			}
			return every
		}
	case opChain:
		return r.testChain(n, about)
	case opHas:
		return r.testHas(n, about)
	}
	return r.testLeaf(n, about)
}

func (r *run) testLeaf(n *node, about int) func(id []byte) bool {
	if n.leaf.found != nil && !n.leaf.strict {
		n.how = "collected"
		return n.leaf.found.has
	}
	r.refine(n.leaf)
	if !n.leaf.strict && n.est/costResource <= about && !n.bits {
		n.how = "collect"
		set := r.collect(n.leaf)
		return set.has
	}
	if !n.leaf.strict && !n.bits && len(n.leaf.spans) <= 4 && !slices.ContainsFunc(n.leaf.spans, func(s span) bool { return !s.ascending }) {
		n.how = "seek"
		return r.seeks(n.leaf.spans)
	}
	if n.bits {
		n.how = "seek"
		return func(id []byte) bool { return r.listBits(n, id) }
	}
	if about < unbounded || n.leaf.strict {
		n.how = "read each"
		return func(id []byte) bool { return r.load(n.typ, id) && n.leaf.matches(r.x) }
	}
	n.how = "collect"
	set := r.collect(n.leaf)
	return set.has
}

// seeks looks an id up in spans whose ids ascend.
func (r *run) seeks(spans []span) func(id []byte) bool {
	var buf []byte
	return func(id []byte) bool {
		for i := range spans {
			r.spend(costSeek)
			buf = append(append(buf[:0], spans[i].lower...), id...)
			if _, ok, err := r.ix.Get(buf); err != nil {
				r.fail(err)
			} else if ok {
				return true
			}
		}
		return false
	}
}

// listBits looks at the presence bits of a resource.
func (r *run) listBits(n *node, id []byte) bool {
	s := &n.leaf.spans[0]
	lower := append(append(bytes.Clone(s.lower), id...), 0)
	found := false
	one := span{lower: lower, upper: key.Next(lower), cut: func(k []byte) ([]byte, bool) { return s.id(k) }}
	r.each(&one, func([]byte) bool { found = true; return false })
	return found
}
