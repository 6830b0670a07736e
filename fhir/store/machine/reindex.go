package machine

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// indexing is the indexer in use, the one before it while a reindex runs, and
// the one that knows what is to be offered while its keys are built.
type indexing struct {
	number int // counts the indexers of this process
	now    store.Indexer
	before store.Indexer // nil but during a reindex
	next   store.Indexer // nil but from the beginning of a build to its Offer
	owned  []search.Owned
}

// keys are those a resource gets: with what is being built, which nobody asks for yet.
func (x *indexing) keys(dst [][]byte, typ, id string, root fhir.Node) ([][]byte, error) {
	dst, err := x.now.Keys(dst, typ, id, root)
	if err != nil || x.next == nil {
		return dst, err
	}
	return x.next.Keys(dst, typ, id, root)
}

// timeless are the keys of a resource that was last updated never, without
// those that say so.
func (x *indexing) timeless(typ, id string, root fhir.Node) ([][]byte, error) {
	keys, err := x.keys(nil, typ, id, root)
	if err != nil {
		return nil, err
	}
	timed, err := x.timeKeys(nil, typ, id, never)
	return slices.DeleteFunc(keys, func(k []byte) bool {
		return slices.ContainsFunc(timed, func(t []byte) bool { return bytes.Equal(k, t) })
	}), err
}

// timeKeys appends the keys that a resource has of its lastUpdated.
func (x *indexing) timeKeys(dst [][]byte, typ, id, lastUpdated string) ([][]byte, error) {
	dst, err := x.now.TimeKeys(dst, typ, id, lastUpdated)
	if err != nil || x.next == nil {
		return dst, err
	}
	return x.next.TimeKeys(dst, typ, id, lastUpdated)
}

// oldKeys returns every key that a resource may have in the index.
func (x *indexing) oldKeys(typ, id string, json []byte) ([][]byte, error) {
	tree, err := fhir.Parse(json)
	if err != nil {
		return nil, err
	}
	keys, err := x.keys(nil, typ, id, tree.Root())
	if err != nil || x.before == nil {
		return keys, err
	}
	return x.before.Keys(keys, typ, id, tree.Root())
}

// reindexing is a request to index everything anew, or to build the keys of
// what is to be offered.
type reindexing struct {
	ctx      context.Context
	next     store.Indexer // in the place of the indexer; nil = the same again
	build    *building     // nil for a reindex
	progress func(resources int64)
	cursor   []byte
	count    int64
	done     chan error
}

const reindexChunk = 64 // resources between two transactions

// Reindex puts next in the place of the indexer, which stays with nil, and
// indexes every current resource with it, between transactions, which go on.
// Searches for what only next knows are complete when it returns nil. progress,
// which may be nil, is told how many resources are done. If it is interrupted
// (ctx, the end of the process), start again with next as Config.Indexer and call
// it once more: until then the index holds keys of both. One at a time.
func (m *Machine) Reindex(ctx context.Context, next store.Indexer, progress func(resources int64)) error {
	return m.request(&reindexing{ctx: ctx, next: next, progress: progress})
}

