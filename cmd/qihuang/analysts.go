package main

import (
	"context"
	"encoding/hex"
	"net"

	"github.com/qihuang-health/qihuang/warehouse/gateway"
)

// openGateway puts the analysts' door on the SQL port when users are
// configured: the warehouse itself then answers nobody but the hub.
func (h *hub) openGateway() error {
	ch := h.cfg.ClickHouse
	if len(ch.Users) == 0 {
		return nil
	}
	cfg := gateway.Default()
	cfg.Upstream, cfg.User, cfg.Password, cfg.Database, cfg.Users = "http://"+ch.Address, ch.User, ch.Password, ch.Database, ch.Users
	h.queries = &queryLog{entries: make(chan gateway.Entry, 4096)}
	cfg.Recorder = h.queries
	door, err := gateway.New(cfg, h.clock, h.log.With("part", "gateway"))
	if err != nil {
		return err
	}
	addr := h.cfg.addr(h.cfg.Ports.ClickHouse)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return portTaken(err, addr)
	}
	h.onClose(func() error { _ = l.Close(); return nil }) // closed already after a run
	h.gateway = func(ctx context.Context) error { return listen(ctx, l, door) }
	return nil
}

// engineAddress is where the embedded engine listens. Without users that is
// the SQL port, of this machine only; with users a free port and a secret,
// since the door stands on the SQL port.
func (h *hub) engineAddress() (addr, secret string, err error) {
	if len(h.cfg.ClickHouse.Users) == 0 {
		local := h.cfg
		if !local.loopback() {
			local.Listen = "127.0.0.1"
		}
		return local.addr(local.Ports.ClickHouse), "", nil
	}
	key, err := h.secret("engine.key")
	if err != nil {
		return "", "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	return l.Addr().String(), hex.EncodeToString(key), l.Close()
}
