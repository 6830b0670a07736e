package machine

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// views shares one View among the readers of an offset and keeps those that
// page links may name.
type views struct {
	kv     KV
	clock  clock.Clock
	max    int
	keep   time.Duration
	mu     sync.Mutex
	latest *shared
	kept   map[int64]*shared
	closed bool
}

// shared is a View with its readers counted; views holds one count for latest
// and one for kept.
type shared struct {
	View
	st     state
	refs   int
	used   time.Time
	pinned bool
}

func newViews(kv KV, c clock.Clock, max int, keep time.Duration) *views {
	return &views{kv: kv, clock: c, max: max, keep: keep, kept: map[int64]*shared{}}
}

// take returns a view of at least offset applied, sharing the latest if it is
// that new.
func (v *views) take(applied int64) (*shared, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.latest == nil || v.latest.st.applied < applied || v.closed {
		view := v.kv.View()
		val, ok, err := view.Get(nil, stateKey)
		var st state
		if err == nil {
			st, err = decodeState(val, ok)
		}
		if err != nil {
			view.Close()
			return nil, err
		}
		s := &shared{View: view, st: st}
		if v.closed {
			s.refs = 1
			return s, nil
		}
		s.refs = 2
		if v.latest != nil {
			v.drop(v.latest)
		}
		v.latest = s
		return s, nil
	}
	v.latest.refs++
	return v.latest, nil
}

// at returns the kept view of exactly offset, nil if it is gone.
func (v *views) at(offset int64) *shared {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.kept[offset]
	if s == nil && v.latest != nil && v.latest.st.applied == offset {
		s = v.latest
	}
	if s == nil || s != v.latest && v.clock.Now().Sub(s.used) > v.keep {
		return nil
	}
	s.refs++
	s.used = v.clock.Now()
	return s
}

// refresh makes the next reader take a new view of the same offset.
func (v *views) refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.latest != nil {
		v.drop(v.latest)
		v.latest = nil
	}
}

// retain keeps s for at; the least recently used unpinned one makes room.
func (v *views) retain(s *shared, pin bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	s.used = v.clock.Now()
	s.pinned = s.pinned || pin
	if v.kept[s.st.applied] != nil {
		return
	}
	if len(v.kept) >= v.max {
		v.evict()
	}
	s.refs++
	v.kept[s.st.applied] = s
}

// evict makes room: an eighth at once, so that its cost is spread.
func (v *views) evict() {
	all := slices.Collect(maps.Values(v.kept))
	slices.SortFunc(all, func(a, b *shared) int {
		if a.pinned != b.pinned {
			if b.pinned {
				return -1
			}
			return 1
		}
		return a.used.Compare(b.used)
	})
	for _, s := range all[:max(len(all)/8, 1)] {
		delete(v.kept, s.st.applied)
		v.drop(s)
	}
}

// expire gives up what was not used for the retention time.
func (v *views) expire() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.clock.Now()
	for offset, s := range v.kept {
		if now.Sub(s.used) > v.keep {
			delete(v.kept, offset)
			v.drop(s)
		}
	}
}

// expireLoop calls expire now and then until ctx ends.
func (v *views) expireLoop(ctx context.Context) {
	tick := time.NewTicker(max(v.keep/10, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.expire()
		case <-ctx.Done():
			return
		}
	}
}

func (v *views) release(s *shared) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.drop(s)
}

func (v *views) drop(s *shared) error {
	if s.refs--; s.refs == 0 {
		return s.View.Close()
	}
	return nil
}

// closeAll gives up what is kept; readers still out close theirs.
func (v *views) closeAll() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.latest != nil {
		v.drop(v.latest)
		v.latest = nil
	}
	for offset, s := range v.kept {
		delete(v.kept, offset)
		v.drop(s)
	}
}

// Snapshot implements store.Reader.
func (m *Machine) Snapshot(ctx context.Context, min int64) (store.Snapshot, error) {
	if min > 0 { // 0 = any, also the state before the first record
		if err := m.await(ctx, min); err != nil {
			return nil, err
		}
	}
	s, err := m.views.take(m.Applied())
	if err != nil {
		return nil, err
	}
	return &snapshot{shared: s, views: m.views}, nil
}

