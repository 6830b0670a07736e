package blob

import (
	"encoding/json"

	"github.com/johannesboyne/gofakes3"
	bolt "go.etcd.io/bbolt"
)

// ListBuckets returns every bucket.
func (b *backend) ListBuckets() (out []gofakes3.BucketInfo, err error) {
	err = b.index.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
			if string(name) != string(uploads) {
				out = append(out, gofakes3.BucketInfo{Name: string(name), CreationDate: gofakes3.NewContentTime(b.clock.Now())})
			}
			return nil
		})
	})
	return out, err
}

// CreateBucket makes a bucket.
func (b *backend) CreateBucket(name string) error {
	return b.index.Update(func(tx *bolt.Tx) error {
		if tx.Bucket([]byte(name)) != nil {
			return gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, name)
		}
		_, err := tx.CreateBucket([]byte(name))
		return err
	})
}

// BucketExists says whether there is a bucket of the name.
func (b *backend) BucketExists(name string) (ok bool, err error) {
	err = b.index.View(func(tx *bolt.Tx) error { ok = tx.Bucket([]byte(name)) != nil && name != string(uploads); return nil })
	return ok, err
}

// DeleteBucket removes an empty bucket.
func (b *backend) DeleteBucket(name string) error {
	return b.index.Update(func(tx *bolt.Tx) error {
		in, err := bucketOf(tx, name)
		if err != nil {
			return err
		}
		if k, _ := in.Cursor().First(); k != nil {
			return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, name)
		}
		return tx.DeleteBucket([]byte(name))
	})
}

// ForceDeleteBucket removes a bucket with its objects.
func (b *backend) ForceDeleteBucket(name string) error {
	var files []string
	err := b.index.Update(func(tx *bolt.Tx) error {
		in, err := bucketOf(tx, name)
		if err != nil {
			return err
		}
		if err := in.ForEach(func(_, v []byte) error {
			var e entry
			err := json.Unmarshal(v, &e)
			files = append(files, e.File)
			return err
		}); err != nil {
			return err
		}
		return tx.DeleteBucket([]byte(name))
	})
	if err == nil {
		b.remove(files...)
	}
	return err
}

// ListBucket lists keys in order, folding those that share a prefix up to the
// delimiter into one.
func (b *backend) ListBucket(name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	out := gofakes3.NewObjectList()
	err := b.index.View(func(tx *bolt.Tx) error {
		in, err := bucketOf(tx, name)
		if err != nil {
			return err
		}
		return list(in.Cursor(), prefix, page, out)
	})
	return out, err
}

func list(c *bolt.Cursor, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage, out *gofakes3.ObjectList) error {
	from := max(prefix.Prefix, page.Marker)
	var n int64
	var last, folded string
	for k, v := c.Seek([]byte(from)); k != nil; k, v = c.Next() {
		key := string(k)
		var match gofakes3.PrefixMatch
		if page.HasMarker && key <= page.Marker {
			continue
		}
		if !prefix.Match(key, &match) {
			if prefix.HasPrefix && key > prefix.Prefix {
				return nil // keys are in order: no more of this prefix
			}
			continue
		}
		if match.CommonPrefix && match.MatchedPart == folded {
			last = key // a page never ends within a folded prefix
			continue
		}
		if page.MaxKeys > 0 && n == page.MaxKeys {
			out.IsTruncated, out.NextMarker = true, last
			return nil
		}
		n, last = n+1, key
		if match.CommonPrefix {
			folded = match.MatchedPart
			out.AddPrefix(folded)
			continue
		}
		var e entry
		if err := json.Unmarshal(v, &e); err != nil {
			return err
		}
		out.Add(&gofakes3.Content{Key: key, ETag: gofakes3.FormatETag(e.Hash), Size: e.Size, LastModified: gofakes3.NewContentTime(e.Time)})
	}
	return nil
}
