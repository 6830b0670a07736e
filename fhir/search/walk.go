package search

import (
	"bytes"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
)

// walkable reports whether to read the index in the order of the sort key and
// test what is found, rather than to find all matches and sort them: for one
// key, where matches are so common that a page is soon full.
func (s *searcher) walkable() bool {
	if len(s.sorts) != 1 || len(s.types) != 1 || s.sorts[0].code == "_id" {
		return false
	}
	k := s.types[0].ByCode[s.sorts[0].code].Kind
	if k == param.Reference || k == param.Composite {
		return false
	}
	est, all := s.nodes[0].est, s.count0()
	if est < probe {
		return false
	}
	cost := float64(s.pos.offset+s.count+1) * float64(all) / float64(est) * 2 * costSeek
	return cost < float64(est)*costResource
}

func (s *searcher) count0() int { return s.run.count(s.types[0]) }

// walk fills the page in index order; false if the index cannot be read in
// this direction or ended before the page was full.
func (s *searcher) walk() bool {
	p := s.types[0].ByCode[s.sorts[0].code]
	var lanes []*lane
	for _, space := range sortSpaces(p.Kind) {
		prefix := p.Prefix(space)
		l := &lane{it: s.ix.Iter(prefix, key.Next(prefix)), desc: s.sorts[0].desc}
		lanes = append(lanes, l)
		if l.desc {
			var ok bool
			if l.back, ok = l.it.(Reverser); !ok {
				closeLanes(s.run, lanes)
				return false
			}
		}
		l.advance()
	}
	defer closeLanes(s.run, lanes)
	test := s.test(s.nodes[0], s.nodes[0].est)
	seen := map[string]bool{}
	want := s.pos.offset + s.count + 1
	var found [][]byte
	for stop := s.cost + s.nodes[0].est*costResource; len(found) < want && s.spend(1); {
		if s.cost > stop { // the matches lie far off in this order
			return false
		}
		l := first(lanes)
		if l == nil {
			return false
		}
		id := l.id(p.Kind)
		if !seen[string(id)] {
			seen[string(id)] = true
			if test(id) {
				found = append(found, bytes.Clone(id))
			}
		}
		l.advance()
	}
	s.nodes[0].how = "walk in order of " + s.sorts[0].code
	s.walkTotal()
	s.slice(len(found), func(i int) (int, []byte) { return 0, found[i] })
	return true
}

// walkTotal counts the matches beside a walk that ended early.
func (s *searcher) walkTotal() {
	if s.total == "none" {
		return
	}
	if s.pos.total >= 0 {
		s.page.Total = &s.pos.total
		return
	}
	if s.total == "" && s.nodes[0].est > totalBudget/costSeek {
		return
	}
	if s.total == "estimate" {
		s.page.Total = &s.nodes[0].est
		return
	}
	n := 0
	c := s.open(s.nodes[0])
	for c.next() {
		n++
	}
	c.close()
	s.known(n)
}

// lane reads one space forwards or backwards.
type lane struct {
	it   Iterator
	back Reverser
	desc bool
	on   bool // stands on a key
	run  bool // has begun
}

func (l *lane) advance() {
	switch {
	case !l.desc:
		l.on = l.it.Next()
	case !l.run:
		l.on = l.back.Last()
	default:
		l.on = l.back.Prev()
	}
	l.run = true
}

// first returns the lane whose value comes first, nil at the end.
func first(lanes []*lane) *lane {
	var best *lane
	for _, l := range lanes {
		if !l.on {
			continue
		}
		if best == nil {
			best = l
			continue
		}
		c := bytes.Compare(l.it.Key()[key.PrefixLen:], best.it.Key()[key.PrefixLen:])
		if l.desc && c > 0 || !l.desc && c < 0 {
			best = l
		}
	}
	return best
}

// id takes the id from the key the lane stands on.
func (l *lane) id(k param.Kind) []byte {
	b := l.it.Key()[key.PrefixLen:]
	switch k {
	case param.Date, param.Number, param.Quantity:
		return b[key.IntervalLen:]
	case param.Token:
		_, rest, _ := key.CutText(b)
		return rest[key.HashLen:]
	}
	_, rest, _ := key.CutText(b)
	return rest
}

func closeLanes(r *run, lanes []*lane) {
	for _, l := range lanes {
		r.closed(l.it.Close())
	}
}
