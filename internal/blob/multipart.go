package blob

import (
	"crypto/md5" //nolint:gosec // S3's ETag is defined as MD5
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/rs/xid"
	bolt "go.etcd.io/bbolt"
)

// upload is an unfinished multipart upload. Its parts are files like objects.
type upload struct {
	Bucket string            `json:"bucket"`
	Key    string            `json:"key"`
	Meta   map[string]string `json:"meta,omitempty"`
	Time   time.Time         `json:"time"`
	Parts  map[int]entry     `json:"parts,omitempty"`
}

// change reads, changes and writes an upload in one transaction.
func (b *backend) change(id gofakes3.UploadID, fn func(u *upload) error) error {
	return b.index.Update(func(tx *bolt.Tx) error {
		in := tx.Bucket(uploads)
		v := in.Get([]byte(id))
		if v == nil {
			return gofakes3.ErrNoSuchUpload
		}
		var u upload
		if err := json.Unmarshal(v, &u); err != nil {
			return err
		}
		if err := fn(&u); err != nil {
			return err
		}
		v, err := json.Marshal(u)
		if err != nil {
			return err
		}
		return in.Put([]byte(id), v)
	})
}

// CreateMultipartUpload begins an upload.
func (b *backend) CreateMultipartUpload(bucket, key string, meta map[string]string) (gofakes3.UploadID, error) {
	id := xid.New().String()
	return gofakes3.UploadID(id), b.index.Update(func(tx *bolt.Tx) error {
		if _, err := bucketOf(tx, bucket); err != nil {
			return err
		}
		v, err := json.Marshal(upload{Bucket: bucket, Key: key, Meta: meta, Time: b.clock.Now().UTC()})
		if err != nil {
			return err
		}
		return tx.Bucket(uploads).Put([]byte(id), v)
	})
}

// UploadPart stores one part, replacing one of the same number.
func (b *backend) UploadPart(_, _ string, id gofakes3.UploadID, number int, size int64, input io.Reader) (string, error) {
	e, err := b.save(input, size)
	if err != nil {
		return "", err
	}
	var old string
	err = b.change(id, func(u *upload) error {
		if u.Parts == nil {
			u.Parts = map[int]entry{}
		}
		old = u.Parts[number].File
		u.Parts[number] = e
		return nil
	})
	if err != nil {
		old = e.File
	}
	b.remove(old)
	return gofakes3.FormatETag(e.Hash), err
}

// take removes an upload from the index and returns it.
func (b *backend) take(id gofakes3.UploadID) (u upload, err error) {
	err = b.index.Update(func(tx *bolt.Tx) error {
		in := tx.Bucket(uploads)
		v := in.Get([]byte(id))
		if v == nil {
			return gofakes3.ErrNoSuchUpload
		}
		if err := json.Unmarshal(v, &u); err != nil {
			return err
		}
		return in.Delete([]byte(id))
	})
	return u, err
}

func (u *upload) files() []string {
	var out []string
	for _, p := range u.Parts {
		out = append(out, p.File)
	}
	return out
}

// AbortMultipartUpload drops an upload and its parts.
func (b *backend) AbortMultipartUpload(_, _ string, id gofakes3.UploadID) error {
	u, err := b.take(id)
	if err == nil {
		b.remove(u.files()...)
	}
	return err
}

