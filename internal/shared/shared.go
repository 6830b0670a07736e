// Package shared finds the public test suites and samples that stand beside the
// project but are never part of it. It is used by tests only.
package shared

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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

// Figure reports how many cases of a public suite pass: in the test's log, and
// in the file $QIHUANG_FIGURES, which `make test` prints at its end (a passing
// test's output is not shown otherwise).
func Figure(t testing.TB, suite string, passed, total int) {
	t.Helper()
	line := fmt.Sprintf("%s: %d/%d\n", suite, passed, total)
	t.Log(strings.TrimSpace(line))
	path := os.Getenv("QIHUANG_FIGURES")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		t.Fatal(err)
	}
}
