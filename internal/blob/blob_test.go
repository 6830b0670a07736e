package blob

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	cfg := Default(dir)
	cfg.Listen = "127.0.0.1:0"
	s, err := Open(context.Background(), cfg, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *Store, key string, body []byte) {
	t.Helper()
	_, err := s.Client.PutObject(context.Background(), s.Bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{ContentType: "text/x", UserMetadata: map[string]string{"Kind": "k"}})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func get(t testing.TB, s *Store, key string, opts minio.GetObjectOptions) ([]byte, error) {
	t.Helper()
	o, err := s.Client.GetObject(context.Background(), s.Bucket, key, opts)
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Close() }()
	return io.ReadAll(o)
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	ctx := context.Background()
	big := make([]byte, 40<<20) // several parts
	_, _ = rand.Read(big)
	keys := []string{"a", "a/b", "a/b/c", "中药/黄芪 +&=~'().txt", strings.Repeat("k", 900), "big"}
	for _, key := range keys {
		body := []byte("body of " + key)
		if key == "big" {
			body = big
		}
		put(t, s, key, body)
		got, err := get(t, s, key, minio.GetObjectOptions{})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("get %.20s: %d bytes, %v", key, len(got), err)
		}
	}
	var part minio.GetObjectOptions
	_ = part.SetRange(8, 10)
	if got, err := get(t, s, "a/b", part); err != nil || string(got) != "a/b" {
		t.Errorf("range: %q %v", got, err)
	}
	st, err := s.Client.StatObject(ctx, s.Bucket, "a", minio.StatObjectOptions{})
	if err != nil || st.ContentType != "text/x" || st.UserMetadata["Kind"] != "k" || st.Size != 9 || time.Since(st.LastModified) > time.Minute {
		t.Errorf("stat %+v %v", st, err)
	}
	put(t, s, "a", []byte("second"))
	if _, err := s.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: s.Bucket, Object: "copy"}, minio.CopySrcOptions{Bucket: s.Bucket, Object: "a"}); err != nil {
		t.Error(err)
	}
	if err := s.Client.RemoveObject(ctx, s.Bucket, "a/b", minio.RemoveObjectOptions{}); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir) // all of it is still there
	defer func() { _ = s.Close() }()
	if got, err := get(t, s, "copy", minio.GetObjectOptions{}); err != nil || string(got) != "second" {
		t.Errorf("copy: %q %v", got, err)
	}
	if got, err := get(t, s, "big", minio.GetObjectOptions{}); err != nil || !bytes.Equal(got, big) {
		t.Errorf("big after restart: %d %v", len(got), err)
	}
	if _, err := get(t, s, "a/b", minio.GetObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Errorf("removed: %v", err)
	}
	if n := files(t, dir); n != 6 {
		t.Errorf("%d files for 6 objects", n)
	}
}

func files(t *testing.T, dir string) (n int) {
	t.Helper()
	_ = filepath.WalkDir(filepath.Join(dir, "objects"), func(_ string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			n++
		}
		return nil
	})
	return n
}

func TestList(t *testing.T) {
	s := open(t, t.TempDir())
	defer func() { _ = s.Close() }()
	var want []string
	for i := range 25 {
		for _, f := range []string{"x/%02d", "y/z/%02d", "y-%02d"} {
			key := fmt.Sprintf(f, i)
			want = append(want, key)
			put(t, s, key, nil)
		}
	}
	slices.Sort(want)
	list := func(o minio.ListObjectsOptions) (out []string) {
		o.MaxKeys = 7 // many pages
		for e := range s.Client.ListObjects(context.Background(), s.Bucket, o) {
			if e.Err != nil {
				t.Fatal(e.Err)
			}
			out = append(out, e.Key)
		}
		return out
	}
	if got := list(minio.ListObjectsOptions{Recursive: true}); !slices.Equal(got, want) {
		t.Errorf("all: %v", got)
	}
	if got := list(minio.ListObjectsOptions{Prefix: "y/", Recursive: true}); len(got) != 25 {
		t.Errorf("prefix: %v", got)
	}
	got := list(minio.ListObjectsOptions{})
	if len(got) != 27 || !slices.Contains(got, "x/") || !slices.Contains(got, "y/") {
		t.Errorf("folded: %v", got)
	}
	if got := list(minio.ListObjectsOptions{Recursive: true, StartAfter: "y-10"}); len(got) != 14+25 {
		t.Errorf("after: %d %v", len(got), got)
	}
}

func TestSignature(t *testing.T) {
	s := open(t, t.TempDir())
	defer func() { _ = s.Close() }()
	put(t, s, "a b", []byte("x"))
	if res, err := http.Get("http://" + s.Endpoint + "/qihuang/a%20b"); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("unsigned: %v %v", res.Status, err)
	}
	u, err := s.Client.PresignedGetObject(context.Background(), s.Bucket, "a b", time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(u.String())
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("presigned: %v %v", res.Status, err)
	}
	if res, err := http.Get(strings.Replace(u.String(), "a%20b", "a", 1)); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("presigned for another key: %v %v", res.Status, err)
	}
	other, err := minio.New(s.Endpoint, &minio.Options{Creds: credentials.NewStaticV4("qihuang-x", "y", ""), Region: region})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.BucketExists(context.Background(), s.Bucket); err == nil {
		t.Error("foreign keys accepted")
	}
}

// TestCrash leaves a file that no index entry names: the next start removes it
// and keeps the rest.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "a", []byte("x"))
	e, err := s.backend.save(strings.NewReader("torn"), -1) // written, never named
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer func() { _ = s.Close() }()
	if _, err := os.Stat(s.backend.file(e.File)); err == nil {
		t.Error("the torn file is still there")
	}
	if got, err := get(t, s, "a", minio.GetObjectOptions{}); err != nil || string(got) != "x" {
		t.Errorf("%q %v", got, err)
	}
}

func TestOpen_bad(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no bucket": {Data: "x", Listen: "y"}, "no folder": {Bucket: "b"}, "no keys": {Bucket: "b", Endpoint: "h:1"},
	} {
		if _, err := Open(context.Background(), cfg, clock.System{}, slog.New(slog.DiscardHandler)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "keys.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), Default(dir), clock.System{}, slog.New(slog.DiscardHandler)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("damaged keys: %v", err)
	}
}

func TestChunks(t *testing.T) {
	for _, c := range []struct {
		in, want string
		size     int64
		bad      bool
	}{
		{"3;chunk-signature=x\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum:y\r\n\r\n", "abcde", 5, false},
		{"0\r\n\r\n", "", 0, false},
		{"3\r\nabc", "", 3, true},
		{"3\r\nabcX0\r\n", "", 3, true},
		{"3\r\nabc\r\n0\r\n", "", 4, true},
		{"5\r\nabcde\r\n0\r\n", "", 4, true},
		{"zz\r\n", "", 1, true},
	} {
		got, err := io.ReadAll(&chunks{in: bufio.NewReader(strings.NewReader(c.in)), size: c.size})
		if (err != nil) != c.bad || !c.bad && string(got) != c.want {
			t.Errorf("%q = %q, %v", c.in, got, err)
		}
	}
}
