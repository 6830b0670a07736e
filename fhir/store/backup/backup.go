// Package backup keeps snapshots of the repository in S3: whole and consistent,
// each with the log offset it stands at, uploading only files that are new. A
// new or lost node restores the newest and replays the log's tail.
//
// Objects: <prefix>files/<sha256> and <prefix>snapshots/<offset, 20 digits>-<time>.json.
package backup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config says where snapshots are kept and how many.
type Config struct {
	Dir    string // the repository's folder
	Bucket string
	Prefix string // of every object, e.g. "repository/"
	Keep   int    // snapshots kept; older ones are removed
}

// Default keeps three snapshots of the repository in dir.
func Default(dir string) Config {
	return Config{Dir: dir, Bucket: "qihuang", Prefix: "repository/", Keep: 3}
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	if c.Dir == "" || c.Bucket == "" || c.Keep < 1 {
		return fault.New(fault.Invalid, "backup: folder, bucket and a number of snapshots to keep are needed")
	}
	return nil
}

// Checkpointer makes a consistent copy of a database in a new folder;
// *pebble.Store of the repository is one.
type Checkpointer interface {
	Checkpoint(dir string) (offset int64, err error)
}

// Trimmer forgets log records below an offset; *kafka.Log is one.
type Trimmer interface {
	Trim(ctx context.Context, below int64) error
}

// File is one file of a snapshot.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Snapshot describes one snapshot; it is stored as JSON.
type Snapshot struct {
	Offset   int64     `json:"offset"`   // the log is replayed after it
	Time     time.Time `json:"time"`     // UTC
	Instance string    `json:"instance"` // the database it was taken from
	Files    []File    `json:"files"`
	key      string
}

