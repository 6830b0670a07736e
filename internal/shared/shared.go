// Package shared finds the public test suites and samples that stand beside the
// project but are never part of it. It is used by tests only.
package shared

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Dir returns the absolute path of the shared folder: $QIHUANG_SHARED, else
// ../shared from the project root. Where it is absent the test is skipped.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("QIHUANG_SHARED")
	if dir == "" {
		_, file, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(file), "..", "..", "..", "shared")
	}
	if st, err := os.Stat(filepath.Join(dir, "data")); err != nil || !st.IsDir() {
		t.Skipf("shared data absent (%s): set QIHUANG_SHARED", dir)
	}
	return dir
}
