package search

import (
	"bytes"
)

// cursor walks distinct encoded ids in ascending order. It starts before the
// first. The id is valid until the next move.
type cursor interface {
	// seek moves to the first id >= target, which must not lie behind the
	// current one; false at the end or on error (see run.err).
	seek(target []byte) bool
	// next moves on.
	next() bool
	id() []byte
	close()
}

// spanCursor walks a span whose ids ascend.
type spanCursor struct {
	r   *run
	s   *span
	it  Iterator
	cur []byte
	buf []byte
}

func (c *spanCursor) take(ok bool) bool {
	for ; ok; ok = c.it.Next() {
		if !c.r.spend(1) {
			return false
		}
		if id, good := c.s.id(c.it.Key()); good && !bytes.Equal(id, c.cur) {
			c.cur = append(c.cur[:0], id...)
			return true
		}
	}
	return false
}

func (c *spanCursor) next() bool { return c.take(c.it.Next()) }

func (c *spanCursor) seek(target []byte) bool {
	if len(c.cur) > 0 && bytes.Compare(c.cur, target) >= 0 {
		return true
	}
	c.r.spend(costSeek)
	c.buf = append(append(c.buf[:0], c.s.lower...), target...)
	return c.take(c.it.SeekGE(c.buf))
}

func (c *spanCursor) id() []byte { return c.cur }
func (c *spanCursor) close()     { c.r.closed(c.it.Close()) }

// setCursor walks a set.
type setCursor struct {
	ids [][]byte
	i   int // of the current id plus one
}

func (c *setCursor) next() bool {
	if c.i > len(c.ids) {
		return false
	}
	c.i++
	return c.i <= len(c.ids)
}

// seek gallops: twice as far each time, then halves.
func (c *setCursor) seek(target []byte) bool {
	lo, step := max(c.i-1, 0), 1
	for lo+step < len(c.ids) && bytes.Compare(c.ids[lo+step], target) < 0 {
		lo += step
		step *= 2
	}
	hi := min(lo+step, len(c.ids))
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); bytes.Compare(c.ids[mid], target) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	c.i = lo + 1
	return lo < len(c.ids)
}

func (c *setCursor) id() []byte { return c.ids[c.i-1] }
func (c *setCursor) close()     {}

// unionCursor walks what any of its parts has.
type unionCursor struct {
	parts []cursor // those not at their end
	done  []cursor
	begun bool
	cur   []byte
}

func (c *unionCursor) next() bool {
	return c.move(func(p cursor) bool {
		if !c.begun || bytes.Equal(p.id(), c.cur) {
			return p.next()
		}
		return true
	})
}

func (c *unionCursor) seek(target []byte) bool {
	return c.move(func(p cursor) bool { return p.seek(target) })
}

// move advances the parts and settles on the smallest id.
func (c *unionCursor) move(advance func(cursor) bool) bool {
	var least []byte
	live := c.parts[:0]
	for _, p := range c.parts {
		if !advance(p) {
			c.done = append(c.done, p)
			continue
		}
		live = append(live, p)
		if id := p.id(); least == nil || bytes.Compare(id, least) < 0 {
			least = id
		}
	}
	c.parts, c.begun = live, true
	if least == nil {
		return false
	}
	c.cur = append(c.cur[:0], least...)
	return true
}

func (c *unionCursor) id() []byte { return c.cur }

func (c *unionCursor) close() {
	for _, p := range append(c.parts, c.done...) {
		p.close()
	}
}

// joinCursor walks what the first part has and the other parts and all tests
// agree to.
type joinCursor struct {
	r     *run
	lead  cursor
	parts []cursor
	tests []func(id []byte) bool
}

func (c *joinCursor) settle(ok bool) bool {
	for ok && c.r.err == nil {
		target := c.lead.id()
		aligned := true
		for _, p := range c.parts {
			if !p.seek(target) {
				return false
			}
			if id := p.id(); !bytes.Equal(id, target) {
				ok, aligned = c.lead.seek(id), false
				break
			}
		}
		if !aligned {
			continue
		}
		if c.passes(target) {
			return c.r.err == nil
		}
		ok = c.lead.next()
	}
	return false
}

func (c *joinCursor) passes(id []byte) bool {
	for _, t := range c.tests {
		if !t(id) {
			return false
		}
	}
	return true
}

func (c *joinCursor) next() bool              { return c.settle(c.lead.next()) }
func (c *joinCursor) seek(target []byte) bool { return c.settle(c.lead.seek(target)) }
func (c *joinCursor) id() []byte              { return c.lead.id() }

func (c *joinCursor) close() {
	c.lead.close()
	for _, p := range c.parts {
		p.close()
	}
}
