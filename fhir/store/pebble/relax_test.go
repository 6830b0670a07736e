package pebble_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
)

// A large batch does not stay in memory for good.
func TestRelaxLetsGoOfLargeBatches(t *testing.T) {
	c := pebble.Default(t.TempDir())
	c.Config, c.MemTable, c.CacheBytes = machine.Config{Log: &memory.Log{}, Indexer: storetest.Indexer{}}, 1<<20, 1<<20
	s, err := pebble.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	stop := storetest.Launch(t, s)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // pools
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const size = 48 << 10 // of a resource
	tx := &store.Transaction{ID: "large"}
	for i := range 400 {
		tx.Ops = append(tx.Ops, store.Op{Method: store.Create, Type: "Patient", ID: fmt.Sprint("p", i),
			Resource: fmt.Appendf(nil, `{"resourceType":"Patient","x":"%s"}`, bytes.Repeat([]byte{byte('a' + i%26)}, size))})
	}
	if _, err := s.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	tx = nil
	before := heap()
	if err := s.Relax(); err != nil {
		t.Fatal(err)
	}
	if freed := before - heap(); freed < 300*size {
		t.Errorf("only %d bytes were let go of", freed)
	}
	stop()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
