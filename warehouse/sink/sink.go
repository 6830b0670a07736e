// Package sink carries the repository's changes into ClickHouse: every version
// into the landing table `resource`, and the rows of each registered view into
// its table.
//
// All tables are ReplacingMergeTree(_version, _deleted) ordered by (_resource,
// _line), so a version that comes twice, or late, changes nothing that FINAL
// shows. A version with fewer rows than the one before writes tombstones for
// the rest; deletions write tombstones for all. DESIGN.md says why.
package sink

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/qihuang-health/qihuang/fhir/fhirpath"
	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/pipeline/kafka"
	"github.com/qihuang-health/qihuang/warehouse/views"
)

// Group is the consumer group that shows the sink's progress to lag tools; the
// position that counts is kept in the warehouse itself.
const Group = "qihuang-warehouse"

// Config says where rows go and how they are gathered.
type Config struct {
	Database string
	Zone     *time.Location // of dates without a zone
	MaxRows  int            // changes in one batch
	MaxBytes int            // resource bytes in one batch
	Linger   time.Duration  // a batch waits so long for more changes
	Longer   time.Duration  // instead of Linger while Busy says so: larger batches cost less
	Busy     func() bool    // whether the hub has its hands full; nil = never
	Retry    time.Duration  // between tries while the warehouse is away
	Layout   Layout         // of the tables; zero = one server
	Letters  Letters        // where refused rows are told; nil = only in the table dlq
	History  store.Feed     // the repository's own changes, for what the topic has forgotten; nil = none
}

// Default gathers for half a second.
func Default() Config {
	return Config{Database: "qihuang", Zone: time.UTC, MaxRows: 20_000, MaxBytes: 32 << 20, Linger: 500 * time.Millisecond, Longer: 1200 * time.Millisecond, Retry: 500 * time.Millisecond}
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	if !identifier(c.Database) {
		return fault.New(fault.Invalid, "warehouse: %q is no database name", c.Database)
	}
	if err := c.Layout.Validate(); err != nil {
		return err
	}
	if c.MaxRows < 1 || c.MaxBytes < 1 || c.Zone == nil {
		return fault.New(fault.Invalid, "warehouse: batch limits and zone must be set")
	}
	return nil
}

// Sink writes changes. Run it once per process.
type Sink struct {
	cfg     Config
	conn    driver.Conn
	cluster *kafka.Cluster
	log     *slog.Logger
	eng     *fhirpath.Engine
	landing *table
	shape   atomic.Pointer[shape]
	shipped map[string]bool         // tables and views that come with the hub
	adopted map[string]int64        // stored ViewDefinition → version in the shape, or refused
	tableOf map[string]string       // stored ViewDefinition → its table
	stale   []string                // tables to rebuild beside the arriving changes
	leads   atomic.Bool             // this process has partition 0: it builds tables
	letters atomic.Int64            // dead letters written since the start
	crash   func(step string) error // tests end a batch between its steps

	write sync.Mutex // one batch at a time: rollups read what batches wrote
	high  uint64     // highest change sequence written

	mu    sync.Mutex
	ready bool
	stats Stats
}

// Stats tell how the sink is doing.
type Stats struct {
	Changes, Rows, Skipped int64         // written since the start; rows a view refused
	Next                   map[int]int64 // partition → next offset
	Lag                    time.Duration // age of the newest change when it became queryable
	High                   uint64        // newest change sequence in the tables
	Error                  string        // why the last try failed, "" if it did not
}

// New compiles the view definitions and prepares their tables' shapes. It does
// not need the warehouse to be there.
func New(cfg Config, conn driver.Conn, cluster *kafka.Cluster, eng *fhirpath.Engine, definitions [][]byte, log *slog.Logger) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Sink{cfg: cfg, conn: conn, cluster: cluster, eng: eng, log: log, shipped: map[string]bool{}, adopted: map[string]int64{}, tableOf: map[string]string{}, stats: Stats{Next: map[int]int64{}}}
	s.landing = landing(cfg.Database, cfg.Layout)
	sh := empty()
	for _, d := range definitions {
		v, err := views.Compile(d, eng)
		if err != nil {
			return nil, fmt.Errorf("compile view: %w", err)
		}
		if sh, err = sh.with(v, d, &s.cfg, false); err != nil {
			return nil, err
		}
		s.shipped[v.Name] = true
	}
	for _, t := range sh.tables {
		s.shipped[t.name] = true
	}
	s.shape.Store(sh)
	return s, nil
}

// Views returns the compiled views by name. Do not change the map.
func (s *Sink) Views() map[string]*views.View { return s.shape.Load().views }

// Ready reports whether the tables exist.
func (s *Sink) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// Stats returns the counters.
func (s *Sink) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Next = map[int]int64{}
	for p, n := range s.stats.Next {
		out.Next[p] = n
	}
	return out
}

// High returns the newest change sequence in the tables.
func (s *Sink) High() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats.High
}

func (s *Sink) note(fn func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.stats)
}

// Run makes the tables and writes changes until ctx ends. While the warehouse
// is away it waits and tries the same batch again: nothing is skipped.
func (s *Sink) Run(ctx context.Context) error {
	if err := s.until(ctx, "prepare tables", s.prepare); err != nil {
		return nil // only ctx ends the tries
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	var beside sync.WaitGroup
	beside.Go(func() { s.backfill(ctx); s.watch(ctx) })
	err := s.cluster.Consume(ctx, Group, kafka.Changes, s.consume)
	beside.Wait()
	return err
}

// until tries fn until it works or ctx ends, whose error it returns.
func (s *Sink) until(ctx context.Context, act string, fn func(context.Context) error) error {
	for try := 0; ; try++ {
		err := fn(ctx)
		if err == nil {
			s.note(func(st *Stats) { st.Error = "" })
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.note(func(st *Stats) { st.Error = err.Error() })
		if try == 4 || try%120 == 119 { // a restart of the engine takes a second or two
			s.log.WarnContext(ctx, "warehouse is away, trying again", "act", act, "tries", try+1, "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.Retry):
		}
	}
}
