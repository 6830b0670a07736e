package main

import (
	"context"

	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// keepMarts keeps what large scopes of indicators are read from up with the
// tables.
func (h *hub) keepMarts(ctx context.Context) error {
	return measures.NewMarts(h.measures, h.warehouse, h.clock, h.log.With("part", "marts")).Run(ctx, h.sink.High)
}
