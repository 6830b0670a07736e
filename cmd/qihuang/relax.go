package main

import (
	"context"
	"runtime/debug"
	"time"
)

// relax gives memory back to the machine when a busy time is over: the hub
// shares it with the clinic.
func (h *hub) relax(ctx context.Context) error {
	const quiet = 5 * time.Second
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
			busy, last = 2, now // once now, once after the engine has merged
			continue
		}
		last = now
		if busy == 0 {
			continue
		}
		busy--
		debug.FreeOSMemory()
		if h.engine == nil {
			continue
		}
		if err := h.warehouse.conn.Exec(ctx, "SYSTEM JEMALLOC PURGE"); err != nil && ctx.Err() == nil {
			h.log.DebugContext(ctx, "engine keeps its memory", "error", err)
		}
	}
}
