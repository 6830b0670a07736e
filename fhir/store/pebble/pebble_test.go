package pebble_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/pebble"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
)

func open(t testing.TB, fs vfs.FS, cfg machine.Config) *pebble.Store {
	t.Helper()
	c := pebble.Default("db")
	c.FS, c.Config, c.MemTable = fs, cfg, 1<<20
	s, err := pebble.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Log { return &memory.Log{} },
		func(t testing.TB, cfg machine.Config) storetest.Store {
			s := open(t, vfs.NewMem(), cfg)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		})
}
