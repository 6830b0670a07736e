package engine

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// spool holds a body outside any statement: in anonymous memory while small,
// else in an unlinked file. Both vanish with the process.
type spool struct {
	file *os.File
	size int64
}

// memorySpool is the size up to which a spool stays in memory.
const memorySpool = 32 << 20

// newSpool takes in all of r, at most limit bytes.
func newSpool(r io.Reader, dir string, limit int64) (*spool, error) {
	fd, err := unix.MemfdCreate("qihuang-body", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fault.New(fault.Internal, "memory file: %w", err)
	}
	s := &spool{file: os.NewFile(uintptr(fd), "body")}
	s.size, err = io.Copy(s.file, io.LimitReader(r, min(memorySpool, limit)+1))
	if err == nil && s.size > memorySpool && s.size <= limit {
		err = s.spill(r, dir, limit)
	}
	if err == nil && s.size > limit {
		err = &Exception{Code: codeTooLarge, Message: fmt.Sprintf("The body is larger than %d bytes. (QUERY_IS_TOO_LARGE)", limit)}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// spill moves what is in memory to disk and takes in the rest there.
func (s *spool) spill(r io.Reader, dir string, limit int64) error {
	f, err := os.CreateTemp(dir, "body-")
	if err != nil {
		return err
	}
	memory := s.file
	s.file = f
	defer func() { _ = memory.Close() }()
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if _, err := memory.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(f, memory); err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(r, limit-s.size+1))
	s.size += n
	return err
}

// path names the body for the engine, which opens it anew from the start.
func (s *spool) path() string { return fmt.Sprintf("/proc/self/fd/%d", s.file.Fd()) }

func (s *spool) close() { _ = s.file.Close() }
