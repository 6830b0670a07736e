// Package shelf opens the small Pebble databases in which single parts of the
// hub remember things (what was seen, parked, delivered). The repository has its
// own (fhir/store/pebble): its write-ahead log is Kafka's.
package shelf

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// Options of a database. The zero value is a small one on disk.
type Options struct {
	FS       vfs.FS // nil = the disk
	MemTable uint64 // bytes gathered before they are sorted to disk; 0 = 4 MiB
	Misses   bool   // most lookups find nothing: keep Bloom filters
}

// Open opens or makes the database in dir. What Pebble logs is dropped: errors
// come back from calls, and what it cannot go on from panics. Close it.
func Open(dir string, o Options) (*pebble.DB, error) {
	p := &pebble.Options{FS: o.FS, FormatMajorVersion: pebble.FormatNewest, MemTableSize: max(o.MemTable, 4<<20), Logger: silent{}}
	if o.Misses {
		for i := range p.Levels {
			p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		}
	}
	return pebble.Open(dir, p)
}

// Get returns a copy of a value, nil if the key has none (an empty value is not
// nil).
func Get(r pebble.Reader, key []byte) ([]byte, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := append([]byte{}, v...)
	return out, closer.Close()
}

// silent drops Pebble's log. Fatalf must not return.
type silent struct{}

// Infof implements pebble.Logger.
func (silent) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (silent) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger.
func (silent) Fatalf(format string, args ...any) {
	panic(fault.New(fault.Internal, "database: %s", fmt.Sprintf(format, args...)))
}
