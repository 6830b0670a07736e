package fetch

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
)

// archive is a package tarball with one file of the given name.
func archive(t *testing.T, name, content string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{tw, gz} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return &b
}

func TestUntarWhole_ok(t *testing.T) {
	dir := t.TempDir()
	if err := untar(archive(t, "package/a/b.json", "{}"), dir, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "package", "a", "b.json")); err != nil || string(got) != "{}" {
		t.Errorf("%s %v", got, err)
	}
}

// A file that would land outside the folder is refused.
func TestUntarWhole_bad(t *testing.T) {
	for _, name := range []string{"../evil", "package/../../evil", "/evil"} {
		root := t.TempDir()
		out := filepath.Join(root, "out")
		if err := os.Mkdir(out, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := untar(archive(t, name, "x"), out, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := os.Stat(filepath.Join(root, "evil")); err == nil {
			t.Errorf("%s: escaped", name)
		}
	}
}
