package engine

import (
	"context"
	"errors"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"
)

func connect(t testing.TB, s *Supervisor, method clickhouse.CompressionMethod) driver.Conn {
	t.Helper()
	c, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{s.cfg.Listen},
		Auth:        clickhouse.Auth{Database: "qihuang", Username: "default"},
		Compression: &clickhouse.Compression{Method: method, Level: 3},
		Settings:    clickhouse.Settings{"max_execution_time": 60},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// testDriver runs the unmodified Go driver over HTTP.
func testDriver(t *testing.T, s *Supervisor) {
	for name, method := range map[string]clickhouse.CompressionMethod{
		"none": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD,
		"gzip": clickhouse.CompressionGZIP, "deflate": clickhouse.CompressionDeflate, "br": clickhouse.CompressionBrotli,
	} {
		t.Run(name, func(t *testing.T) { testTypes(t, connect(t, s, method), "types_"+name) })
	}
	c := connect(t, s, clickhouse.CompressionLZ4)
	ctx := context.Background()
	var exception *clickhouse.Exception
	if err := c.Exec(ctx, "SELECT nope"); !errors.As(err, &exception) || exception.Code != 47 {
		t.Errorf("exception: %v", err)
	}
	var n uint64
	if err := c.QueryRow(ctx, "SELECT {n:UInt64} + 1", clickhouse.Named("n", "41")).Scan(&n); err != nil || n != 42 {
		t.Errorf("server-side parameter: %d %v", n, err)
	}
	if err := c.QueryRow(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 77})), "SELECT toUInt64(getSetting('max_block_size'))").Scan(&n); err != nil || n != 77 {
		t.Errorf("setting: %d %v", n, err)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if err := c.Exec(short, "SELECT count() FROM numbers(1e13) WHERE sipHash64(number) = 3"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancel: %v", err)
	}
	rows, err := c.Query(ctx, "SELECT throwIf(number = 5000000), number FROM numbers(6000000)")
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
	}
	if !errors.As(err, &exception) || exception.Code != 395 {
		t.Errorf("error in the stream: %v", err)
	}
}

type record struct {
	ID    uint64            `ch:"id"`
	Name  string            `ch:"name"`
	Kind  string            `ch:"kind"`
	Note  *string           `ch:"note"`
	Tags  []string          `ch:"tags"`
	Attrs map[string]uint32 `ch:"attrs"`
	Price decimal.Decimal   `ch:"price"`
	At    time.Time         `ch:"at"`
	Day   time.Time         `ch:"day"`
	Flag  bool              `ch:"flag"`
	Big   *big.Int          `ch:"big"`
	Score float64           `ch:"score"`
	Pairs [][]any           `ch:"pairs"`
}

func testTypes(t *testing.T, c driver.Conn, table string) {
	ctx := context.Background()
	if err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(ctx, "CREATE TABLE "+table+` (id UInt64, name String, kind LowCardinality(String), note Nullable(String), tags Array(LowCardinality(String)),
		attrs Map(String, UInt32), price Decimal(18, 4), at DateTime64(6, 'Asia/Shanghai'), day Date32, flag Bool, big Int256, score Float64,
		pairs Array(Tuple(UInt8, String))) ENGINE = MergeTree ORDER BY id`); err != nil {
		t.Fatal(err)
	}
	shanghai, _ := time.LoadLocation("Asia/Shanghai")
	note := "便溏\n\nDROP TABLE x; \x00\xff"
	want := record{ID: 7, Name: "黄芪\n\n", Kind: "饮片", Note: &note, Tags: []string{"a", "b"}, Attrs: map[string]uint32{"g": 30},
		Price: decimal.RequireFromString("12.3400"), At: time.Date(2026, 11, 22, 8, 9, 10, 123456000, shanghai), Day: time.Date(1931, 2, 3, 0, 0, 0, 0, shanghai),
		Flag: true, Big: big.NewInt(-12345678901234567), Score: 1.5, Pairs: [][]any{{uint8(1), "x"}}}
	const rows = 20000
	batch, err := c.PrepareBatch(ctx, "INSERT INTO "+table)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := batch.Append(want.ID+uint64(i), want.Name, want.Kind, want.Note, want.Tags, want.Attrs, want.Price, want.At, want.Day, want.Flag, want.Big, want.Score, want.Pairs); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := c.QueryRow(ctx, "SELECT count() FROM "+table).Scan(&n); err != nil || n != rows {
		t.Errorf("rows %d %v", n, err)
	}
	got := record{}
	if err := c.QueryRow(ctx, "SELECT * FROM "+table+" WHERE id = 7").Scan(&got.ID, &got.Name, &got.Kind, &got.Note, &got.Tags, &got.Attrs, &got.Price,
		&got.At, &got.Day, &got.Flag, &got.Big, &got.Score, &got.Pairs); err != nil {
		t.Fatal(err)
	}
	if !got.Price.Equal(want.Price) || !got.At.Equal(want.At) || got.Big.Cmp(want.Big) != 0 || !got.Day.Equal(want.Day) {
		t.Errorf("got %+v", got)
	}
	got.Price, got.At, got.Big, got.Day = want.Price, want.At, want.Big, want.Day
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