// Bytes is the size of the whole snapshot.
func (s *Snapshot) Bytes() (n int64) {
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

// Backup takes and restores snapshots. One Take at a time.
type Backup struct {
	cfg    Config
	s3     *minio.Client
	clock  clock.Clock
	logger *slog.Logger
}

// New returns a backup into a bucket, which must exist.
func New(cfg Config, s3 *minio.Client, c clock.Clock, logger *slog.Logger) (*Backup, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Backup{cfg, s3, c, logger}, nil
}

// Take makes a snapshot and removes those over the number to keep. With trim
// not nil the log then forgets what the oldest kept snapshot does not need.
func (b *Backup) Take(ctx context.Context, db Checkpointer, trim Trimmer) (*Snapshot, error) {
	old, err := b.List(ctx)
	if err != nil {
		return nil, err
	}
	instance, err := b.instance()
	if err != nil {
		return nil, err
	}
	dir := b.cfg.Dir + ".checkpoint" // beside the database: files are linked, not copied
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s := &Snapshot{Time: b.clock.Now(), Instance: instance}
	if s.Offset, err = db.Checkpoint(dir); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if err := b.upload(ctx, s, dir, old); err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	s.key = fmt.Sprintf("%ssnapshots/%020d-%s.json", b.cfg.Prefix, s.Offset, s.Time.Format("20060102T150405.000"))
	if _, err := b.s3.PutObject(ctx, b.cfg.Bucket, s.key, strings.NewReader(string(text)), int64(len(text)), minio.PutObjectOptions{ContentType: "application/json"}); err != nil {
		return nil, away("store snapshot", err)
	}
	kept, err := b.prune(ctx, append(slices.DeleteFunc(old, func(o *Snapshot) bool { return o.key == s.key }), s))
	if err != nil {
		return s, err
	}
	b.logger.Info("repository snapshot", "offset", s.Offset, "bytes", s.Bytes(), "kept", len(kept))
	if trim == nil {
		return s, nil
	}
	return s, trim.Trim(ctx, kept[0].Offset+1)
}

// upload stores the files of dir that no snapshot has yet.
func (b *Backup) upload(ctx context.Context, s *Snapshot, dir string, old []*Snapshot) error {
	stored := map[string]bool{}   // by content
	tables := map[string]string{} // name → content, of this database: tables never change
	for _, o := range old {
		for _, f := range o.Files {
			stored[f.SHA256] = true
			if o.Instance == s.Instance && strings.HasSuffix(f.Name, ".sst") {
				tables[f.Name] = f.SHA256
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		f := File{Name: e.Name(), Size: info.Size(), SHA256: tables[e.Name()]}
		path := filepath.Join(dir, e.Name())
		if f.SHA256 == "" {
			if f.SHA256, err = digest(path); err != nil {
				return err
			}
		}
		if f.Size > 0 && !stored[f.SHA256] {
			if _, err := b.s3.FPutObject(ctx, b.cfg.Bucket, b.fileKey(f), path, minio.PutObjectOptions{ContentType: "application/octet-stream"}); err != nil {
				return away("store "+f.Name, err)
			}
			stored[f.SHA256] = true
		}
		s.Files = append(s.Files, f)
	}
	return nil
}

func (b *Backup) fileKey(f File) string { return b.cfg.Prefix + "files/" + f.SHA256 }

// prune removes all but the newest snapshots, and the files only those had.
func (b *Backup) prune(ctx context.Context, all []*Snapshot) (kept []*Snapshot, err error) {
	sortByOffset(all)
	cut := max(len(all)-b.cfg.Keep, 0)
	gone, kept := all[:cut], all[cut:]
	if len(gone) == 0 {
		return kept, nil
	}
	used := map[string]bool{}
	for _, s := range kept {
		for _, f := range s.Files {
			used[f.SHA256] = true
		}
	}
	for _, s := range gone {
		if err := b.s3.RemoveObject(ctx, b.cfg.Bucket, s.key, minio.RemoveObjectOptions{}); err != nil {
			return kept, away("remove an old snapshot", err)
		}
		for _, f := range s.Files {
			if used[f.SHA256] || f.Size == 0 {
				continue
			}
			used[f.SHA256] = true
			if err := b.s3.RemoveObject(ctx, b.cfg.Bucket, b.fileKey(f), minio.RemoveObjectOptions{}); err != nil {
				return kept, away("remove an old file", err)
			}
		}
	}
	return kept, nil
}

// List returns the snapshots, oldest first.
func (b *Backup) List(ctx context.Context) ([]*Snapshot, error) {
	var out []*Snapshot
	for o := range b.s3.ListObjects(ctx, b.cfg.Bucket, minio.ListObjectsOptions{Prefix: b.cfg.Prefix + "snapshots/", Recursive: true}) {
		if o.Err != nil {
			return nil, away("list snapshots", o.Err)
		}
		obj, err := b.s3.GetObject(ctx, b.cfg.Bucket, o.Key, minio.GetObjectOptions{})
		if err != nil {
			return nil, away("read "+o.Key, err)
		}
		text, err := io.ReadAll(obj)
		if err = errors.Join(err, obj.Close()); err != nil {
			return nil, away("read "+o.Key, err)
		}
		s := &Snapshot{key: o.Key}
		if err := json.Unmarshal(text, s); err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", o.Key, err)
		}
		out = append(out, s)
	}
	sortByOffset(out)
	return out, nil
}

// Restore fills the repository's folder, which must be absent or empty, from
// the newest snapshot at or below offset (-1 = the newest of all). Every file is
// checked by its hash before the folder appears. fault.NotFound without a snapshot.
func (b *Backup) Restore(ctx context.Context, offset int64) (*Snapshot, error) {
	all, err := b.List(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s *Snapshot) bool { return offset >= 0 && s.Offset > offset })
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "no snapshot in %s/%s", b.cfg.Bucket, b.cfg.Prefix)
	}
	if entries, err := os.ReadDir(b.cfg.Dir); err == nil && len(entries) > 0 {
		return nil, fault.New(fault.Conflict, "%s is not empty: move it away first", b.cfg.Dir)
	}
	s, dir := all[len(all)-1], b.cfg.Dir+".restore"
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, f := range s.Files {
		path := filepath.Join(dir, filepath.Base(f.Name))
		if err := b.fetch(ctx, f, path); err != nil {
			return nil, err
		}
		if sum, err := digest(path); err != nil || sum != f.SHA256 {
			return nil, errors.Join(fault.New(fault.Internal, "%s of the snapshot at offset %d is damaged", f.Name, s.Offset), err)
		}
	}
	if err := os.Remove(b.cfg.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return s, os.Rename(dir, b.cfg.Dir)
}

// fetch gets a file; empty ones are not stored.
func (b *Backup) fetch(ctx context.Context, f File, path string) error {
	if f.Size == 0 {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, nil, 0o600)
	}
	if err := b.s3.FGetObject(ctx, b.cfg.Bucket, b.fileKey(f), path, minio.GetObjectOptions{}); err != nil {
		return away("fetch "+f.Name, err)
	}
	return nil
}

// instance names the database: file names are unique within one only.
func (b *Backup) instance() (string, error) {
	path := filepath.Join(b.cfg.Dir, "qihuang-instance")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text())
		err = os.WriteFile(path, text, 0o600)
	}
	return string(text), err
}

func sortByOffset(all []*Snapshot) {
	slices.SortFunc(all, func(a, b *Snapshot) int { return strings.Compare(a.key, b.key) })
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func away(act string, err error) error {
	return fault.New(fault.Unavailable, "backup: %s: %w", act, err)
}
