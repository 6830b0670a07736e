package memory_test

import (
	"testing"

	"github.com/qihuang-health/qihuang/fhir/store"
	"github.com/qihuang-health/qihuang/fhir/store/machine"
	"github.com/qihuang-health/qihuang/fhir/store/memory"
	"github.com/qihuang-health/qihuang/fhir/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Log { return &memory.Log{} },
		func(t testing.TB, cfg machine.Config) storetest.Store {
			s, err := memory.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
}
