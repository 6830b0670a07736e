package fetch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// engine is ClickHouse as a shared library (chDB 26.5), Apache-2.0. The hash
// is the one the npm registry publishes for this version.
var engine = Package{
	Name:      "@chdb/lib-linux-x64-gnu",
	Version:   "26.5.3",
	Integrity: "sha512-fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ==",
	Size:      166572008,
}

// libraryName is the file inside the package.
const libraryName = "libchdb.so"

// CacheDir returns the folder that all clones of one user share, such as
// ~/.cache/qihuang, or a folder of the temp dir for a user without a home.
func CacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "qihuang")
}

// LibraryPath returns where the ClickHouse engine library of this build lives
// below dir (CacheDir when empty), and whether it is there.
func LibraryPath(dir string) (string, bool) {
	if dir == "" {
		dir = CacheDir()
	}
	name := filepath.Join(dir, "chdb-"+engine.Version, libraryName)
	st, err := os.Stat(name)
	return name, err == nil && st.Mode().IsRegular()
}

// Library makes sure the ClickHouse engine library is below dir (CacheDir when
// empty) and returns its path. The first call downloads 160 MB and unpacks 530
// MB; later ones find it. Two callers at once share one download.
func Library(ctx context.Context, dir string, report Progress) (string, error) {
	name, ok := LibraryPath(dir)
	if ok {
		return name, nil
	}
	unlock, err := lock(ctx, filepath.Dir(name))
	if err != nil {
		return "", fault.New(fault.Unavailable, "lock %s: %w", filepath.Dir(name), err)
	}
	defer unlock()
	if _, ok := LibraryPath(dir); ok {
		return name, nil
	}
	if err := Unpack(ctx, engine, filepath.Dir(name), []string{libraryName}, report); err != nil {
		return "", err
	}
	return name, nil
}

// lock holds an advisory lock on dir until the returned func is called. It
// goes away with the process, so a crash never leaves it behind.
func lock(ctx context.Context, dir string) (func(), error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	got := make(chan error, 1)
	go func() { got <- syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }()
	select {
	case err := <-got:
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return func() { _ = f.Close() }, nil
	case <-ctx.Done():
		go func() { <-got; _ = f.Close() }()
		return nil, ctx.Err()
	}
}
