package search

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/qihuang-health/qihuang/fhir/search/key"
	"github.com/qihuang-health/qihuang/fhir/search/param"
)

// sliceIndex is a bare index of keys.
type sliceIndex struct{ keys [][]byte }

type sliceIter struct {
	keys [][]byte
	i    int
}

func (x sliceIndex) Iter(lower, upper []byte) Iterator {
	from, _ := slices.BinarySearchFunc(x.keys, lower, bytes.Compare)
	to := len(x.keys)
	if upper != nil {
		to, _ = slices.BinarySearchFunc(x.keys, upper, bytes.Compare)
	}
	return &sliceIter{x.keys[from:to], -1}
}
func (x sliceIndex) Get([]byte) ([]byte, bool, error)           { return nil, false, nil }
func (x sliceIndex) Resource(_, _ string) ([]byte, bool, error) { return nil, false, nil }
func (i *sliceIter) Next() bool                                 { i.i++; return i.i < len(i.keys) }
func (i *sliceIter) Key() []byte                                { return i.keys[i.i] }
func (i *sliceIter) Value() []byte                              { return nil }
func (i *sliceIter) Close() error                               { return nil }
func (i *sliceIter) SeekGE(k []byte) bool {
	i.i, _ = slices.BinarySearchFunc(i.keys, k, bytes.Compare)
	return i.i < len(i.keys)
}

// TestSize: estimates are within a factor of what is there, for ids drawn at
// random and by time, evenly and in bursts.
func TestSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ids := map[string]func(i int) uint64{
		"random":  func(int) uint64 { return r.Uint64() },
		"by time": func(i int) uint64 { return (1_700_000_000_000+uint64(i)*50)<<16 | r.Uint64()&0xffff },
		"two bursts": func(i int) uint64 {
			return (1_700_000_000_000+uint64(i)/10+uint64(i/40_000)*1e9)<<16 | r.Uint64()&0xffff
		},
	}
	for name, draw := range ids {
		for _, n := range []int{100, 1000, 20_000, 80_000} {
			p := &param.Param{}
			var keys [][]byte
			for i := range n {
				k := append(p.Prefix(key.Token), "x\x00........\x01"...)
				k = binary.BigEndian.AppendUint64(k, draw(i*(80_000/n)))
				keys = append(keys, append(k, "12345678"...))
			}
			slices.SortFunc(keys, bytes.Compare)
			run := &run{ctx: context.Background(), ix: sliceIndex{keys}, limit: 1 << 40}
			s := exactly(keys[0][:key.PrefixLen+10])
			got, all := run.size(&s, false, &idSet{})
			if all != (n < probe) || float64(got) < float64(n)/6 || got > n*6 {
				t.Errorf("%s: estimate %d (all %v) of %d", name, got, all, n)
			}
			t.Logf("%s: %d of %d, cost %d", name, got, n, run.cost)
		}
	}
}
