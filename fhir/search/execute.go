package search

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"

	"github.com/qihuang-health/qihuang/fhir/search/key"
)

// totalBudget is the work a total nobody asked for may cost: a part of a millisecond.
const totalBudget = 1_000

// position is where a page begins.
type position struct {
	offset int    // matches before it
	typ    int    // index of the type of the last match before it
	last   []byte // encoded id of that match; nil = skip offset matches
	total  int    // as found on an earlier page, -1 if unknown
}

// execute fills the page: the matches, the total, what is included.
func (s *searcher) execute() error {
	for _, n := range s.nodes {
		if n.op != opLeaf && n.op != opAll || len(s.sorts) > 0 || s.total == "estimate" || s.req.Explain {
			s.estimate(n)
		}
	}
	var err error
	switch {
	case s.count == 0:
		s.wholeTotal()
	case len(s.sorts) > 0:
		err = s.sorted()
	default:
		s.inOrder()
	}
	if s.err == nil && err == nil {
		s.include()
	}
	if s.req.Explain {
		s.page.Plan = s.plan()
	}
	if err == nil {
		err = s.err
	}
	return err
}

func (s *searcher) wholeTotal() {
	n := 0
	for _, node := range s.nodes {
		if k, ok := s.countKeys(node); ok {
			n += k
			continue
		}
		c := s.open(node)
		for c.next() {
			n++
		}
		c.close()
	}
	s.page.Total = &n
}

// countKeys counts the matches of a condition that is one run of keys, each of
// another resource: nothing need be looked at but how many there are.
func (s *searcher) countKeys(n *node) (int, bool) {
	if n.op != opLeaf {
		return 0, false
	}
	s.refine(n.leaf)
	if !s.walks(n) || n.leaf.spans[0].cut != nil {
		return 0, false
	}
	n.how = "count"
	const piece = 1024 // keys between two looks at the limits
	it, k := s.ix.Iter(n.leaf.spans[0].lower, n.leaf.spans[0].upper), 0
	for it.Next() {
		if k++; k%piece == 0 && !s.spend(piece) {
			break
		}
	}
	s.spend(k % piece)
	s.closed(it.Close())
	return k, true
}

// inOrder fills the page with matches in the order of types and ids.
func (s *searcher) inOrder() {
	skip := 0
	if s.pos.last == nil {
		skip = s.pos.offset
	}
	seen, more := s.pos.offset, false
	for i := s.pos.typ; i < len(s.nodes) && !more && s.err == nil; i++ {
		c := s.open(s.nodes[i])
		ok := s.begin(c, i)
		for ; ok; ok = c.next() {
			if skip > 0 {
				skip--
				continue
			}
			if len(s.page.Matches) == s.count {
				more = true
				break
			}
			s.match(i, c.id())
		}
		if more {
			s.finishTotal(c, i, seen+s.count)
		}
		c.close()
	}
	if !more {
		s.known(seen + len(s.page.Matches))
	}
	if more {
		s.page.Next = s.cursor(position{seen + s.count, s.pos.typ, s.pos.last, s.pos.total})
	}
	s.back()
}

// begin moves a cursor to the first match of the page.
func (s *searcher) begin(c cursor, i int) bool {
	if s.pos.last == nil || i != s.pos.typ {
		return c.next()
	}
	if !c.seek(s.pos.last) {
		return false
	}
	if bytes.Equal(c.id(), s.pos.last) {
		return c.next()
	}
	return true
}

func (s *searcher) match(i int, id []byte) {
	s.page.Matches = append(s.page.Matches, Match{Type: s.types[i].Name, ID: key.ID(id), Mode: ModeMatch})
	if len(s.page.Matches) == s.count {
		s.pos.typ, s.pos.last = i, bytes.Clone(id)
	}
}

// known notes the total of a result that was read to its end.
func (s *searcher) known(n int) {
	if s.total != "none" {
		s.page.Total = &n
		s.pos.total = n
	}
}

// finishTotal counts on from the first match behind the page, of which c is
// the cursor and n the matches before it.
func (s *searcher) finishTotal(c cursor, i, n int) {
	switch {
	case s.total == "none":
		return
	case s.pos.total >= 0:
		s.page.Total = &s.pos.total
		return
	}
	guess := 0
	for _, node := range s.nodes {
		if node.est == 0 && s.total != "accurate" { // there was nothing to choose
			s.estimate(node)
		}
		guess += node.est
	}
	guess = max(guess, n+1)
	switch {
	case s.total == "estimate":
		s.page.Total = &guess
		return
	case s.total != "accurate" && guess > totalBudget:
		return // it would be for nothing, most likely
	}
	stop := s.cost + totalBudget
	if s.total == "accurate" {
		stop = s.limit
	}
	n++
	for ok := true; ok; i++ {
		for c.next() {
			if n++; s.cost > stop {
				return
			}
		}
		if ok = i+1 < len(s.nodes); ok {
			c = s.open(s.nodes[i+1])
			defer c.close()
		}
	}
	if s.err == nil {
		s.known(n)
	}
}

// back sets the cursor of the page before.
func (s *searcher) back() {
	if s.start > 0 {
		s.page.Prev = s.cursor(position{max(0, s.start-s.count), 0, nil, s.pos.total})
	}
}

// cursor writes a position so that it can stand in a link. It is bound to the
// query: to use it with another is an error.
func (s *searcher) cursor(p position) string {
	b := binary.BigEndian.AppendUint32([]byte{cursorVersion}, s.fingerprint())
	b = binary.AppendUvarint(b, uint64(p.offset))
	b = binary.AppendUvarint(b, uint64(p.total+1))
	b = binary.AppendUvarint(b, uint64(p.typ))
	return base64.RawURLEncoding.EncodeToString(append(b, p.last...))
}

const cursorVersion = 1

// fingerprint tells searches apart by what took effect: the links of a lenient
// search leave out what was ignored.
func (s *searcher) fingerprint() uint32 {
	h := fnv.New32a()
	parts := append([]string{s.req.Type}, s.page.Applied...)
	if c := s.req.Compartment; c != nil {
		parts = append(parts, c.Type, c.ID)
	}
	for _, p := range parts {
		_, _ = h.Write(append([]byte(p), 0))
	}
	return h.Sum32()
}

// resume reads the cursor of the request.
func (s *searcher) resume() error {
	s.pos.total = -1
	if s.req.Cursor == "" {
		return nil
	}
	bad := invalid("bad-cursor", "翻页链接无效或不属于这个检索", "the paging link is damaged or belongs to another search", "")
	b, err := base64.RawURLEncoding.DecodeString(s.req.Cursor)
	if err != nil || len(b) < 8 || b[0] != cursorVersion || binary.BigEndian.Uint32(b[1:]) != s.fingerprint() {
		return bad
	}
	b = b[5:]
	var v [3]uint64
	for i := range v {
		n := 0
		if v[i], n = binary.Uvarint(b); n <= 0 || v[i] > 1<<40 {
			return bad
		}
		b = b[n:]
	}
	s.pos = position{offset: int(v[0]), total: int(v[1]) - 1, typ: int(v[2])}
	if len(b) > 0 {
		s.pos.last = b
	}
	if s.pos.typ >= max(1, len(s.types)) {
		return bad
	}
	s.start = s.pos.offset
	return nil
}
