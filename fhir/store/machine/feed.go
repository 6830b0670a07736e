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
	for {
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
			continue
		}
		defer m.views.release(s)
		var out []store.Change
		for size := 0; from <= s.st.seq && size < maxBytes; from++ {
			c, err := readChange(s.View, from)
			if err != nil {
				return nil, 0, err
			}
			size += len(c.Resource) + 256
			out = append(out, c)
		}
		return out, s.st.applied, nil
	}
}