// SnapshotAt implements store.Reader. States are kept in memory for
// Config.RetainFor after their last use, not over a restart.
func (m *Machine) SnapshotAt(ctx context.Context, offset int64) (store.Snapshot, error) {
	if err := m.await(ctx, offset); err != nil {
		return nil, err
	}
	if s := m.views.at(offset); s != nil {
		return &snapshot{shared: s, views: m.views}, nil
	}
	if m.Applied() == offset {
		s, err := m.views.take(offset)
		if err != nil {
			return nil, err
		}
		if s.st.applied == offset {
			return &snapshot{shared: s, views: m.views}, nil
		}
		m.views.release(s)
	}
	return nil, fault.New(fault.Gone, "the state at offset %d is no longer kept", offset).With(fault.Issue{Severity: "error",
		Code: "expired", Key: "page-expired", Text: "翻页链接已过期，请重新查询", TextEN: "the page link has expired: search again"})
}

// snapshot implements store.Snapshot and store.Pinner.
type snapshot struct {
	*shared
	views  *views
	closed bool
}

func (s *snapshot) Offset() int64 { return s.st.applied }

// Pin implements store.Pinner.
func (s *snapshot) Pin() { s.views.retain(s.shared, true) }

func (s *snapshot) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.views.release(s.shared)
}

func (s *snapshot) Read(typ, id string) (*store.Version, error) {
	return readCurrent(s.View, typ, id)
}

func (s *snapshot) VRead(typ, id string, version int64) (*store.Version, error) {
	v, err := readVersion(s.View, typ, id, version)
	if err == nil && v.Deleted() {
		return nil, gone(typ, id)
	}
	return v, err
}

// Index is where searches begin, so its state is kept for their next pages.
func (s *snapshot) Index() search.Index {
	s.views.retain(s.shared, false)
	return &index{get: s.View.Get, iter: s.View.Iter}
}

func gone(typ, id string) error {
	return refuse(fault.Gone, "deleted", "deleted", typ+"/"+id+" 已删除", typ+"/"+id+" is deleted")
}

func unknown(typ, id string) error {
	return refuse(fault.NotFound, "not-found", "unknown-id", typ+"/"+id+" 不存在", typ+"/"+id+" is not known")
}

func readCurrent(v View, typ, id string) (*store.Version, error) {
	val, ok, err := v.Get(nil, currentKey(nil, typ, id))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknown(typ, id)
	}
	w, err := decodeRow(val)
	if err != nil {
		return nil, err
	}
	if w.deleted() {
		return nil, gone(typ, id)
	}
	return w.toVersion(typ, id), nil
}

// readVersion returns a version, deletions too; fault.NotFound.
func readVersion(v View, typ, id string, version int64) (*store.Version, error) {
	w, err := readRow(v, typ, id, version)
	if err != nil {
		return nil, err
	}
	return w.toVersion(typ, id), nil
}

func readRow(v View, typ, id string, version int64) (row, error) {
	key := currentKey(nil, typ, id)
	val, ok, err := v.Get(nil, key)
	if err != nil {
		return row{}, err
	}
	if !ok {
		return row{}, unknown(typ, id)
	}
	w, err := decodeRow(val)
	if err != nil || w.version == version {
		return w, err
	}
	if val, ok, err = v.Get(nil, oldKey(key, typ, id, version)); err != nil {
		return row{}, err
	}
	if !ok {
		return row{}, unknown(typ, id)
	}
	return decodeRow(val)
}

