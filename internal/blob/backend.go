package blob

import (
	"crypto/md5" //nolint:gosec // S3's ETag is defined as MD5
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	bolt "go.etcd.io/bbolt"

	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/rs/xid"
)

// backend keeps objects as files named by the index. It implements
// gofakes3.Backend and gofakes3.MultipartBackend.
type backend struct {
	dir   string
	clock clock.Clock
	index *bolt.DB // bucket → key → entry as JSON; the bucket " uploads" → id → upload

	reading sync.RWMutex // files are removed only while nobody opens one
}

// entry is what the index knows of an object.
type entry struct {
	File string            `json:"file"`
	Size int64             `json:"size"`
	Hash []byte            `json:"hash"`
	Time time.Time         `json:"time"`
	Meta map[string]string `json:"meta,omitempty"`
}

// uploads is the index bucket of unfinished multipart uploads; the space keeps
// it apart from S3's names.
var uploads = []byte(" uploads")

func openBackend(dir string, c clock.Clock) (*backend, error) {
	if err := os.MkdirAll(filepath.Join(dir, "objects"), 0o700); err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(dir, "index.db"), 0o600, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, fault.New(fault.Conflict, "s3: open the index in %s: %w", dir, err)
	}
	b := &backend{dir: dir, clock: c, index: db}
	if err := errors.Join(db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucketIfNotExists(uploads); return err }), b.sweep()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return b, nil
}

func (b *backend) close() error { return b.index.Close() }

func (b *backend) file(name string) string {
	return filepath.Join(b.dir, "objects", name[len(name)-2:], name)
}

// sweep removes files that a crash left without a name in the index.
func (b *backend) sweep() error {
	named := map[string]bool{}
	err := b.index.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(bucket []byte, in *bolt.Bucket) error {
			return in.ForEach(func(_, v []byte) error {
				if string(bucket) == string(uploads) {
					var u upload
					if err := json.Unmarshal(v, &u); err != nil {
						return err
					}
					for _, p := range u.Parts {
						named[p.File] = true
					}
					return nil
				}
				var e entry
				if err := json.Unmarshal(v, &e); err != nil {
					return err
				}
				named[e.File] = true
				return nil
			})
		})
	})
	if err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(b.dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || named[d.Name()] {
			return err
		}
		return os.Remove(path)
	})
}

// save writes input to a new file, on disk when it returns.
func (b *backend) save(input io.Reader, size int64) (entry, error) {
	e := entry{File: xid.New().String(), Time: b.clock.Now().UTC()}
	name := b.file(e.File)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return entry{}, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return entry{}, err
	}
	sum := md5.New() //nolint:gosec // see above
	e.Size, err = io.Copy(io.MultiWriter(f, sum), input)
	if err == nil && size >= 0 && e.Size != size {
		err = gofakes3.ErrIncompleteBody
	}
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(name))); err != nil {
		return entry{}, errors.Join(err, os.Remove(name))
	}
	e.Hash = sum.Sum(nil)
	return e, nil
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// remove deletes files no name leads to any more.
func (b *backend) remove(files ...string) {
	b.reading.Lock()
	defer b.reading.Unlock()
	for _, f := range files {
		if f != "" {
			_ = os.Remove(b.file(f)) // else the next start sweeps it
		}
	}
}

// bucketOf returns a bucket of the index.
func bucketOf(tx *bolt.Tx, name string) (*bolt.Bucket, error) {
	in := tx.Bucket([]byte(name))
	if in == nil || name == string(uploads) {
		return nil, gofakes3.BucketNotFound(name)
	}
	return in, nil
}

func load(in *bolt.Bucket, key string) (*entry, error) {
	v := in.Get([]byte(key))
	if v == nil {
		return nil, gofakes3.KeyNotFound(key)
	}
	var e entry
	return &e, json.Unmarshal(v, &e)
}

