package main

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/internal/trace"
)

// openTracing starts the export of traces, if a collector is configured.
func (h *hub) openTracing() (*trace.Tracing, error) {
	t, err := trace.Open(context.Background(), h.cfg.Trace, version)
	if err != nil {
		return nil, err
	}
	h.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := t.Close(ctx); err != nil { // the collector is away: no reason to fail the stop
			h.log.Warn("send the last traces", "error", err)
		}
		return nil
	})
	return t, nil
}
