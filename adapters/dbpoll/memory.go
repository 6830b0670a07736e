package dbpoll

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/qihuang-health/qihuang/internal/shelf"
)

// memory holds the hash of every row that was sent, by table and key. Losing it
// sends everything again, which changes nothing.
type memory struct{ db *pebble.DB }

func openMemory(dir string) (*memory, error) {
	db, err := shelf.Open(dir, shelf.Options{})
	if err != nil {
		return nil, fmt.Errorf("open memory of rows %s: %w", dir, err)
	}
	return &memory{db}, nil
}

func (m *memory) close() error { return m.db.Close() }

func (m *memory) same(s sum) (bool, error) {
	v, err := shelf.Get(m.db, s.key)
	return bytes.Equal(v, s.hash[:]), err
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
