package main

import (
	"context"
	"fmt"
	"time"

	"github.com/qihuang-health/qihuang/warehouse/gateway"
)

// queryLog takes analysts' queries on their way to the table _query_log, which
// administrators read.
type queryLog struct{ entries chan gateway.Entry }

// Record implements gateway.Recorder. When the warehouse is away for long the
// newest entries are dropped: a log must not stop analysts.
func (q *queryLog) Record(e gateway.Entry) {
	select {
	case q.entries <- e:
	default:
	}
}

const queryLogTable = "`_query_log`"

// keepQueries writes the log until ctx ends.
func (h *hub) keepQueries(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	made := false
	var waiting []gateway.Entry
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-h.queries.entries:
			waiting = append(waiting, e)
			if len(waiting) < 1000 {
				continue
			}
		case <-tick.C:
		}
		if len(waiting) == 0 || !h.sink.Ready() {
			continue
		}
		if !made {
			made = h.warehouse.Exec(ctx, fmt.Sprintf("CREATE TABLE IF NOT EXISTS `%s`.%s (at DateTime64(3, 'UTC'), user LowCardinality(String), query_id String, code Int32, millis UInt64, query String CODEC(ZSTD(3))) ENGINE = MergeTree PARTITION BY toYYYYMM(at) ORDER BY (user, at) TTL toDateTime(at) + INTERVAL 180 DAY",
				h.cfg.ClickHouse.Database, queryLogTable)) == nil
		}
		if err := h.writeQueries(ctx, waiting); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "write query log", "entries", len(waiting), "error", err)
			continue
		}
		waiting = waiting[:0]
	}
}

func (h *hub) writeQueries(ctx context.Context, list []gateway.Entry) error {
	b, err := h.warehouse.conn.PrepareBatch(ctx, fmt.Sprintf("INSERT INTO `%s`.%s (at, user, query_id, code, millis, query)", h.cfg.ClickHouse.Database, queryLogTable))
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := b.Append(e.At, e.User, e.ID, int32(e.Code), uint64(max(0, e.Millis)), e.Query); err != nil {
			return err
		}
	}
	return b.Send()
}
