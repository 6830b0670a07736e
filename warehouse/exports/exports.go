// Package exports writes results of queries as Parquet files into the object
// store, on a schedule: for tools that read files instead of asking SQL.
package exports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/robfig/cron/v3"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Export is one scheduled file.
type Export struct {
	Name     string `yaml:"name" json:"name"`         // folder below exports/
	Query    string `yaml:"query" json:"query"`       // SELECT; "" = the whole table of the name
	Schedule string `yaml:"schedule" json:"schedule"` // cron line of five fields in the hub's zone, or @daily …
	Keep     int    `yaml:"keep" json:"keep"`         // files kept; 0 = all
}

var plain = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Validate reports the first export that cannot be.
func Validate(list []Export) error {
	seen := map[string]bool{}
	for _, e := range list {
		if !plain.MatchString(e.Name) || seen[e.Name] || e.Keep < 0 {
			return fault.New(fault.Invalid, "clickhouse.exports：%q 应为不重复的小写名称，keep 不能为负", e.Name)
		}
		seen[e.Name] = true
		if _, err := cron.ParseStandard(e.Schedule); err != nil {
			return fault.New(fault.Invalid, "clickhouse.exports：%s 的计划 %q 无效：%w", e.Name, e.Schedule, err)
		}
	}
	return nil
}

// Querier writes a query's rows in a format of ClickHouse to w, read-only;
// *sqlrun.ClickHouse is one.
type Querier interface {
	Query(ctx context.Context, sql string, params map[string]string, format string, w io.Writer) error
}

// Exporter writes exports.
type Exporter struct {
	SQL      Querier
	S3       *minio.Client
	Bucket   string
	Database string
}

const partSize = 16 << 20

// Run writes one file, exports/<name>/<time>.parquet, and returns its key. The
// object appears whole or not at all.
func (x *Exporter) Run(ctx context.Context, e Export, now time.Time) (key string, err error) {
	query := e.Query
	if query == "" {
		query = fmt.Sprintf("SELECT * FROM `%s`.`%s` FINAL", x.Database, e.Name)
	}
	key = fmt.Sprintf("exports/%s/%s.parquet", e.Name, now.UTC().Format("20060102T150405Z"))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	asked := make(chan error, 1)
	go func() {
		err := x.SQL.Query(ctx, query, nil, "Parquet", w)
		_ = w.CloseWithError(err) // nil ends the file; an error keeps the object from being made
		asked <- err
	}()
	_, err = x.S3.PutObject(ctx, x.Bucket, key, r, -1, minio.PutObjectOptions{ContentType: "application/vnd.apache.parquet", PartSize: partSize})
	cancel()
	_ = r.Close()
	if q := <-asked; q != nil && !errors.Is(q, context.Canceled) && !errors.Is(q, io.ErrClosedPipe) {
		err = q
	}
	if err != nil {
		return "", fmt.Errorf("export %s: %w", e.Name, err)
	}
	return key, x.trim(ctx, e)
}

// trim removes files beyond those kept; their names sort by time.
func (x *Exporter) trim(ctx context.Context, e Export) error {
	if e.Keep == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	var keys []string
	for o := range x.S3.ListObjects(ctx, x.Bucket, minio.ListObjectsOptions{Prefix: "exports/" + e.Name + "/", Recursive: true}) {
		if o.Err != nil {
			return fmt.Errorf("list exports of %s: %w", e.Name, o.Err)
		}
		keys = append(keys, o.Key)
	}
	for _, key := range keys[:max(0, len(keys)-e.Keep)] {
		if err := x.S3.RemoveObject(ctx, x.Bucket, key, minio.RemoveObjectOptions{}); err != nil {
			return fmt.Errorf("remove %s: %w", key, err)
		}
	}
	return nil
}
