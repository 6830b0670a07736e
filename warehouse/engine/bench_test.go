package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// BenchmarkInsert sends batches through the Go driver and HTTP to disk.
func BenchmarkInsert(b *testing.B) {
	for _, rows := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			s := launch(b, testConfig(b, b.TempDir()))
			c := connect(b, s, clickhouse.CompressionNone)
			ctx := context.Background()
			if err := c.Exec(ctx, "CREATE TABLE t (id String, code LowCardinality(String), dose Nullable(Decimal(18, 6)), at DateTime64(3)) ENGINE = ReplacingMergeTree ORDER BY id"); err != nil {
				b.Fatal(err)
			}
			n, at := 0, time.Now()
			for b.Loop() {
				batch, err := c.PrepareBatch(ctx, "INSERT INTO t")
				if err != nil {
					b.Fatal(err)
				}
				for range rows {
					n++
					if err := batch.Append(fmt.Sprintf("Medication/%d", n), "黄芪", nil, at); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkQuery asks the smallest question over HTTP.
func BenchmarkQuery(b *testing.B) {
	s := launch(b, testConfig(b, b.TempDir()))
	for b.Loop() {
		if r := get(b, s, q("SELECT 1")); r.body != "1\n" {
			b.Fatal(r.body)
		}
	}
}
