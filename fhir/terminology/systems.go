package terminology

import (
	"context"
	"maps"
	"slices"
)

// Systems returns the urls of the code systems that the service knows, sorted.
// Errors: those of bringing the service up to what is stored.
func (s *Service) Systems(ctx context.Context) ([]string, error) {
	if s.refresh != nil {
		if err := s.refresh(ctx); err != nil {
			return nil, err
		}
	}
	st := s.state.Load()
	urls := slices.AppendSeq(slices.Collect(maps.Keys(st.base.byURL[kindCodeSystem])), maps.Keys(st.over.byURL[kindCodeSystem]))
	slices.Sort(urls)
	return slices.Compact(urls), nil
}
