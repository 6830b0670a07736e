package machine

import (
	"context"
	"sort"

	"github.com/qihuang-health/qihuang/fhir/store"
)

// FirstSeq implements store.Feed: a binary search, since offsets grow with the
// sequence.
func (m *Machine) FirstSeq(ctx context.Context, offset int64) (int64, error) {
	s, err := m.views.take(m.Applied())
	if err != nil {
		return 0, err
	}
	defer m.views.release(s)
	n := sort.Search(int(s.st.seq), func(i int) bool {
		if err != nil {
			return true
		}
		var c store.Change
		var ok bool
		c, ok, err = lastChange(s.View, int64(i)+1)
		return err != nil || ok && c.Offset >= offset
	})
	return int64(n) + 1, err
}

// lastChange reads the newest change kept of those up to seq.
func lastChange(v View, seq int64) (c store.Change, ok bool, err error) {
	it := v.Iter(changeKey(nil, seq), []byte{tabChange + 1})
	if it.Next() {
		seq, ok = seqOf(it.Key()), true
	}
	if err := it.Close(); err != nil || !ok {
		return store.Change{}, false, err
	}
	return readChange(v, seq)
}

// Changes implements store.Feed.
func (m *Machine) Changes(ctx context.Context, from int64, maxBytes int) ([]store.Change, int64, error) {
	s, err := m.views.take(m.Applied())
	if err != nil {
		return nil, 0, err
	}
	if s.st.seq < from {
		applied := s.st.applied
		m.views.release(s)
		if err := m.await(ctx, applied+1); err != nil {
			return nil, applied, err
		}
		if s, err = m.views.take(m.Applied()); err != nil {
			return nil, 0, err
		}
	}
	defer m.views.release(s)
	return readChanges(s, from, maxBytes)
}

func readChanges(s *shared, from int64, maxBytes int) (out []store.Change, through int64, err error) {
	for size := 0; from <= s.st.seq; from++ {
		c, ok, err := readChange(s.View, from)
		if err != nil {
			return nil, 0, err
		}
		if !ok { // dropped by Retention or a purge
			continue
		}
		if size >= maxBytes && len(out) > 0 {
			return out, c.Offset - 1, nil
		}
		size += len(c.Resource) + 256
		out = append(out, c)
	}
	return out, s.st.applied, nil
}
