package main

import (
	"context"
	"os"

	"github.com/qihuang-health/qihuang/conformance"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/fetch"
	"github.com/qihuang-health/qihuang/warehouse/engine"
	"github.com/qihuang-health/qihuang/warehouse/sink"
)

// openWarehouse prepares the engine's child process (unless a ClickHouse is
// configured), the connection and the sink. Nothing here waits for the engine.
func (h *hub) openWarehouse(ctx context.Context) (err error) {
	ch := &h.cfg.ClickHouse
	if ch.Address == "" {
		if ch.Address, ch.Password, err = h.engineAddress(); err != nil {
			return err
		}
		if err := h.prepareEngine(ctx, ch.Address, ch.Password); err != nil {
			return err
		}
	}
	if err := h.openGateway(); err != nil {
		return err
	}
	if h.warehouse, err = openDatabase(*ch, ch.Address); err != nil {
		return err
	}
	h.onClose(h.warehouse.conn.Close)
	rows, err := openDatabaseWith(*ch, ch.Address, map[string]string{engine.Urgent: "1"}) // new visits do not wait for analysts
	if err != nil {
		return err
	}
	h.onClose(rows.conn.Close)
	cfg := sink.Default()
	cfg.Database, cfg.Zone, cfg.History, cfg.Layout, cfg.Letters = h.cfg.ClickHouse.Database, h.zone, h.store, h.cfg.ClickHouse.Layout, h.letters
	cfg.Busy = new(pulse).Busy
	var views [][]byte
	for _, b := range conformance.Views() {
		views = append(views, b)
	}
	if h.sink, err = sink.New(cfg, rows.conn, h.kafka, h.paths, views, h.log.With("part", "sink")); err != nil {
		return err
	}
	h.inbound.Handle(sink.Kind, h.sink) // replayed rows that a view refused
	return nil
}

func (h *hub) prepareEngine(ctx context.Context, addr, secret string) error {
	if err := free(ctx, addr); err != nil {
		return err
	}
	lib := h.cfg.ClickHouse.Library
	if lib == "" {
		path, ok := fetch.LibraryPath("")
		if !ok {
			return fault.New(fault.Unavailable, "没有 ClickHouse 引擎库；请先运行 `qihuang setup`，或在配置里写 clickhouse.address")
		}
		lib = path
	}
	cfg := engine.Default()
	cfg.Library, cfg.Data, cfg.Listen, cfg.Databases = lib, h.dir("clickhouse"), addr, []string{h.cfg.ClickHouse.Database}
	cfg.Secret = secret
	if h.cfg.ClickHouse.Memory > 0 {
		cfg.Memory = h.cfg.ClickHouse.Memory << 20
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	h.engine = engine.NewSupervisor([]string{self, "engine"}, cfg, h.log.With("part", "engine"))
	return nil
}
