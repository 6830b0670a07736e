package mapping

import (
	"context"
	"log/slog"
	"testing"

	"github.com/qihuang-health/qihuang/configs/maps"
	"github.com/qihuang-health/qihuang/internal/clock"
	"github.com/qihuang-health/qihuang/internal/fault"
)

func shipped(t testing.TB) *Book {
	t.Helper()
	b, err := OpenBook(BookConfig{Shipped: maps.Files}, compiler(t, nil), clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		for e := range eachError(err) {
			t.Errorf("%v", e)
			for _, is := range fault.IssuesOf(e) {
				t.Errorf("  %d:%d %s", is.Line, is.Col, is.Text)
			}
		}
		t.FailNow()
	}
	return b
}

func eachError(err error) func(func(error) bool) {
	return func(yield func(error) bool) {
		if list, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range list.Unwrap() {
				if !yield(e) {
					return
				}
			}
			return
		}
		yield(err)
	}
}

// TestShippedMaps: every shipped map passes the tests it carries.
func TestShippedMaps(t *testing.T) {
	for _, m := range shipped(t).Maps() {
		passed, failures := m.Test(context.Background())
		for _, f := range failures {
			t.Errorf("%s:%d %s: %s", m.Name, f.Line, f.Test, f.Text)
		}
		if passed+len(failures) == 0 {
			t.Errorf("%s has no test", m.Name)
		}
	}
}