// History implements store.Snapshot.
func (s *snapshot) History(q store.HistoryQuery) iter.Seq2[store.Change, error] {
	s.views.retain(s.shared, false)
	rows := s.systemRows
	switch {
	case q.ID != "":
		rows = s.instanceRows
	case q.Type != "":
		rows = s.typeRows
	}
	return func(yield func(store.Change, error) bool) {
		left := q.Limit
		for c, err := range rows(q) {
			if err != nil {
				yield(store.Change{}, err)
				return
			}
			// Times never go back along the sequence, so the rest is older too.
			if !q.Since.IsZero() && c.LastUpdated.Before(q.Since) {
				return
			}
			if !yield(c, nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

func (s *snapshot) systemRows(q store.HistoryQuery) iter.Seq2[store.Change, error] {
	lower := []byte{tabChange}
	if q.Before > 0 {
		lower = changeKey(nil, q.Before-1)
	}
	return s.changes(lower, []byte{tabChange + 1})
}

func (s *snapshot) typeRows(q store.HistoryQuery) iter.Seq2[store.Change, error] {
	prefix := append([]byte{tabType}, q.Type...)
	lower := append(prefix[:len(prefix):len(prefix)], 0)
	if q.Before > 0 {
		lower = typeKey(nil, q.Type, q.Before-1)
	}
	return s.changes(lower, append(prefix[:len(prefix):len(prefix)], 1))
}

// changes walks rows whose key ends in ^seq.
func (s *snapshot) changes(lower, upper []byte) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		it := s.View.Iter(lower, upper)
		defer it.Close()
		for it.Next() {
			c, err := readChange(s.View, seqOf(it.Key()))
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := it.Close(); err != nil {
			yield(store.Change{}, err)
		}
	}
}

func readChange(v View, seq int64) (store.Change, error) {
	val, ok, err := v.Get(nil, changeKey(nil, seq))
	if err == nil && !ok {
		err = fault.New(fault.Internal, "change %d is missing", seq)
	}
	if err != nil {
		return store.Change{}, err
	}
	typ, id, version, err := decodeChange(val)
	if err != nil {
		return store.Change{}, err
	}
	ver, err := readVersion(v, typ, id, version)
	return store.Change{Seq: seq, Version: ver}, err
}

func (s *snapshot) instanceRows(q store.HistoryQuery) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		key := currentKey(nil, q.Type, q.ID)
		val, ok, err := s.View.Get(nil, key)
		if err == nil && !ok {
			err = unknown(q.Type, q.ID)
		}
		if err != nil {
			yield(store.Change{}, err)
			return
		}
		w, err := decodeRow(val)
		for {
			if err != nil {
				yield(store.Change{}, err)
				return
			}
			if q.Before == 0 || w.seq < q.Before {
				if !yield(store.Change{Seq: w.seq, Version: w.toVersion(q.Type, q.ID)}, nil) {
					return
				}
			}
			if w.version == 1 {
				return
			}
			if val, ok, err = s.View.Get(nil, oldKey(key, q.Type, q.ID, w.version-1)); err == nil && !ok {
				return // older versions were compacted
			}
			if err == nil {
				w, err = decodeRow(val)
			}
		}
	}
}

// index implements search.Index over the index table.
type index struct {
	get  func(dst, key []byte) ([]byte, bool, error)
	iter func(lower, upper []byte) search.Iterator
	key  []byte
	buf  []byte
}

func (x *index) Iter(lower, upper []byte) search.Iterator {
	hi := []byte{tabIndex + 1}
	if upper != nil {
		hi = indexKey(nil, upper)
	}
	return &indexIter{it: x.iter(indexKey(nil, lower), hi)}
}

func (x *index) Get(key []byte) ([]byte, bool, error) {
	x.key = indexKey(x.key, key)
	val, ok, err := x.get(x.buf, x.key)
	x.buf = val
	return val, ok, err
}

func (x *index) Resource(typ, id string) ([]byte, bool, error) {
	x.key = currentKey(x.key, typ, id)
	val, ok, err := x.get(nil, x.key)
	if err != nil || !ok {
		return nil, false, err
	}
	w, err := decodeRow(val)
	return w.json, err == nil && !w.deleted(), err
}

type indexIter struct {
	it  search.Iterator
	key []byte
}

func (i *indexIter) Next() bool { return i.it.Next() }
func (i *indexIter) SeekGE(key []byte) bool {
	i.key = indexKey(i.key, key)
	return i.it.SeekGE(i.key)
}

// Last and Prev walk backwards where the table below can; else they find nothing.
func (i *indexIter) Last() bool {
	r, ok := i.it.(search.Reverser)
	return ok && r.Last()
}

func (i *indexIter) Prev() bool {
	r, ok := i.it.(search.Reverser)
	return ok && r.Prev()
}

func (i *indexIter) Key() []byte   { return i.it.Key()[1:] }
func (i *indexIter) Value() []byte { return i.it.Value() }
func (i *indexIter) Close() error  { return i.it.Close() }
