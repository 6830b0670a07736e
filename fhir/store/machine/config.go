package machine

import (
	"log/slog"
	"time"

	"github.com/qihuang-health/qihuang/fhir/search"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/clock"
)

// Config says how a machine works.
type Config struct {
	Log     store.Log
	Indexer store.Indexer
	Patcher store.Patcher // nil: patches are refused as unsupported
	// Extend returns Indexer with the search parameters of some SearchParameter
	// resources, and where their keys lie; nil: offers are refused as unsupported.
	Extend func(resources [][]byte) (store.Indexer, []search.Owned, error)
	Clock  clock.Clock
	Logger *slog.Logger

	// Window is for how many log offsets a transaction id is remembered. It is
	// part of the state: all nodes of one log must agree on it.
	Window int64
	// History says which superseded versions are dropped. It is part of the
	// state, as Window is.
	History Retention
	// RetainViews and RetainFor bound the states kept for SnapshotAt.
	RetainViews int
	RetainFor   time.Duration
	// Rows is how many bytes of current versions read lately are kept in memory.
	Rows int64
	// Ahead is how many bytes of records may be in preparation ahead of apply.
	Ahead int64
	// Pending is how many bytes of resources may be in Commit at once by
	// transactions over 1 MiB; further ones wait. It bounds memory, several times
	// this much, under huge bundles.
	Pending int64
}

// Defaults fills what is zero.
func (c Config) Defaults() Config {
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Window == 0 {
		c.Window = 100_000
	}
	if c.RetainViews == 0 {
		c.RetainViews = 4096
	}
	if c.RetainFor == 0 {
		c.RetainFor = 10 * time.Minute
	}
	if c.Rows == 0 {
		c.Rows = 24 << 20
	}
	if c.Ahead == 0 {
		c.Ahead = 64 << 20
	}
	if c.Pending == 0 {
		c.Pending = 64 << 20
	}
	return c
}
