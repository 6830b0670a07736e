package files

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The folders below a source's folder.
const (
	doneFolder   = "done"
	failedFolder = "failed"
)

// entry is a file as a listing shows it.
type entry struct {
	Name     string
	Size     int64
	Modified time.Time
}

// place is where files lie: one folder with its done/ and failed/.
type place interface {
	// list returns the files directly in the folder.
	list(ctx context.Context) ([]entry, error)
	// open returns a file for random access; the caller closes it.
	open(ctx context.Context, name string) (file, error)
	// has reports whether a folder below holds a file of that name.
	has(ctx context.Context, folder, name string) (bool, error)
	// move puts a file into a folder below, under a name that is free there.
	move(ctx context.Context, name, folder, as string) error
	// write puts a small file into a folder below, over an old one.
	write(ctx context.Context, folder, name string, data []byte) error
	// close ends a connection.
	close() error
}

// file is an open file; Stat tells how large it is now.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
}

// free is the first name for a file that a folder below does not hold.
func free(ctx context.Context, p place, folder, name string) (string, error) {
	as := name
	for n := 1; ; n++ {
		if taken, err := p.has(ctx, folder, as); err != nil || !taken {
			return as, err
		}
		as = numbered(name, n)
	}
}

// local is a folder of this machine.
type local struct{ dir string }

func (l local) list(context.Context) ([]entry, error) {
	if err := os.MkdirAll(l.dir, 0o750); err != nil {
		return nil, err
	}
	infos, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var out []entry
	for _, d := range infos {
		if !d.Type().IsRegular() {
			continue
		}
		if info, err := d.Info(); err == nil { // else it has just gone
			out = append(out, entry{d.Name(), info.Size(), info.ModTime()})
		}
	}
	return out, nil
}

func (l local) open(_ context.Context, name string) (file, error) {
	return os.Open(filepath.Join(l.dir, name))
}

func (l local) has(_ context.Context, folder, name string) (bool, error) {
	_, err := os.Lstat(filepath.Join(l.dir, folder, name))
	return found(err)
}

// found tells a missing file from an error.
func found(err error) (bool, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (l local) move(_ context.Context, name, folder, as string) error {
	to := filepath.Join(l.dir, folder)
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	return os.Rename(filepath.Join(l.dir, name), filepath.Join(to, as))
}

func (l local) write(_ context.Context, folder, name string, data []byte) error {
	to := filepath.Join(l.dir, folder)
	if err := os.MkdirAll(to, 0o750); err != nil {
		return err
	}
	tmp := filepath.Join(to, "."+name+".new")
	if err := os.WriteFile(tmp, data, 0o640); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(to, name))
}

func (l local) close() error { return nil }

// numbered is the n-th further name for a file of that name: a.csv, a-2.csv.
func numbered(name string, n int) string {
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "-" + itoa(n+1) + ext
}

// spool is a file copied to a temporary one, for places without random access.
type spool struct{ *os.File }

// newSpool copies r. cut is called, and must make r end, when nothing came for
// so long as stall.
func newSpool(r io.Reader, stall time.Duration, cut func()) (file, error) {
	f, err := os.CreateTemp("", "qihuang-file-")
	if err != nil {
		return nil, err
	}
	s := spool{f}
	timer := time.AfterFunc(stall, cut)
	defer timer.Stop()
	if _, err := io.Copy(f, patient{r, timer, stall}); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// patient is a reader that winds the timer up whenever something comes.
type patient struct {
	io.Reader
	timer *time.Timer
	stall time.Duration
}

// Read reads.
func (p patient) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.timer.Reset(p.stall)
	return n, err
}

// Close removes the copy.
func (s spool) Close() error {
	err := s.File.Close()
	if rerr := os.Remove(s.Name()); err == nil {
		err = rerr
	}
	return err
}
