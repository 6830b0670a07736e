package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/qihuang-health/qihuang/fhir/store/backup"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/internal/blob"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
)

// HousekeepingConfig says when the hub looks after itself. Schedules are cron
// lines of five fields in the hub's zone, or @daily, @every 6h …; "" = never.
type HousekeepingConfig struct {
	Snapshot string `yaml:"snapshot"` // repository to S3; then the log forgets what no kept snapshot needs
	Keep     int    `yaml:"keep"`     // snapshots kept
	Optimize string `yaml:"optimize"` // merge the warehouse's row versions
}

// validate reports the first setting that cannot work.
func (c HousekeepingConfig) validate() error {
	if c.Keep < 1 {
		return fault.New(fault.Invalid, "配置 housekeeping.keep 至少为 1，现为 %d", c.Keep)
	}
	for name, line := range map[string]string{"snapshot": c.Snapshot, "optimize": c.Optimize} {
		if line == "" {
			continue
		}
		if _, err := cron.ParseStandard(line); err != nil {
			return fault.New(fault.Invalid, "配置 housekeeping.%s 不是有效的计划 %q：%w", name, line, err)
		}
	}
	return nil
}

// housekeeper does the hub's regular work.
type housekeeper struct {
	snapshots atomic.Int64
	newest    atomic.Pointer[time.Time]
}

// openBlobs opens the object store, and gives an empty repository folder the
// newest snapshot in it: what the log has forgotten is only there.
func (h *hub) openBlobs(ctx context.Context) (err error) {
	cfg := blob.Default(h.dir("s3"))
	s3 := h.cfg.S3
	cfg.Endpoint, cfg.AccessKey, cfg.SecretKey, cfg.Secure, cfg.Bucket = s3.Endpoint, s3.AccessKey, s3.SecretKey, s3.Secure, s3.Bucket
	cfg.Listen = h.cfg.addr(h.cfg.Ports.S3)
	if h.blobs, err = blob.Open(ctx, cfg, h.clock, h.log.With("part", "s3")); err != nil {
		return portTaken(err, cfg.Listen)
	}
	h.onClose(h.blobs.Close)
	keep := backup.Default(h.dir("fhir"))
	keep.Bucket, keep.Keep = s3.Bucket, h.cfg.Housekeeping.Keep
	if h.backup, err = backup.New(keep, h.blobs.Client, h.clock, h.log.With("part", "backup")); err != nil {
		return err
	}
	return h.restore(ctx)
}

func (h *hub) restore(ctx context.Context) error {
	entries, err := os.ReadDir(h.dir("fhir"))
	if err == nil && len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s, err := h.backup.Restore(ctx, -1)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil {
		h.log.InfoContext(ctx, "repository restored from its snapshot", "offset", s.Offset, "taken", s.Time)
	}
	return err
}

// openHousekeeping plans the regular work; run does it.
func (h *hub) openHousekeeping(ctx context.Context) error {
	list, err := h.backup.List(ctx)
	if err != nil {
		return err
	}
	h.keeper = &housekeeper{}
	h.keeper.snapshots.Store(int64(len(list)))
	if len(list) > 0 {
		h.keeper.newest.Store(&list[len(list)-1].Time)
	}
	return nil
}

// keepHouse runs the schedules until ctx ends, and waits for running work.
func (h *hub) keepHouse(ctx context.Context) error {
	log := h.log.With("part", "housekeeping")
	c := cron.New(cron.WithLocation(h.zone), cron.WithChain(cron.Recover(cronLog{log}), cron.SkipIfStillRunning(cronLog{log})))
	type job struct {
		name, line string
		do         func(context.Context) error
	}
	jobs := []job{{"snapshot", h.cfg.Housekeeping.Snapshot, h.snapshot}, {"optimize", h.cfg.Housekeeping.Optimize, h.optimize}, {"alerts", h.cfg.Supervision.Schedule, h.watch}}
	for _, e := range h.cfg.ClickHouse.Exports {
		jobs = append(jobs, job{"export " + e.Name, e.Schedule, func(ctx context.Context) error { return h.export(ctx, e) }})
	}
	for i, p := range h.cfg.Supervision.Publish {
		jobs = append(jobs, job{fmt.Sprintf("publish %d", i+1), p.Schedule, func(ctx context.Context) error { _, err := h.publisher().Run(ctx, p); return err }})
	}
	for _, job := range jobs {
		if job.line == "" {
			continue
		}
		if _, err := c.AddFunc(job.line, func() {
			begin := h.clock.Now()
			if err := job.do(ctx); err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "job failed", "job", job.name, "error", err)
				return
			}
			log.InfoContext(ctx, "job done", "job", job.name, "took", h.clock.Now().Sub(begin).Round(time.Millisecond))
		}); err != nil {
			return err
		}
	}
	c.Start()
	<-ctx.Done()
	<-c.Stop().Done()
	return nil
}

// snapshot puts the repository into S3. The embedded log then forgets what the
// oldest kept snapshot stands for, so that the hub starts fast; a cluster's log
// is trimmed by its operators.
func (h *hub) snapshot(ctx context.Context) error {
	var trim backup.Trimmer
	if h.kafka.Embedded() {
		trim = h.records
	}
	s, err := h.backup.Take(ctx, h.store, trim)
	if s != nil {
		h.keeper.newest.Store(&s.Time)
	}
	if err != nil {
		return err
	}
	list, err := h.backup.List(ctx)
	h.keeper.snapshots.Store(int64(len(list)))
	return err
}

// optimize merges superseded row versions of every table, so that FINAL stays
// fast. Tombstones stay (no CLEANUP): a replayed older row must find them.
func (h *hub) optimize(ctx context.Context) error {
	var names []string
	if err := h.warehouse.conn.Select(ctx, &names, "SELECT table FROM system.parts WHERE database = ? AND active GROUP BY table HAVING count() > 1 ORDER BY table", h.cfg.ClickHouse.Database); err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, name := range names {
		if err := h.warehouse.conn.Exec(ctx, fmt.Sprintf("OPTIMIZE TABLE `%s`.`%s` FINAL", h.cfg.ClickHouse.Database, name)); err != nil {
			return fmt.Errorf("optimize %s: %w", name, err)
		}
	}
	return nil
}

// note says how many snapshots there are and how old the newest is.
func (k *housekeeper) note(zone *time.Location) string {
	newest := k.newest.Load()
	if newest == nil {
		return "还没有快照"
	}
	return fmt.Sprintf("%d 份快照，最近 %s", k.snapshots.Load(), newest.In(zone).Format("01-02 15:04"))
}

// cronLog lends the hub's log to cron.
type cronLog struct{ log *slog.Logger }

// Info implements cron.Logger; schedules firing are not news.
func (l cronLog) Info(msg string, kv ...any) { l.log.Debug(msg, kv...) }

// Error implements cron.Logger.
func (l cronLog) Error(err error, msg string, kv ...any) {
	l.log.Error(msg, append(kv, "error", err)...)
}

var (
	_ backup.Checkpointer = (*pebble.Store)(nil)
	_ backup.Trimmer      = (*kafka.Log)(nil)
)
