package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/qihuang-health/qihuang/apps/console"
	"github.com/qihuang-health/qihuang/web"
)

// run starts every part that works on its own; each ends when ctx does.
func (h *hub) run(ctx context.Context, group *errgroup.Group) {
	parts := []func(context.Context) error{h.store.Run, h.letters.Run, h.inbound.Run, h.changes.Run, h.sink.Run, h.keepHouse, h.mllp.Run, h.seedGuide, h.relax, h.runParameters, h.subscriptions.Run, h.deliver}
	parts = append(parts, h.desk.Run, h.journal.Run)
	parts = append(parts, h.sources...)
	parts = append(parts, h.keepMarts)
	if h.queries != nil {
		parts = append(parts, h.keepQueries)
	}
	parts = append(parts, h.maps.Run, h.tally.Run)
	if h.engine != nil {
		parts = append(parts, h.engine.Run)
	}
	if h.gateway != nil {
		parts = append(parts, h.gateway)
	}
	for _, part := range parts {
		group.Go(func() error { return part(ctx) })
	}
}

// ready reports whether every view has caught up with the log as it stood at
// the start.
func (h *hub) ready() bool { return h.store.Ready() && h.sink.Ready() }

// parts tells how each component is, for the first page.
func (h *hub) parts(context.Context) []console.Part {
	use, rows := h.store.Usage(), h.sink.Stats()
	warehouse := fmt.Sprintf("已写 %s 行", web.Count(rows.Rows))
	if rows.Error != "" {
		warehouse = "正在重试"
	}
	return []console.Part{
		{Name: "日志 Kafka", Address: strings.Join(h.kafka.Brokers(), ", "), Note: kind(h.kafka.Embedded()), OK: true},
		{Name: "FHIR 资源库", Address: h.dir("fhir"), Note: "磁盘 " + web.Bytes(use.Disk), OK: h.store.Ready()},
		{Name: "对象存储 S3", Address: h.blobs.Endpoint, Note: kind(h.blobs.Embedded()) + "，" + h.keeper.note(h.zone), OK: true},
		{Name: "数据仓库 ClickHouse", Address: h.cfg.addr(h.cfg.Ports.ClickHouse), Note: warehouse, OK: rows.Error == ""},
	}
}

// kind says whether a part is in this installation or another's.
func kind(embedded bool) string {
	if embedded {
		return "内置"
	}
	return "集群"
}

// secret returns 32 random bytes kept in the data folder.
func (h *hub) secret(name string) ([]byte, error) {
	b, err := os.ReadFile(h.dir(name))
	if err == nil && len(b) >= 32 {
		return b, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b = make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	return b, os.WriteFile(h.dir(name), b, 0o600)
}
