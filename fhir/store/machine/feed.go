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
		c, err = readChange(s.View, int64(i)+1)
		return err != nil || c.Offset >= offset
	})
	return int64(n) + 1, err
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
		c, err := readChange(s.View, from)
		if err != nil {
			return nil, 0, err
		}
		if size >= maxBytes && len(out) > 0 {
			return out, c.Offset - 1, nil
		}
		size += len(c.Resource) + 256
		out = append(out, c)
	}
	return out, s.st.applied, nil
}
