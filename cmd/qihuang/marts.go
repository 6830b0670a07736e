package main

import (
	"context"
	"time"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// keepMarts keeps what large scopes of indicators are read from up with the
// tables.
func (h *hub) keepMarts(ctx context.Context) error {
	for !h.sink.Ready() { // the tables come first
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
	return measures.NewMarts(h.measures, h.warehouse, h.clock, h.log.With("part", "marts")).Run(ctx, h.sink.High)
}