// CompleteMultipartUpload joins the parts into the object. The upload stays if
// that fails.
func (b *backend) CompleteMultipartUpload(bucket, key string, id gofakes3.UploadID, req *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	var u upload
	if err := b.change(id, func(have *upload) error { u = *have; return nil }); err != nil {
		return "", "", err
	}
	sum := md5.New() //nolint:gosec // see above
	var readers []io.Reader
	var last int
	for _, p := range req.Parts {
		e, ok := u.Parts[p.PartNumber]
		if !ok || strings.Trim(gofakes3.FormatETag(e.Hash), `"`) != strings.Trim(p.ETag, `"`) {
			return "", "", gofakes3.ErrInvalidPart
		}
		if p.PartNumber <= last {
			return "", "", gofakes3.ErrInvalidPartOrder
		}
		last = p.PartNumber
		sum.Write(e.Hash)
		readers = append(readers, &lazy{name: b.file(e.File)})
	}
	e, err := b.save(io.MultiReader(readers...), -1)
	if err != nil {
		return "", "", err
	}
	e.Hash, e.Meta = sum.Sum(nil), u.Meta
	old, err := b.name(bucket, key, e, nil)
	if err != nil {
		b.remove(e.File)
		return "", "", err
	}
	if _, err := b.take(id); err != nil {
		return "", "", err
	}
	b.remove(append(u.files(), old)...)
	return "", gofakes3.FormatETag(e.Hash), nil
}

// lazy reads a file, opening it at the first read.
type lazy struct {
	name string
	f    *os.File
}

// Read reads and closes at the end.
func (l *lazy) Read(p []byte) (n int, err error) {
	if l.f == nil {
		if l.f, err = os.Open(l.name); err != nil {
			return 0, err
		}
	}
	n, err = l.f.Read(p)
	if err != nil {
		_ = l.f.Close()
	}
	return n, err
}

// ListMultipartUploads lists unfinished uploads of a bucket by key.
func (b *backend) ListMultipartUploads(bucket string, marker *gofakes3.UploadListMarker, prefix gofakes3.Prefix, limit int64) (*gofakes3.ListMultipartUploadsResult, error) {
	res := &gofakes3.ListMultipartUploadsResult{Bucket: bucket, Prefix: prefix.Prefix, Delimiter: prefix.Delimiter, MaxUploads: limit}
	err := b.index.View(func(tx *bolt.Tx) error {
		return tx.Bucket(uploads).ForEach(func(id, v []byte) error {
			var u upload
			if err := json.Unmarshal(v, &u); err != nil {
				return err
			}
			if u.Bucket == bucket && strings.HasPrefix(u.Key, prefix.Prefix) && (marker == nil || u.Key > marker.Object) {
				res.Uploads = append(res.Uploads, gofakes3.ListMultipartUploadItem{Key: u.Key, UploadID: gofakes3.UploadID(id), StorageClass: "STANDARD", Initiated: gofakes3.NewContentTime(u.Time)})
			}
			return nil
		})
	})
	slices.SortFunc(res.Uploads, func(x, y gofakes3.ListMultipartUploadItem) int { return strings.Compare(x.Key, y.Key) })
	if limit > 0 && int64(len(res.Uploads)) > limit {
		res.Uploads, res.IsTruncated = res.Uploads[:limit], true
		res.NextKeyMarker = res.Uploads[limit-1].Key
	}
	return res, err
}

// ListParts lists the parts of an upload after a number.
func (b *backend) ListParts(bucket, key string, id gofakes3.UploadID, marker int, limit int64) (*gofakes3.ListMultipartUploadPartsResult, error) {
	res := &gofakes3.ListMultipartUploadPartsResult{Bucket: bucket, Key: key, UploadID: id, MaxParts: limit, PartNumberMarker: marker, StorageClass: "STANDARD"}
	err := b.change(id, func(u *upload) error {
		if u.Bucket != bucket || u.Key != key {
			return errors.Join(gofakes3.ErrNoSuchUpload)
		}
		for n, p := range u.Parts {
			if n > marker {
				res.Parts = append(res.Parts, gofakes3.ListMultipartUploadPartItem{PartNumber: n, Size: p.Size, ETag: gofakes3.FormatETag(p.Hash), LastModified: gofakes3.NewContentTime(p.Time)})
			}
		}
		return nil
	})
	slices.SortFunc(res.Parts, func(x, y gofakes3.ListMultipartUploadPartItem) int { return x.PartNumber - y.PartNumber })
	if limit > 0 && int64(len(res.Parts)) > limit {
		res.Parts, res.IsTruncated = res.Parts[:limit], true
		res.NextPartNumberMarker = res.Parts[limit-1].PartNumber
	}
	return res, err
}
