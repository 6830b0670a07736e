package main

import (
	"context"
	"runtime/debug"
	"time"
)

// relax gives memory back to the machine when a busy time is over: the hub
// shares it with the clinic.
func (h *hub) relax(ctx context.Context) error {
	const (
		quiet = 5 * time.Second
		times = 4 // for twenty seconds: the warehouse catches up, tables are flushed, the engine merges
	)
	busy, last := 0, h.store.Applied()
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := h.store.Applied()
		if now-last > 10 { // the demo's trickle is not busy
			busy, last = times, now
			continue
		}
		last = now
		if busy == 0 {
			continue
		}
		busy--
		if err := h.store.Relax(); err != nil {
			return err
		}
		debug.FreeOSMemory()
		if h.engine == nil {
			continue
		}
		purge, cancel := context.WithTimeout(ctx, quiet) // a starved engine must not keep the hub from its own
		err := h.warehouse.conn.Exec(purge, "SYSTEM JEMALLOC PURGE")
		cancel()
		if err != nil && ctx.Err() == nil {
			h.log.DebugContext(ctx, "engine keeps its memory", "error", err)
		}
	}
}
