package main

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/qihuang-health/qihuang/fhir/store/backup"
	"github.com/qihuang-health/qihuang/internal/blob"
)

// openBlobs connects to the configured S3 or starts the embedded one, and
// prepares the repository's snapshots there.
func (h *hub) openBlobs(ctx context.Context) (err error) {
	s3 := h.cfg.S3
	cfg := blob.Default(h.dir("s3"))
	cfg.Endpoint, cfg.AccessKey, cfg.SecretKey, cfg.Secure, cfg.Bucket = s3.Endpoint, s3.AccessKey, s3.SecretKey, s3.Secure, s3.Bucket
	cfg.Listen = net.JoinHostPort(h.cfg.Listen, strconv.Itoa(h.cfg.Ports.S3+h.cfg.PortOffset))
	if h.blobs, err = blob.Open(ctx, cfg, h.clock, h.log); err != nil {
		return err
	}
	h.onClose(h.blobs.Close)
	keep := backup.Default(h.dir("fhir"))
	keep.Bucket = h.blobs.Bucket
	h.backup, err = backup.New(keep, h.blobs.Client, h.clock, h.log)
	return err
}

// snapshots keeps a copy of the repository in the object store, every hour.
func (h *hub) snapshots(ctx context.Context) error {
	timer := cron.New(cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger)))
	_, err := timer.AddFunc("@hourly", func() {
		begun := time.Now()
		s, err := h.backup.Take(ctx, h.store, nil)
		if err != nil {
			h.log.Error("snapshot of the repository", "error", err)
			return
		}
		h.log.Info("snapshot of the repository", "offset", s.Offset, "bytes", s.Bytes(), "took", time.Since(begun).Round(time.Millisecond))
	})
	if err != nil {
		return err
	}
	timer.Start()
	<-ctx.Done()
	<-timer.Stop().Done() // waits for one that runs
	return nil
}