func (m *Machine) request(r *reindexing) error {
	r.cursor, r.done = []byte{tabCurrent}, make(chan error, 1)
	select {
	case m.reindex <- r:
		return <-r.done
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// nextJob returns the next record to apply; while it waits it serves a reindex,
// and a busy log lets the reindex do a chunk after each record.
func (m *Machine) nextJob(jobs <-chan *job) (j *job, more bool, err error) {
	for {
		if m.active == nil {
			select {
			case j, more = <-jobs:
				return j, more, nil
			case r := <-m.reindex:
				if err := m.begin(r); err != nil {
					r.done <- err
					return nil, false, err
				}
			}
		}
		if err := m.advance(); err != nil {
			return nil, false, err
		}
		select {
		case j, more = <-jobs:
			return j, more, nil
		default:
		}
	}
}

// begin makes r the active one. Errors are the database's.
func (m *Machine) begin(r *reindexing) error {
	m.active = r
	if r.build != nil {
		return m.beginBuild(r.build)
	}
	x := *m.index.Load()
	x.number, x.before = x.number+1, x.now
	if r.next != nil {
		x.now = r.next
	}
	m.index.Store(&x)
	return nil
}

// advance does a chunk of what is active. Errors are the database's.
func (m *Machine) advance() error {
	r := m.active
	if err := r.ctx.Err(); err != nil {
		m.active = nil
		r.done <- fault.New(fault.Unavailable, "reindex stopped after %d resources: %w", r.count, err)
		return nil
	}
	finished, err := m.reindexSome(r)
	if err != nil || finished {
		m.active = nil
		if finished {
			m.end(r)
		}
		r.done <- err
	}
	return err
}

// end puts what r made to use.
func (m *Machine) end(r *reindexing) {
	if r.build != nil {
		r.build.complete = true
		return
	}
	x := *m.index.Load()
	x.before = nil
	m.index.Store(&x)
	m.use(m.st.offered, x.now)
	m.views.refresh()
}

// reindexSome indexes the next chunk in a batch of its own.
func (m *Machine) reindexSome(r *reindexing) (finished bool, err error) {
	g := &guarded{Batch: m.kv.Begin(false)}
	defer g.Discard()
	it := g.Iter(r.cursor, []byte{tabCurrent + 1})
	defer it.Close()
	n := 0
	for ok := it.Next(); ok && n < reindexChunk; ok = it.Next() {
		r.cursor = append(append(r.cursor[:0], it.Key()...), 0)
		typ, id, _ := strings.Cut(string(it.Key()[1:]), "\x00")
		if r.build != nil && !r.build.touches(typ) {
			r.cursor = append(append(r.cursor[:0], tabCurrent), typ+"\x01"...)
			if !it.SeekGE(r.cursor) {
				break
			}
			typ, id, _ = strings.Cut(string(it.Key()[1:]), "\x00")
			r.cursor = append(append(r.cursor[:0], it.Key()...), 0)
		}
		n++
		w, err := decodeRow(it.Value())
		if err != nil {
			return false, err
		}
		if w.deleted() {
			continue
		}
		if err := m.reindexOne(g, r, typ, id, w.json); err != nil {
			return false, err
		}
	}
	if err := it.Close(); err != nil {
		return false, err
	}
	if err := g.Commit(); err != nil {
		return false, err
	}
	r.count += int64(n)
	if r.progress != nil {
		r.progress(r.count)
	}
	return n < reindexChunk, nil
}

// reindexOne moves one resource from the keys of before to those of now, or adds
// what is built. A resource that an indexer refuses keeps no keys of it.
func (m *Machine) reindexOne(g *guarded, r *reindexing, typ, id string, json []byte) error {
	tree, err := fhir.Parse(json)
	if err != nil {
		return err
	}
	var key []byte
	if r.build != nil {
		keys, err := r.build.indexer.Keys(nil, typ, id, tree.Root())
		if err != nil {
			return nil
		}
		for _, k := range keys {
			if !r.build.makes(k) {
				continue
			}
			key = indexKey(key, k)
			if err := g.Set(key, nil); err != nil {
				return err
			}
		}
		return nil
	}
	x := m.index.Load()
	old, err := x.before.Keys(nil, typ, id, tree.Root())
	if err != nil {
		old = nil
	}
	keys, err := x.now.Keys(nil, typ, id, tree.Root())
	if err != nil {
		keys = nil
	}
	for _, k := range old {
		key = indexKey(key, k)
		if err := g.Delete(key); err != nil {
			return err
		}
	}
	for _, k := range keys {
		key = indexKey(key, k)
		if err := g.Set(key, nil); err != nil {
			return err
		}
	}
	return nil
}

// prefixed reports whether k begins with one of the owned prefixes.
func prefixed(owned []search.Owned, k []byte) bool {
	for i := range owned {
		if bytes.HasPrefix(k, owned[i].Prefix) {
			return true
		}
	}
	return false
}