// name makes the index name e for a key, under conditions, and returns the
// file it replaced.
func (b *backend) name(bucket, key string, e entry, conditions *gofakes3.PutConditions) (old string, err error) {
	err = b.index.Update(func(tx *bolt.Tx) error {
		in, err := bucketOf(tx, bucket)
		if err != nil {
			return err
		}
		info := &gofakes3.ConditionalObjectInfo{}
		if have, err := load(in, key); err == nil {
			old, info.Exists, info.Hash = have.File, true, have.Hash
		}
		if conditions != nil {
			if err := gofakes3.CheckPutConditions(conditions, info); err != nil {
				return err
			}
		}
		v, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return in.Put([]byte(key), v)
	})
	return old, err
}

// PutObject stores an object, replacing one of the same key.
func (b *backend) PutObject(bucket, key string, meta map[string]string, input io.Reader, size int64, conditions *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	if ok, err := b.BucketExists(bucket); err != nil || !ok {
		return gofakes3.PutObjectResult{}, errors.Join(err, gofakes3.BucketNotFound(bucket))
	}
	e, err := b.save(input, size)
	if err != nil {
		return gofakes3.PutObjectResult{}, err
	}
	e.Meta = maps.Clone(meta)
	old, err := b.name(bucket, key, e, conditions)
	if err != nil {
		b.remove(e.File)
		return gofakes3.PutObjectResult{}, err
	}
	b.remove(old)
	return gofakes3.PutObjectResult{}, nil
}

// object describes e without its bytes.
func (e *entry) object(key string) *gofakes3.Object {
	meta := map[string]string{}
	maps.Copy(meta, e.Meta)
	meta["Last-Modified"] = e.Time.Format(http.TimeFormat)
	return &gofakes3.Object{Name: key, Metadata: meta, Size: e.Size, Hash: e.Hash, Contents: io.NopCloser(http.NoBody)}
}

func (b *backend) find(bucket, key string) (e *entry, err error) {
	err = b.index.View(func(tx *bolt.Tx) error {
		in, err := bucketOf(tx, bucket)
		if err != nil {
			return err
		}
		e, err = load(in, key)
		return err
	})
	return e, err
}

// HeadObject describes an object.
func (b *backend) HeadObject(bucket, key string) (*gofakes3.Object, error) {
	e, err := b.find(bucket, key)
	if err != nil {
		return nil, err
	}
	return e.object(key), nil
}

// GetObject opens an object, or a range of it. An object replaced while it is
// read stays readable.
func (b *backend) GetObject(bucket, key string, want *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	b.reading.RLock()
	defer b.reading.RUnlock()
	e, err := b.find(bucket, key)
	if err != nil {
		return nil, err
	}
	o := e.object(key)
	if o.Range, err = want.Range(e.Size); err != nil {
		return nil, err
	}
	f, err := os.Open(b.file(e.File))
	if err != nil {
		return nil, err
	}
	o.Contents = f
	if o.Range != nil {
		o.Contents = section{io.NewSectionReader(f, o.Range.Start, o.Range.Length), f}
	}
	return o, nil
}

// section is a part of a file.
type section struct {
	io.Reader
	io.Closer
}

// DeleteObject removes an object; one that is not there is no error in S3.
func (b *backend) DeleteObject(bucket, key string) (gofakes3.ObjectDeleteResult, error) {
	var old string
	err := b.index.Update(func(tx *bolt.Tx) error {
		in, err := bucketOf(tx, bucket)
		if err != nil {
			return err
		}
		if have, err := load(in, key); err == nil {
			old = have.File
		}
		return in.Delete([]byte(key))
	})
	if err == nil {
		b.remove(old)
	}
	return gofakes3.ObjectDeleteResult{}, err
}

// DeleteMulti removes several objects.
func (b *backend) DeleteMulti(bucket string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var res gofakes3.MultiDeleteResult
	for _, key := range keys {
		if _, err := b.DeleteObject(bucket, key); err != nil {
			res.Error = append(res.Error, gofakes3.ErrorResultFromError(err))
			continue
		}
		res.Deleted = append(res.Deleted, gofakes3.ObjectID{Key: key})
	}
	return res, nil
}

// CopyObject copies an object with new metadata.
func (b *backend) CopyObject(srcBucket, srcKey, dstBucket, dstKey string, meta map[string]string) (gofakes3.CopyObjectResult, error) {
	return gofakes3.CopyObject(b, srcBucket, srcKey, dstBucket, dstKey, meta)
}
