package bulk

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Files keeps the output of exports, and the records of exports and imports.
// Names are job/file. Safe for concurrent use.
type Files interface {
	// Create begins a file; it is there once Close has returned nil.
	Create(ctx context.Context, name string) (io.WriteCloser, error)
	// Open opens a file for reading and returns its size; fault.NotFound.
	Open(ctx context.Context, name string) (io.ReadCloser, int64, error)
	// Jobs returns the jobs that have files.
	Jobs(ctx context.Context) ([]string, error)
	// Remove deletes all files of a job; none is no error.
	Remove(ctx context.Context, job string) error
}

// Dir keeps files in a folder.
type Dir string

// Create implements Files.
func (d Dir) Create(_ context.Context, name string) (io.WriteCloser, error) {
	path := filepath.Join(string(d), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fault.New(fault.Unavailable, "create export folder: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "create export file: %w", err)
	}
	return f, nil
}

// Open implements Files.
func (d Dir) Open(_ context.Context, name string) (io.ReadCloser, int64, error) {
	root, err := os.OpenRoot(string(d)) // a name never leads out of the folder
	if err != nil {
		return nil, 0, fault.New(fault.NotFound, "no such export")
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fault.New(fault.NotFound, "no such export file")
	}
	if err != nil {
		return nil, 0, fault.New(fault.Unavailable, "open export file: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fault.New(fault.Unavailable, "open export file: %w", err)
	}
	return f, st.Size(), nil
}

// Jobs implements Files.
func (d Dir) Jobs(context.Context) (out []string, err error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out, err
}

// Remove implements Files.
func (d Dir) Remove(_ context.Context, job string) error {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return fault.New(fault.Unavailable, "remove export: %w", err)
	}
	defer root.Close()
	if err := root.RemoveAll(job); err != nil {
		return fault.New(fault.Unavailable, "remove export: %w", err)
	}
	return nil
}

// S3 keeps files in a bucket.
type S3 struct {
	Client *minio.Client
	Bucket string
	Prefix string // of the keys, e.g. "export/"
}

// upload is a file on its way into the bucket.
type upload struct {
	*io.PipeWriter
	done chan error
}

// Create implements Files.
func (s S3) Create(ctx context.Context, name string) (io.WriteCloser, error) {
	r, w := io.Pipe()
	u := &upload{w, make(chan error, 1)}
	go func() {
		const part = 16 << 20 // bytes held in memory for each file being written
		_, err := s.Client.PutObject(ctx, s.Bucket, s.Prefix+name, r, -1, minio.PutObjectOptions{ContentType: mimeLines, PartSize: part})
		_ = r.CloseWithError(err) // a writer must not wait for a reader that has gone
		u.done <- err
	}()
	return u, nil
}

// Close ends the file and waits until it is in the bucket.
func (u *upload) Close() error {
	_ = u.PipeWriter.Close() // never fails
	if err := <-u.done; err != nil {
		return fault.New(fault.Unavailable, "store export file: %w", err)
	}
	return nil
}

// Open implements Files.
func (s S3) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	o, err := s.Client.GetObject(ctx, s.Bucket, s.Prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, 0, fault.New(fault.Unavailable, "open export file: %w", err)
	}
	st, err := o.Stat()
	if err != nil {
		o.Close()
		if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
			return nil, 0, fault.New(fault.NotFound, "no such export file")
		}
		return nil, 0, fault.New(fault.Unavailable, "open export file: %w", err)
	}
	return o, st.Size, nil
}

// Jobs implements Files.
func (s S3) Jobs(ctx context.Context) (out []string, err error) {
	for o := range s.Client.ListObjects(ctx, s.Bucket, minio.ListObjectsOptions{Prefix: s.Prefix}) {
		if o.Err != nil {
			return nil, fault.New(fault.Unavailable, "list exports: %w", o.Err)
		}
		if name, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, s.Prefix), "/"); ok && name != "" {
			out = append(out, name)
		}
	}
	return out, nil
}

// Remove implements Files.
func (s S3) Remove(ctx context.Context, job string) error {
	for o := range s.Client.ListObjects(ctx, s.Bucket, minio.ListObjectsOptions{Prefix: s.Prefix + job + "/", Recursive: true}) {
		err := o.Err
		if err == nil {
			err = s.Client.RemoveObject(ctx, s.Bucket, o.Key, minio.RemoveObjectOptions{})
		}
		if err != nil {
			return fault.New(fault.Unavailable, "remove export: %w", err)
		}
	}
	return nil
}
