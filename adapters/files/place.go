package files

import (
	"context"
	"io"
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
	// move puts a file into a folder below; it replaces nothing.
	move(ctx context.Context, name, folder string) (as string, err error)
	// write puts a small file into a folder below, over an old one.
	write(ctx context.Context, folder, name string, data []byte) error
	// close ends a connection.
	close() error
}

type file interface {
	io.ReaderAt
	io.Closer
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

func (l local) move(_ context.Context, name, folder string) (string, error) {
	to := filepath.Join(l.dir, folder)
	if err := os.MkdirAll(to, 0o750); err != nil {
		return "", err
	}
	as := name
	for n := 1; ; n++ {
		if _, err := os.Lstat(filepath.Join(to, as)); os.IsNotExist(err) {
			break
		}
		as = numbered(name, n)
	}
	return as, os.Rename(filepath.Join(l.dir, name), filepath.Join(to, as))
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

// newSpool copies r.
func newSpool(r io.Reader) (file, error) {
	f, err := os.CreateTemp("", "qihuang-file-")
	if err != nil {
		return nil, err
	}
	s := spool{f}
	if _, err := io.Copy(f, r); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Close removes the copy.
func (s spool) Close() error {
	err := s.File.Close()
	if rerr := os.Remove(s.Name()); err == nil {
		err = rerr
	}
	return err
}
