package main

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/qihuang-health/qihuang/fhir/bulk"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// exports is where the files of $export lie: in the object store, below export/.
func (h *hub) exports() bulk.S3 {
	return bulk.S3{Client: h.blobs.Client, Bucket: h.cfg.S3.Bucket, Prefix: "export/"}
}

// importFile opens a file that an $import names: an object of the hub's own
// store, or a URL of a host the hub may call.
func (h *hub) importFile(ctx context.Context, address string) (io.ReadCloser, error) {
	if rest, ok := strings.CutPrefix(address, "s3://"); ok {
		bucket, key, _ := strings.Cut(rest, "/")
		if bucket != h.cfg.S3.Bucket {
			return nil, fault.New(fault.Forbidden, "只能导入本中心存储桶 %s 中的对象", h.cfg.S3.Bucket)
		}
		o, err := h.blobs.Client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
		if err != nil {
			return nil, fault.New(fault.Unavailable, "对象存储不可用：%w", err)
		}
		if _, err := o.Stat(); err != nil {
			_ = o.Close()
			return nil, fault.New(fault.NotFound, "没有对象 %s", key)
		}
		return o, nil
	}
	if err := h.outbound.Check(address); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "地址有误：%w", err)
	}
	resp, err := h.outbound.HTTP(0).Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "取不到文件：%w", err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fault.New(fault.NotFound, "取不到文件：对方答复 %d", resp.StatusCode)
	}
	return resp.Body, nil
}
