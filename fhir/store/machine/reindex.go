package machine

import (
	"context"
	"strings"

	"github.com/qihuang-health/qihuang/fhir"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// indexing is the indexer in use and, during a reindex, the one before it.
type indexing struct {
	number int // counts the indexers of this process
	now    store.Indexer
	before store.Indexer // nil but during a reindex
}

// oldKeys returns every key that a resource may have in the index.
func (x *indexing) oldKeys(typ, id string, json []byte) ([][]byte, error) {
	tree, err := fhir.Parse(json)
	if err != nil {
		return nil, err
	}
	keys, err := x.now.Keys(nil, typ, id, tree.Root())
	if err != nil || x.before == nil {
		return keys, err
	}
	return x.before.Keys(keys, typ, id, tree.Root())
}

// reindexing is a request to index everything anew.
type reindexing struct {
	ctx      context.Context
	next     store.Indexer
	progress func(resources int64)
	cursor   []byte
	count    int64
	done     chan error
}

const reindexChunk = 64 // resources between two transactions

// Reindex puts next in the place of the indexer and indexes every current
// resource with it, between transactions, which go on. Searches for what only
// next knows are complete when it returns nil. progress, which may be nil, is
// told how many resources are done. If it is interrupted (ctx, the end of the
// process), start again with next as Config.Indexer and call it once more: until
// then the index holds keys of both. One at a time.
func (m *Machine) Reindex(ctx context.Context, next store.Indexer, progress func(resources int64)) error {
	r := &reindexing{ctx: ctx, next: next, progress: progress, cursor: []byte{tabCurrent}, done: make(chan error, 1)}
	select {
	case m.reindex <- r:
		return <-r.done
	case <-ctx.Done():
		return ctx.Err()
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
				x := m.index.Load()
				m.index.Store(&indexing{number: x.number + 1, now: r.next, before: x.now})
				m.active = r
			}
		}
		finished, err := m.reindexSome(m.active)
		if err != nil {
			m.active.done <- err
			m.active = nil
			return nil, false, err
		}
		if finished {
			m.active = nil
		}
		select {
		case j, more = <-jobs:
			return j, more, nil
		default:
		}
	}
}

// reindexSome indexes the next chunk. Errors are the database's.
func (m *Machine) reindexSome(r *reindexing) (finished bool, err error) {
	if err := r.ctx.Err(); err != nil {
		r.done <- fault.New(fault.Unavailable, "reindex stopped after %d resources: %w", r.count, err)
		return true, nil
	}
	x := m.index.Load()
	g := &guarded{Batch: m.kv.Begin(false)}
	defer g.Discard()
	it := g.Iter(r.cursor, []byte{tabCurrent + 1})
	defer it.Close()
	n := 0
	for n < reindexChunk && it.Next() {
		n++
		r.cursor = append(append(r.cursor[:0], it.Key()...), 0)
		w, err := decodeRow(it.Value())
		if err != nil {
			return false, err
		}
		typ, id, _ := strings.Cut(string(it.Key()[1:]), "\x00")
		if w.deleted() {
			continue
		}
		if err := reindexOne(g, x, typ, id, w.json); err != nil {
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
	if n == reindexChunk {
		return false, nil
	}
	m.index.Store(&indexing{number: x.number, now: x.now})
	m.views.refresh()
	r.done <- nil
	return true, nil
}

// reindexOne moves one resource from the keys of before to those of now. A
// resource that now refuses keeps no keys.
func reindexOne(g *guarded, x *indexing, typ, id string, json []byte) error {
	tree, err := fhir.Parse(json)
	if err != nil {
		return err
	}
	old, err := x.before.Keys(nil, typ, id, tree.Root())
	if err != nil {
		old = nil
	}
	keys, err := x.now.Keys(nil, typ, id, tree.Root())
	if err != nil {
		keys = nil
	}
	var key []byte
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
