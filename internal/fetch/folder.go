package fetch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// Cached returns the folder in which the whole package lies unpacked in the
// cache; ok is false if Folder did not put it there before.
func (p Package) Cached() (dir string, ok bool) {
	dir = filepath.Join(p.home(), "package")
	st, err := os.Stat(dir)
	return dir, err == nil && st.IsDir()
}

// Folder returns the folder of the whole package, fetched and checked if it is
// not in the cache. It is for generators and tests. Errors as Unpack.
func (p Package) Folder(ctx context.Context, report Progress) (dir string, err error) {
	if dir, ok := p.Cached(); ok {
		return dir, nil
	}
	if report == nil {
		report = func(string, int64, int64) {}
	}
	parent := filepath.Dir(p.home())
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(parent, ".fetch-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	tarball, err := download(ctx, p, work, report)
	if err != nil {
		return "", err
	}
	out := filepath.Join(work, "out")
	if err := extract(p, tarball, out, nil, report); err != nil {
		return "", err
	}
	if err := os.Rename(out, p.home()); err != nil {
		return "", err
	}
	dir, _ = p.Cached()
	return dir, nil
}

func (p Package) home() string {
	return filepath.Join(CacheDir(), "npm", strings.NewReplacer("/", "-", "@", "").Replace(p.Name)+"-"+p.Version)
}
