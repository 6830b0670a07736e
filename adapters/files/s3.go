package files

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// bucket is a prefix of an S3 bucket.
type bucket struct {
	client *minio.Client
	name   string
	prefix string // "" or with a slash at its end
}

func openS3(c S3) (*bucket, error) {
	client, err := minio.New(c.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: c.Secure, Region: c.Region})
	if err != nil {
		return nil, fault.New(fault.Invalid, "s3 %s：%w", c.Endpoint, err)
	}
	b := &bucket{client: client, name: c.Bucket, prefix: strings.Trim(c.Folder, "/")}
	if b.prefix != "" && b.prefix != "." {
		b.prefix += "/"
	} else {
		b.prefix = ""
	}
	return b, nil
}

func (b *bucket) list(ctx context.Context) ([]entry, error) {
	var out []entry
	for o := range b.client.ListObjects(ctx, b.name, minio.ListObjectsOptions{Prefix: b.prefix}) {
		if o.Err != nil {
			return nil, o.Err
		}
		if name := strings.TrimPrefix(o.Key, b.prefix); name != "" && !strings.Contains(name, "/") {
			out = append(out, entry{name, o.Size, o.LastModified})
		}
	}
	return out, nil
}

func (b *bucket) open(ctx context.Context, name string) (file, error) {
	o, err := b.client.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return newSpool(o)
}

// move copies, then removes: S3 has no rename. A crash in between leaves both,
// and the file is taken again without effect.
func (b *bucket) move(ctx context.Context, name, folder string) (string, error) {
	as := name
	for n := 1; ; n++ {
		_, err := b.client.StatObject(ctx, b.name, b.prefix+path.Join(folder, as), minio.StatObjectOptions{})
		if minio.ToErrorResponse(err).StatusCode == 404 {
			break
		}
		if err != nil {
			return "", err
		}
		as = numbered(name, n)
	}
	_, err := b.client.CopyObject(ctx, minio.CopyDestOptions{Bucket: b.name, Object: b.prefix + path.Join(folder, as)},
		minio.CopySrcOptions{Bucket: b.name, Object: b.prefix + name})
	if err != nil {
		return "", err
	}
	return as, b.client.RemoveObject(ctx, b.name, b.prefix+name, minio.RemoveObjectOptions{})
}

func (b *bucket) write(ctx context.Context, folder, name string, data []byte) error {
	_, err := b.client.PutObject(ctx, b.name, b.prefix+path.Join(folder, name), bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ContentType: "application/json"})
	return err
}

func (b *bucket) close() error { return nil }
