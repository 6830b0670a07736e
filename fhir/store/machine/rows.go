package machine

import (
	"hash/maphash"
	"sync"
)

// rows keeps current versions that were read lately. One read costs a block of
// 32 KiB otherwise; what is asked for again and again lies on few pages but in
// many blocks. A row is right for every view that has applied its offset, since
// a write takes it out before it can be seen. Safe for concurrent use.
type rows struct {
	seed   maphash.Seed
	shards [rowShards]rowShard
}

const (
	rowShards   = 64
	rowOverhead = 160     // bytes of an entry beside key and JSON
	rowLargest  = 1 << 16 // larger rows would push out many
)

// rowShard is a least recently used list.
type rowShard struct {
	mu      sync.Mutex
	byKey   map[string]*rowEntry
	list    rowEntry // ring: next is the newest, prev the oldest
	bytes   int64
	most    int64
	written int64 // highest log offset that wrote a row of this shard
}

type rowEntry struct {
	key        string
	row        row
	next, prev *rowEntry
}

// newRows returns a cache of about so many bytes.
func newRows(bytes int64) *rows {
	c := &rows{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.byKey, s.most = map[string]*rowEntry{}, bytes/rowShards
		s.list.next, s.list.prev = &s.list, &s.list
		s.written = -1
	}
	return c
}

func (c *rows) shard(key []byte) *rowShard {
	return &c.shards[maphash.Bytes(c.seed, key)%rowShards]
}

// get returns the row under a current key as a view sees it that has applied at.
func (c *rows) get(key []byte, at int64) (row, bool) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[string(key)]
	if e == nil || e.row.offset > at {
		return row{}, false
	}
	e.unlink()
	s.link(e)
	return e.row, true
}

// put keeps what a view that has applied at found; not if the row may have been
// written since.
func (c *rows) put(key []byte, w row, at int64) {
	size := int64(len(key) + len(w.json) + rowOverhead)
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if size > min(rowLargest, s.most) || s.written > at || s.byKey[string(key)] != nil {
		return
	}
	e := &rowEntry{key: string(key), row: w}
	s.byKey[e.key] = e
	s.link(e)
	for s.bytes += size; s.bytes > s.most; {
		s.drop(s.list.prev)
	}
}

// wrote takes the row out that the record at offset writes, before its batch is
// committed.
func (c *rows) wrote(key []byte, offset int64) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = max(s.written, offset)
	if e := s.byKey[string(key)]; e != nil {
		s.drop(e)
	}
}

func (s *rowShard) drop(e *rowEntry) {
	e.unlink()
	delete(s.byKey, e.key)
	s.bytes -= int64(len(e.key) + len(e.row.json) + rowOverhead)
}

func (s *rowShard) link(e *rowEntry) {
	e.next, e.prev = s.list.next, &s.list
	e.next.prev, e.prev.next = e, e
}

func (e *rowEntry) unlink() { e.next.prev, e.prev.next = e.prev, e.next }
