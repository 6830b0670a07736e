package exports

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/qihuang-health/qihuang/internal/blob"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// sql answers with a text, or breaks off after it.
type sql struct {
	text string
	err  error
	said []string
}

func (s *sql) Query(_ context.Context, query string, _ map[string]string, format string, w io.Writer) error {
	s.said = append(s.said, query+" "+format)
	if _, err := io.WriteString(w, s.text); err != nil {
		return err
	}
	return s.err
}

func TestRun(t *testing.T) {
	cfg := blob.Default(t.TempDir())
	cfg.Listen = "127.0.0.1:0"
	s3, err := blob.Open(t.Context(), cfg, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s3.Close() })
	q := &sql{text: "PAR1…PAR1"}
	x := &Exporter{SQL: q, S3: s3.Client, Bucket: s3.Bucket, Database: "qihuang"}
	now := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	for i := range 3 {
		key, err := x.Run(t.Context(), Export{Name: "encounter", Keep: 2}, now.Add(time.Duration(i)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		o, err := s3.Client.GetObject(t.Context(), s3.Bucket, key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, []byte(q.text)) {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
	if q.said[0] != "SELECT * FROM `qihuang`.`encounter` FINAL Parquet" {
		t.Errorf("asked %q", q.said[0])
	}
	count := func() (n int) {
		for range s3.Client.ListObjects(t.Context(), s3.Bucket, minio.ListObjectsOptions{Prefix: "exports/", Recursive: true}) {
			n++
		}
		return n
	}
	if n := count(); n != 2 {
		t.Errorf("%d files kept, want 2", n)
	}
	q.err = fault.New(fault.Unavailable, "the warehouse went away")
	if _, err := x.Run(t.Context(), Export{Name: "encounter"}, now.Add(9*time.Hour)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("broken off: %v", err)
	}
	if n := count(); n != 2 {
		t.Errorf("half a file was kept: %d", n)
	}
}

func TestValidate(t *testing.T) {
	if err := Validate([]Export{{Name: "encounter", Schedule: "0 3 * * *"}}); err != nil {
		t.Error(err)
	}
	for _, e := range []Export{{Name: "../x", Schedule: "@daily"}, {Name: "a", Schedule: "soon"}, {Name: "a", Schedule: "@daily", Keep: -1}} {
		if err := Validate([]Export{e}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}
