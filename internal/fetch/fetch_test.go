package fetch

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// fakeNpm puts an npm on the PATH that "packs" the given files, and returns
// the tarball's integrity.
func fakeNpm(t *testing.T, files map[string]string) string {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for name, body := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ball := filepath.Join(dir, "ball")
	if err := os.WriteFile(ball, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nfor a; do last=$a; done\ncp " + ball + " $last/p.tgz\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	sum := sha512.Sum512(buf.Bytes())
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func TestUnpack_ok(t *testing.T) {
	p := Package{Name: "p", Version: "1", Integrity: fakeNpm(t, map[string]string{"package/a/x.js": "xx", "package/y": "y"})}
	dir := t.TempDir()
	if err := Unpack(context.Background(), p, dir, []string{"a/x.js"}, nil); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "x.js")); string(got) != "xx" {
		t.Errorf("x.js = %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestUnpack_bad(t *testing.T) {
	good := fakeNpm(t, map[string]string{"package/y": "y"})
	for name, c := range map[string]struct {
		integrity, file string
	}{
		"hash differs": {"sha512-AAAA", "y"},
		"file missing": {good, "z"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := Unpack(context.Background(), Package{Name: "p", Version: "1", Integrity: c.integrity}, dir, []string{c.file}, nil)
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("err = %v", err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 0 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestUnpack_noNpm(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := Unpack(context.Background(), Package{Name: "p"}, t.TempDir(), nil, nil)
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("err = %v", err)
	}
}

func TestLibrary_found(t *testing.T) {
	dir := t.TempDir()
	name, ok := LibraryPath(dir)
	if ok {
		t.Fatal("found in an empty dir")
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir()) // no npm: it must not be needed
	if got, err := Library(context.Background(), dir, nil); err != nil || got != name {
		t.Errorf("Library = %q, %v", got, err)
	}
}
