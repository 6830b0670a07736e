package dbpoll

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/internal/fault"
)

// memory holds the hash of every row that was sent, by table and key. Losing it
// sends everything again, which changes nothing.
type memory struct{ db *pebble.DB }

func openMemory(dir string) (*memory, error) {
	db, err := pebble.Open(dir, &pebble.Options{MemTableSize: 4 << 20, Logger: silent{}})
	if err != nil {
		return nil, fmt.Errorf("open memory of rows %s: %w", dir, err)
	}
	return &memory{db}, nil
}

func (m *memory) close() error { return m.db.Close() }

func (m *memory) same(s sum) (bool, error) {
	v, closer, err := m.db.Get(s.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	same := bytes.Equal(v, s.hash[:])
	return same, closer.Close()
}

func (m *memory) add(list []sum) error {
	b := m.db.NewBatch()
	defer b.Close()
	for _, s := range list {
		if err := b.Set(s.key, s.hash[:], nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.NoSync)
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fault.New(fault.Internal, "memory of rows: "+format, args...))
}
