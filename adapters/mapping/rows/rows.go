// Package rows keeps table rows on disk for the joins of maps; see
// mapping.Rows. Keys, parts separated by NUL:
//
//	r source table key          → JSON of the row with its index
//	i source table column value key → nothing
package rows

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/adapters/mapping"
	"github.com/qihuang-health/qihuang/internal/fault"
	"github.com/qihuang-health/qihuang/internal/shelf"
)

// Store is a mapping.Rows in a folder. It is safe for concurrent use.
type Store struct{ db *pebble.DB }

// Open opens or makes the store in dir. fs is nil but in tests.
func Open(dir string, fs vfs.FS) (*Store, error) {
	db, err := shelf.Open(dir, shelf.Options{FS: fs, MemTable: 8 << 20})
	if err != nil {
		return nil, fault.New(fault.Unavailable, "表行暂存 %s 打不开：%w", dir, err)
	}
	return &Store{db}, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

func key(parts ...string) []byte { return []byte(strings.Join(parts, "\x00")) }

// kept is the stored form of a row.
type kept struct {
	Row   json.RawMessage   `json:"r"`
	Index map[string]string `json:"i"`
}

// Put implements mapping.Rows. All rows are written in one synced batch.
func (s *Store) Put(source string, rows []mapping.StagedRow) error {
	b := s.db.NewIndexedBatch()
	defer b.Close()
	for _, r := range rows {
		name := key("r", source, r.Table, r.Key)
		old, ok, err := read(b, name)
		if err != nil {
			return err
		}
		if ok {
			for c, v := range old.Index {
				if err := b.Delete(key("i", source, r.Table, c, v, r.Key), nil); err != nil {
					return err
				}
			}
		}
		data, err := json.Marshal(kept{r.JSON, r.Index})
		if err != nil {
			return err
		}
		if err := b.Set(name, data, nil); err != nil {
			return err
		}
		for c, v := range r.Index {
			if err := b.Set(key("i", source, r.Table, c, v, r.Key), nil, nil); err != nil {
				return err
			}
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fault.New(fault.Unavailable, "表行不能暂存：%w", err)
	}
	return nil
}

func read(r pebble.Reader, name []byte) (k kept, ok bool, err error) {
	data, err := shelf.Get(r, name)
	if err != nil || data == nil {
		return k, false, err
	}
	return k, true, json.Unmarshal(data, &k)
}

// Find implements mapping.Rows.
func (s *Store) Find(source, table, column, value string) ([]mapping.StagedRow, error) {
	prefix := append(key("i", source, table, column, value), 0)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: append(prefix[:len(prefix)-1:len(prefix)-1], 1)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var out []mapping.StagedRow
	for ok := it.First(); ok; ok = it.Next() {
		id := string(bytes.TrimPrefix(it.Key(), prefix))
		k, found, err := read(s.db, key("r", source, table, id))
		if err != nil {
			return nil, err
		}
		if found {
			out = append(out, mapping.StagedRow{Table: table, Key: id, JSON: k.Row, Index: k.Index})
		}
	}
	return out, it.Error()
}
