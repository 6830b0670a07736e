package machine

import (
	"context"
	"strconv"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

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
	return m.snapshot(s), nil
}

func (m *Machine) snapshot(s *shared) *snapshot {
	return &snapshot{shared: s, views: m.views, rows: m.rows, engine: m.engineOf(s.st.offered)}
}

// SnapshotAt implements store.Reader. States are kept in memory for
// Config.RetainFor after their last use, not over a restart.
func (m *Machine) SnapshotAt(ctx context.Context, offset int64) (store.Snapshot, error) {
	if err := m.await(ctx, offset); err != nil {
		return nil, err
	}
	if s := m.views.at(offset); s != nil {
		return m.snapshot(s), nil
	}
	if m.Applied() == offset {
		s, err := m.views.take(offset)
		if err != nil {
			return nil, err
		}
		if s.st.applied == offset {
			return m.snapshot(s), nil
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
	rows   *rows
	engine *search.Engine // who made the index keys; nil in tests with a toy
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
	w, ok, err := s.current(currentKey(nil, typ, id))
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, unknown(typ, id)
	case w.deleted():
		return nil, gone(typ, id)
	}
	return w.toVersion(typ, id), nil
}

// current reads the row under a current key.
func (s *snapshot) current(key []byte) (w row, ok bool, err error) {
	if w, ok = s.rows.get(key, s.st.applied); ok {
		return w, true, nil
	}
	val, ok, err := s.View.Get(nil, key)
	if err != nil || !ok {
		return w, false, err
	}
	if w, err = decodeRow(val); err == nil {
		s.rows.put(key, w, s.st.applied)
	}
	return w, err == nil, err
}

func (s *snapshot) VRead(typ, id string, version int64) (*store.Version, error) {
	v, err := readVersion(s.View, typ, id, version)
	if fault.Is(err, fault.NotFound) {
		n := strconv.FormatInt(version, 10)
		return nil, refuse(fault.NotFound, "not-found", "unknown-version", typ+"/"+id+" 没有版本 "+n, typ+"/"+id+" has no version "+n)
	}
	if err == nil && v.Deleted() {
		return nil, gone(typ, id)
	}
	return v, err
}

// Index is where searches begin, so its state is kept for their next pages.
func (s *snapshot) Index() search.Index {
	s.views.retain(s.shared, false)
	return &index{get: s.View.Get, iter: s.View.Iter, current: s.current, engine: s.engine}
}

func gone(typ, id string) error {
	return refuse(fault.Gone, "deleted", "deleted", typ+"/"+id+" 已删除", typ+"/"+id+" is deleted")
}

func unknown(typ, id string) error {
	return refuse(fault.NotFound, "not-found", "unknown-id", typ+"/"+id+" 不存在", typ+"/"+id+" is not known")
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

// index implements search.Extended over the index table.
type index struct {
	get     func(dst, key []byte) ([]byte, bool, error)
	iter    func(lower, upper []byte) search.Iterator
	current func(key []byte) (row, bool, error) // reads the row under a current key
	engine  *search.Engine
	key     []byte
	buf     []byte
}

func (x *index) Engine() *search.Engine { return x.engine }

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
	w, ok, err := x.current(x.key)
	return w.json, ok && !w.deleted(), err
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
