package pebble

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestFilter finds every key, and no other, in files with the filter of all keys
// and in files with the filter of lookups.
func TestFilter(t *testing.T) {
	fs := vfs.NewMem()
	open := func(policy pebble.FilterPolicy) *pebble.DB {
		o := &pebble.Options{FS: fs, DisableAutomaticCompactions: true, Logger: quiet{}}
		o.Levels[0].FilterPolicy = policy
		db, err := pebble.Open("db", o)
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	var keys [][]byte
	var sizes []uint64
	for round, policy := range []pebble.FilterPolicy{bloom.FilterPolicy(10), lookups{10}} {
		db := open(policy)
		for i := range 500 {
			for _, table := range "rithv" {
				key := fmt.Appendf(nil, "%c%d-%d", table, round, i)
				keys = append(keys, key)
				if err := db.Set(key, key, pebble.NoSync); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		tables, err := db.SSTables(pebble.WithProperties())
		if err != nil {
			t.Fatal(err)
		}
		newest := slices.MaxFunc(tables[0], func(a, b pebble.SSTableInfo) int { return cmp.Compare(a.FileNum, b.FileNum) })
		sizes = append(sizes, newest.Properties.FilterSize)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := open(lookups{10})
	defer db.Close()
	k := &kv{db: db, written: new(atomic.Int64)}
	for _, key := range keys {
		if val, ok, err := k.Get(nil, key); err != nil || !ok || !bytes.Equal(val, key) {
			t.Fatalf("%s: %q, %v, %v", key, val, ok, err)
		}
		if _, ok, err := k.Get(nil, append(key, 'x')); err != nil || ok {
			t.Fatalf("%sx: %v, %v", key, ok, err)
		}
	}
	if sizes[1]*5 > sizes[0]*4 { // three tables of five are looked up
		t.Errorf("filter of lookups takes %d bytes, of all keys %d", sizes[1], sizes[0])
	}
}
