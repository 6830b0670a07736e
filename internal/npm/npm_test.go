package npm

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// archive writes a package archive with one file of the given name.
func archive(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.tgz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	gz := gzip.NewWriter(f)
	tw := tar.NewWriter(gz)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{tw, gz, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestUntar(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := untar(archive(t, "package/a/b.json", "{}"), dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "package", "a", "b.json")); err != nil || string(got) != "{}" {
		t.Errorf("%s %v", got, err)
	}
}

// A file that would land outside the folder is refused.
func TestUntar_bad(t *testing.T) {
	for _, name := range []string{"../evil", "package/../../evil", "/evil"} {
		root := t.TempDir()
		if err := untar(archive(t, name, "x"), filepath.Join(root, "out")); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := os.Stat(filepath.Join(root, "evil")); err == nil {
			t.Errorf("%s: escaped", name)
		}
	}
}

func TestVerify(t *testing.T) {
	path := archive(t, "package/x", "x")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(data)
	p := Package{Name: "x", Version: "1", SHA512: base64.StdEncoding.EncodeToString(sum[:])}
	if err := p.verify(path); err != nil {
		t.Error(err)
	}
	p.SHA512 = "AAAA"
	if err := p.verify(path); !fault.Is(err, fault.Invalid) {
		t.Errorf("wrong digest: %v", err)
	}
}
