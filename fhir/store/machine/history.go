package machine

import (
	"iter"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
)

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
			c, ok, err := readChange(s.View, seqOf(it.Key()))
			if err == nil && !ok {
				err = fault.New(fault.Internal, "change %d is missing", seqOf(it.Key()))
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := it.Close(); err != nil {
			yield(store.Change{}, err)
		}
	}
}

// readChange reads one change; ok is false if it was dropped.
func readChange(v View, seq int64) (c store.Change, ok bool, err error) {
	val, ok, err := v.Get(nil, changeKey(nil, seq))
	if err != nil || !ok {
		return store.Change{}, false, err
	}
	typ, id, version, err := decodeChange(val)
	if err != nil {
		return store.Change{}, false, err
	}
	ver, err := readVersion(v, typ, id, version)
	return store.Change{Seq: seq, Version: ver}, err == nil, err
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
