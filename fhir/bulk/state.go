package bulk

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// state remembers finished chunks in a file, one key a line, so that an
// interrupted load goes on where it was. The nil state remembers nothing.
type state struct {
	mu   sync.Mutex
	seen map[string]bool
	f    *os.File
}

func openState(path string) (*state, error) {
	if path == "" {
		return nil, nil
	}
	s := &state{seen: map[string]bool{}}
	old, err := os.Open(path)
	switch {
	case err == nil:
		sc := bufio.NewScanner(old)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			s.seen[sc.Text()] = true
		}
		old.Close()
		if err := sc.Err(); err != nil {
			return nil, fault.New(fault.Invalid, "read state file: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "open state file: %w", err)
	}
	if s.f, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, fault.New(fault.Invalid, "open state file: %w", err)
	}
	return s, nil
}

// done reports whether a chunk is finished.
func (s *state) done(key string) bool { return s != nil && s.seen[key] }

// mark notes that a chunk is finished.
func (s *state) mark(key string) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.f.WriteString(key + "\n"); err != nil {
		return fault.New(fault.Unavailable, "write state file: %w", err)
	}
	return nil
}

func (s *state) close() {
	if s != nil {
		_ = s.f.Close() // every line is written already
	}
}
