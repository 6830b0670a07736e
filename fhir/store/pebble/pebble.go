// Package pebble is the repository on disk: the state machine on a Pebble
// database without a write-ahead log of its own, since the transaction log
// replays what was not flushed.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/internal/fault"
)

// Config says where and how the repository is kept.
type Config struct {
	Dir        string        // folder of the database
	CacheBytes int64         // block cache, beside the memtables
	MemTable   uint64        // bytes; two of them bound what a restart replays
	FlushEvery time.Duration // also flushed this often, so that an idle node restarts at once
	FS         vfs.FS        // nil = the disk; tests inject faults here
	machine.Config
}

// Default returns the configuration for a database in dir: about 130 MB of
// memory while it writes, and a replay of at most some 32 MB of writes after a crash.
func Default(dir string) Config {
	return Config{Dir: dir, CacheBytes: 64 << 20, MemTable: 32 << 20, FlushEvery: 30 * time.Second}
}

// Validate reports what is wrong with c.
func (c Config) Validate() error {
	switch {
	case c.Dir == "":
		return fault.New(fault.Invalid, "repository: no folder")
	case c.Log == nil || c.Indexer == nil:
		return fault.New(fault.Invalid, "repository: log and indexer are needed")
	case c.MemTable < 1<<20:
		return fault.New(fault.Invalid, "repository: memtable of %d bytes, at least 1 MiB", c.MemTable)
	}
	return nil
}

// Store is a repository on disk. It implements store.Store and store.Feed while
// Run runs.
type Store struct {
	*machine.Machine
	cfg   Config
	db    *pebble.DB
	wait  *patience
	cache *pebble.Cache
}

// Open opens or makes the database. Close it after Run has returned.
func Open(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Config = cfg.Config.Defaults()
	// Pebble takes the memtables from the cache's size: with two of them full
	// nothing would be left, and every lookup would read its filter from disk.
	cache := pebble.NewCache(cfg.CacheBytes + 2*int64(cfg.MemTable))
	o := options(cfg, cache)
	wait := newPatience()
	o.Experimental.CompactionScheduler = wait
	db, err := pebble.Open(cfg.Dir, o)
	if err != nil {
		cache.Unref()
		return nil, fmt.Errorf("open repository %s: %w", cfg.Dir, err)
	}
	wait.watch(func() int { return int(db.Metrics().Levels[0].Sublevels) })
	m, err := machine.New(cfg.Config, &kv{db, &wait.written})
	if err != nil {
		err = errors.Join(err, db.Close())
		cache.Unref()
		return nil, err
	}
	return &Store{Machine: m, cfg: cfg, db: db, wait: wait, cache: cache}, nil
}

func options(cfg Config, cache *pebble.Cache) *pebble.Options {
	o := &pebble.Options{
		FS:                          cfg.FS,
		Cache:                       cache,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                cfg.MemTable,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       3 * deep,
		MaxOpenFiles:                1000,
		LBaseMaxBytes:               64 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      quiet{cfg.Logger},
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].IndexBlockSize = 64 << 10
		o.Levels[i].FilterPolicy = lookups{bloom.FilterPolicy(10)}
	}
	return o
}

// Run applies the log until ctx ends, flushing now and then, and flushes at the end.
func (s *Store) Run(ctx context.Context) error {
	flushCtx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.flushLoop(flushCtx) })
	err := s.Machine.Run(ctx)
	stop()
	wg.Wait()
	return err
}

func (s *Store) flushLoop(ctx context.Context) {
	if s.cfg.FlushEvery <= 0 {
		return
	}
	tick := time.NewTicker(s.cfg.FlushEvery)
	defer tick.Stop()
	for flushed := s.Applied(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			applied := s.Applied()
			if applied == flushed {
				continue
			}
			if _, err := s.db.AsyncFlush(); err != nil {
				s.cfg.Logger.Error("flush repository", "error", err)
				continue
			}
			flushed = applied
		}
	}
}

// Relax flushes what is in memory and lets go of what was flushed before: Pebble's
// queue of memtables holds on to it, large batches among them, until it has
// moved on by its own length. For quiet times.
func (s *Store) Relax() error {
	const longest = 8 // places of the queue
	for range longest {
		if err := s.db.Flush(); err != nil {
			return fmt.Errorf("flush repository: %w", err)
		}
	}
	return nil
}

// Close flushes and closes the database. All snapshots must be closed before.
func (s *Store) Close() error {
	err := errors.Join(s.db.Flush(), s.db.Close())
	s.cache.Unref()
	return err
}

// Abandon closes the database without flushing, as a crash would leave it.
func (s *Store) Abandon() error {
	err := s.db.Close()
	s.cache.Unref()
	return err
}

// Checkpoint writes a consistent copy of the database to the new folder dir,
// sharing unchanged files by hard links, and returns the log offset it has
// applied at least.
func (s *Store) Checkpoint(dir string) (offset int64, err error) {
	offset = s.Applied()
	if err := s.db.Flush(); err != nil {
		return 0, err
	}
	return offset, s.db.Checkpoint(dir)
}

// Usage is what the database takes.
type Usage struct {
	Disk, MemTables, Cache int64 // bytes
	Compactions            int64 // running or due; 0 = the database is at rest
}

// Usage reports disk and memory use, for the console.
func (s *Store) Usage() Usage {
	m := s.db.Metrics()
	u := Usage{Disk: int64(m.DiskSpaceUsage()), MemTables: int64(m.MemTable.Size), Cache: m.BlockCache.Size, Compactions: m.Compact.NumInProgress}
	if waiting, _ := s.db.GetWaitingCompaction(); waiting {
		u.Compactions++
	}
	return u
}

// Compact rewrites the whole database in its final, smallest form.
func (s *Store) Compact(ctx context.Context) error {
	return s.db.Compact(ctx, []byte{0}, []byte{0xff}, true)
}

// Dump calls fn with every key and value in order; for comparing states.
func (s *Store) Dump(fn func(key, value []byte) error) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := fn(it.Key(), it.Value()); err != nil {
			it.Close()
			return err
		}
	}
	return it.Close()
}

// quiet keeps Pebble's chatter out of the log and turns its Fatalf into one.
type quiet struct{ log *slog.Logger }

func (q quiet) Infof(string, ...any) {}
func (q quiet) Errorf(format string, args ...any) {
	q.log.Error("pebble", "error", fmt.Sprintf(format, args...))
}
func (q quiet) Fatalf(format string, args ...any) {
	q.log.Error("pebble", "error", fmt.Sprintf(format, args...))
	panic(fault.New(fault.Internal, "pebble: "+format, args...))
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Feed  = (*Store)(nil)
)
