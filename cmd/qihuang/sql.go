package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/warehouse/measures"
)

// database is the connection of pages and indicators to the warehouse.
type database struct{ conn driver.Conn }

// openDatabase prepares connections; it does not need the engine to be there.
func openDatabase(c ClickHouseConfig, addr string) (*database, error) {
	return openDatabaseWith(c, addr, nil)
}

// openDatabaseWith adds headers to each request.
func openDatabaseWith(c ClickHouseConfig, addr string, headers map[string]string) (*database, error) {
	conn, err := clickhouse.Open(&clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{addr},
		Auth:        clickhouse.Auth{Database: "default", Username: c.User, Password: c.Password},
		DialTimeout: 5 * time.Second, ReadTimeout: 5 * time.Minute, MaxOpenConns: 8, MaxIdleConns: 4, HttpHeaders: headers})
	if err != nil {
		return nil, fmt.Errorf("prepare connection to the warehouse: %w", err)
	}
	return &database{conn}, nil
}

// Exec runs a statement of the hub's own.
func (d *database) Exec(ctx context.Context, sql string) error {
	if err := d.conn.Exec(ctx, sql); err != nil {
		return fault.New(fault.Unavailable, "数据仓库暂时不可用：%w", err)
	}
	return nil
}

// Query implements the queriers of pages and indicators: rows of sql with
// parameters bound by the server.
func (d *database) Query(ctx context.Context, sql string, params map[string]string, fn func(scan func(dest ...any) error) error) error {
	if len(params) > 0 {
		ctx = clickhouse.Context(ctx, clickhouse.WithParameters(params))
	}
	if label := measures.Label(ctx); label != "" { // known while it runs, and ended when nobody waits any more
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"log_comment": label, "cancel_http_readonly_queries_on_client_close": 1}))
	}
	rows, err := d.conn.Query(ctx, sql)
	if err != nil {
		return fault.New(fault.Unavailable, "数据仓库暂时不可用：%w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
