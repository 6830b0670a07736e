package backup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/qihuang-health/qihuang/fhir/store/backup"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func s3(t *testing.T) *minio.Client {
	t.Helper()
	srv := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(srv.Close)
	c, err := minio.New(strings.TrimPrefix(srv.URL, "http://"), &minio.Options{Creds: credentials.NewStaticV4("k", "s", "")})
	if err == nil {
		err = c.MakeBucket(t.Context(), "qihuang", minio.MakeBucketOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, dir string, log *memory.Log) *pebble.Store {
	t.Helper()
	c := pebble.Default(dir)
	c.Config = storetest.Config(log)
	s, err := pebble.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type trimmed int64

func (t *trimmed) Trim(_ context.Context, below int64) error {
	*t = trimmed(below)
	return nil
}

// A lost node restores the newest snapshot, replays the tail and holds the
// same bytes as the one that never was lost.
func TestRestoreAndReplay(t *testing.T) {
	log, client, dir := &memory.Log{}, s3(t), t.TempDir()
	cfg := backup.Default(filepath.Join(dir, "fhir"))
	cfg.Keep = 2
	b, err := backup.New(cfg, client, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Restore(t.Context(), -1); !fault.Is(err, fault.NotFound) {
		t.Fatalf("nothing to restore: %v", err)
	}
	s := open(t, cfg.Dir, log)
	stop := storetest.Launch(t, s)
	g := storetest.NewRandom(1)
	var low trimmed
	var offsets []int64
	for range 4 {
		for range 60 {
			_, _ = s.Commit(t.Context(), g.Next())
		}
		snap, err := b.Take(t.Context(), s, &low)
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, snap.Offset)
	}
	list, err := b.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Offset != offsets[2] || int64(low) != offsets[2]+1 {
		t.Fatalf("kept %d, trimmed below %d, offsets %v, %v", len(list), low, offsets, err)
	}
	used, have := map[string]bool{}, 0
	for _, snap := range list {
		for _, f := range snap.Files {
			if f.Size > 0 {
				used[f.SHA256] = true
			}
		}
	}
	for range client.ListObjects(t.Context(), "qihuang", minio.ListObjectsOptions{Prefix: "repository/files/"}) {
		have++
	}
	if have != len(used) {
		t.Errorf("%d files stored, %d used", have, len(used))
	}
	for range 30 {
		_, _ = s.Commit(t.Context(), g.Next()) // the tail
	}
	if _, err := b.Restore(t.Context(), -1); !fault.Is(err, fault.Conflict) {
		t.Fatalf("restore over a living database: %v", err)
	}
	other := cfg
	other.Dir = filepath.Join(dir, "other")
	ob, err := backup.New(other, client, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if snap, err := ob.Restore(t.Context(), -1); err != nil || snap.Offset != offsets[3] {
		t.Fatalf("%+v, %v", snap, err)
	}
	r := open(t, other.Dir, log)
	if r.Applied() < offsets[3] {
		t.Fatalf("restored at %d", r.Applied())
	}
	halt := storetest.Launch(t, r)
	storetest.Reach(t, r, s.Applied())
	storetest.Same(t, s, r)
	stop()
	halt()
	if err := errors.Join(s.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFileIsNotRestored(t *testing.T) {
	log, client, dir := &memory.Log{}, s3(t), t.TempDir()
	cfg := backup.Default(filepath.Join(dir, "fhir"))
	b, err := backup.New(cfg, client, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg.Dir, log)
	stop := storetest.Launch(t, s)
	_, _ = s.Commit(t.Context(), storetest.NewRandom(2).Next())
	snap, err := b.Take(t.Context(), s, nil)
	stop()
	if err := errors.Join(err, s.Close(), os.RemoveAll(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	f := snap.Files[slices.IndexFunc(snap.Files, func(f backup.File) bool { return f.Size > 0 })]
	body := strings.Repeat("x", int(f.Size))
	if _, err := client.PutObject(t.Context(), "qihuang", "repository/files/"+f.SHA256, strings.NewReader(body), f.Size, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Restore(t.Context(), -1); err == nil || !strings.Contains(fmt.Sprint(err), "damaged") {
		t.Fatalf("damaged file: %v", err)
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a damaged restore left a folder")
	}
}
