package files

import (
	"bytes"
	"context"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// bucket is a prefix of an S3 bucket.
type bucket struct {
	client *minio.Client
	name   string
	prefix string // "" or with a slash at its end
	stall  time.Duration
}

func openS3(c S3) (*bucket, error) {
	client, err := minio.New(c.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: c.Secure, Region: c.Region})
	if err != nil {
		return nil, fault.New(fault.Invalid, "s3 %s：%w", c.Endpoint, err)
	}
	b := &bucket{client: client, name: c.Bucket, prefix: strings.Trim(c.Folder, "/"), stall: c.Stall}
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
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	o, err := b.client.GetObject(ctx, b.name, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return newSpool(o, b.stall, cut)
}

func (b *bucket) has(ctx context.Context, folder, name string) (bool, error) {
	_, err := b.client.StatObject(ctx, b.name, b.prefix+path.Join(folder, name), minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).StatusCode == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// move copies, then removes: S3 has no rename. A crash in between leaves both,
// and the file is taken again without effect.
func (b *bucket) move(ctx context.Context, name, folder, as string) error {
	_, err := b.client.CopyObject(ctx, minio.CopyDestOptions{Bucket: b.name, Object: b.prefix + path.Join(folder, as)},
		minio.CopySrcOptions{Bucket: b.name, Object: b.prefix + name})
	if err != nil {
		return err
	}
	return b.client.RemoveObject(ctx, b.name, b.prefix+name, minio.RemoveObjectOptions{})
}

func (b *bucket) write(ctx context.Context, folder, name string, data []byte) error {
	_, err := b.client.PutObject(ctx, b.name, b.prefix+path.Join(folder, name), bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ContentType: "application/json"})
	return err
}

func (b *bucket) close() error { return nil }
